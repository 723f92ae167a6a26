"""Read the footers of exports, and check that they are sound.

Read `statistics`, which collects the facts for planning, and `known_columns`, which stores those of
columns; then `steps` and `schema`, which both use. `shortfall` decides which byte ranges to
download, with the help of `column_chunks`. `soundness` refuses footers that would crash the
process, `narrow` cuts footers down to some columns, `writers` finds features that not every engine
reads; `forms` and `thrift` parse for them.
"""
