"""One run, under W&B's names.

Read `run`, which is put together from a class per topic: `fields` for who the run is, `history`
for its rows, `keys`, `files` and `console`, `exports` for copies of its exports, and `artifacts`.
`rows`, `summary`, `metrics` and `export_copies` are what their methods return or need. A new way to
read the history goes into `history`, as a method over `runlake.history.reader.Reading`.
"""
