"""From Arrow arrays to rows as dicts.

Read `rows`; then `build_rows` and `cells` for one source, `windows` and `merge` where several
overlap.
"""
