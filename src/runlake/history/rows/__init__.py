"""Convert Arrow arrays to rows as dicts.

To understand this package, begin with `rows`; then read `build_rows` and `cells` for a single
source, `windows` and `merge` for exports and live rows that overlap.
"""
