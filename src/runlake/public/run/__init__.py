"""One run, under W&B's names.

To understand this package, begin with `run`: class `Run` inherits from a class per topic. `fields`
has the fields of a run, `history` reads its rows, `keys` describes its keys, and `plots` draws its
curves. `files` and `console` read files and console output. `exports` downloads and copies the
exports, `artifacts` lists the artifacts, and `media` opens logged media. `history_scan`, `summary`,
`metrics` and `export_copies` have types that these methods return. `page_fields` loads the large
fields of a list's runs, many at a time. A new way to read the history goes into `history`, as a
method over `runlake.history.reader.Reading`.
"""
