"""Convert Arrow arrays to rows as dicts.

Start with `rows`; then `build_rows` and `cells` for a single source, `windows` and `merge` for
sources that overlap.
"""
