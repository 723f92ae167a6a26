"""Read the footers of exports, and check that they are sound.

To understand this package, begin with `statistics`, which collects what the plan of a read needs:
row groups, steps, and the type and bounds of each column. `known_columns` stores types and bounds.
Both use `steps` and `schema`. `shortfall` decides which byte ranges to download, with the help of
`column_chunks`. `soundness` refuses footers that would crash the process, `narrow` makes footers of
only some columns, and `writers` finds files that polars or DuckDB cannot read. These modules parse
with `forms` and `thrift`.
"""
