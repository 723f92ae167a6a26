"""Convert Arrow arrays to rows as dicts.

To understand this package, begin with `rows`. Then read `build_rows` and `cells` for rows that need
no merge, and `windows` and `merge` for exports and live rows that overlap.
"""
