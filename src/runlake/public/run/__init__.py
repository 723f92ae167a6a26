"""One run, under W&B's names.

To understand this package, begin with `run`: class `Run` inherits from a class per topic. `fields`
has the run's fields, `history` reads its rows, `keys` describes its keys, `files` and `console`
read files and output, `exports` downloads and copies its exports, and `artifacts` lists its
artifacts. `history_scan`, `summary`, `metrics` and `export_copies` have the types that these
methods return. A new way to read the history goes into `history`, as a method over
`runlake.history.reader.Reading`.
"""
