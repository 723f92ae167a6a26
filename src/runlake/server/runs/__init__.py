"""Projects and runs of the embedded backend: their lines, files, exports and lists.

Read `runs`; then `stream` and `lines`, which take in what scripts send, `history_rows` and
`exporter`, which give it back live and as Parquet, and `files`. `projects` and `lists` find runs,
by `filters` and `filter_fields`. `wire_json` is the JSON of the protocol, with its NaN.
"""
