"""One run, under W&B's names.

To understand this package, begin with `run`: class `Run` inherits from a class per topic. `fields`
has the fields of a run, `history` reads its rows, and `keys` describes its keys. `files` and
`console` read files and console output. `exports` downloads and copies the exports, and `artifacts`
lists the artifacts. `history_scan`, `summary`, `metrics` and `export_copies` have the types that
these methods return. A new way to read the history goes into `history`, as a method over
`runlake.history.reader.Reading`.
"""
