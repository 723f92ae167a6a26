"""Read many runs at once.

Start with `open`; then `scan` for one lazy frame of all rows, `samples`, `same_schema`, which reads
runs with equal columns in one scan, and `run_table`, a frame with a row per run.
"""
