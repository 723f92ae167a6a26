"""Runs in directories of the W&B SDK, read without a backend.

To understand this package, begin with `adding`, which adds these runs to a lake. `directories`
finds the files, `framing` reads the records of a file, and `recorded_run` builds a run from the
records.
"""
