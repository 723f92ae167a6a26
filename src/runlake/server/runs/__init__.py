"""Projects and runs of the embedded backend: their lines, files, exports and lists.

To understand this package, begin with `runs`. `stream` and `lines` parse what scripts send;
`history_rows` returns it as live rows, `export_sizes` decides when these are exported; `files` are
the files of runs. `projects` and `lists` find runs, with `filters` and `filter_fields`. `wire_json`
is the JSON of the protocol, with its NaN.
"""
