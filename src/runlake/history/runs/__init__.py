"""Read many runs at once.

To understand this package, begin with `open`. `scan` makes one lazy frame of the rows of all runs.
`run_rows` makes one frame of all rows, and counts the rows of each run. From this frame, `values`
finds one row per run, and `aligned` computes statistics over runs. `samples` samples runs,
`same_schema` reads runs with equal columns in one scan, and `run_table` makes a frame with a row
per run.
"""
