"""Lists of runs, under W&B's names.

To understand this package, begin with `runs`: class `Runs` inherits from a class per topic.
`run_list` lists the runs page by page, and `histories` samples the histories of the runs. `table`
returns their fields as a frame, `scans` reads their rows as one frame, `answers` returns a value
per run and aligned curves, and `attachments` reads files and tables. These topics need only what
`run_set` declares, so they also read runs that no backend lists. The reading itself is in
`runlake.history.runs`.
"""
