"""Lists of runs, under W&B's names.

To understand this package, begin with `runs`: class `Runs` inherits from a class per topic.
`run_list` lists the runs page by page, and `histories` samples the histories of the runs. `table`
returns their fields as a frame, `scans` reads their rows as one frame, `answers` returns a value
per run and aligned curves, `plots` draws curves, and `attachments` reads files and tables. Except
for `run_list`, the methods of these topics use only the members that `run_set` declares. So other
kinds of lists, such as the runs of a lake on disk, have the same methods. Reads are planned and
done in `runlake.history.runs`.
"""
