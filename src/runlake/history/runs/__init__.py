"""Read many runs at once.

To understand this package, begin with `open`. `scan` makes one lazy frame of all rows. Other
modules are `samples`, `same_schema`, which reads runs with equal columns in one scan, and
`run_table`, a frame with a row per run.
"""
