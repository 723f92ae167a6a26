"""Projects and runs of the embedded backend: their lines, files, exports and lists.

To understand this package, begin with `runs`. `stream` and `lines` parse what scripts send;
`history_rows` returns the stored lines as live rows, `export_sizes` decides when these rows are
exported; `files` are the files of runs. `projects` and `lists` find runs, with `filters` and
`filter_fields`. `wire_json` parses the JSON of the protocol, which may contain NaN.
"""
