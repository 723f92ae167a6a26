"""Read the footers of exports, and check that they are sound.

To understand this package, begin with `statistics`, which collects the facts for planning, and
`known_columns`, which stores the facts of columns. Both use `steps` and `schema`. `shortfall`
decides which byte ranges to download, with the help of `column_chunks`. `soundness` refuses footers
that would crash the process, `narrow` makes footers of only some columns, and `writers` finds
features that not every engine reads. These modules parse with `forms` and `thrift`.
"""
