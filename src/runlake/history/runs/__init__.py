"""Read many runs at once.

To understand this package, begin with `open`. `scan` makes one lazy frame of all rows, and
`run_rows` one frame with the number of rows of each run; `values` (one row per run) and `aligned`
are computed from the frame of `run_rows`. Other modules are `samples`, `same_schema`, which reads
runs with equal columns in one scan, and `run_table`, a frame with a row per run.
"""
