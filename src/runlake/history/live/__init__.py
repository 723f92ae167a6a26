"""Live rows: rows that are in no export yet.

Start with `source`; then `pages`, which fetches live rows, and `spool`, which stores them.
"""
