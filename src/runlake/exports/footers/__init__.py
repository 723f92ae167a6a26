"""Read the footers of exports, and check that they are sound.

To understand this package, begin with `statistics`, which collects what the plan of a read needs:
row groups, steps, and the type and bounds of each column. It uses `steps` and `schema`, and stores
types and bounds in `known_columns`. `shortfall` decides which byte ranges to download, with the
help of `column_chunks`. `writers` finds files that polars or DuckDB cannot read. `soundness`
refuses footers that would crash the process, and `narrow` makes footers of only some columns; these
two modules parse with `forms` and `thrift`.
"""
