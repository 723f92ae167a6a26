"""Live rows: rows that are in no export yet.

To understand this package, begin with `source`; then read `pages`, which fetches live rows,
`spool`, which stores them, and `columns`, which converts them to Arrow columns.
"""
