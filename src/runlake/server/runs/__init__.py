"""Projects and runs of the embedded backend: their lines, files, exports and lists.

Start with `runs`. `stream` and `lines` parse what scripts send; `history_rows` returns it as live
rows, `export_sizes` decides when it is exported; `files` are the files of runs. `projects` and
`lists` find runs, with `filters` and `filter_fields`. `wire_json` is the JSON of the protocol, with
its NaN.
"""
