"""Rows that are in no export yet.

Read `source`; then `pages`, which fetches them, and `spool`, which keeps them.
"""
