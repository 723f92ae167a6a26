"""Projects and runs of the embedded backend: their lines, files, exports and lists.

To understand this package, begin with `runs`. `stream` and `lines` parse what scripts send;
`history_rows` returns stored lines as rows, and `export_sizes` decides when rows are exported.
`kept_lines` finds lines that are not exported, and lines in compressed blocks (`line_blocks`); if
lines were dropped, it reads them from an export (`exported_rows`). `export_spans` relates exports
to lines. `events` are the system metrics, `files` the files of runs. `projects` finds projects and
sweeps, and `lists` finds runs, with `filters` and `filter_fields`. `wire_json` parses the JSON of
the protocol, which may contain NaN. `branches` are forks and rewinds.
"""
