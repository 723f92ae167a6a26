"""The notebook cards of public objects: this package gathers facts, `runlake.notebook` draws them.

`shown` ensures that showing a card never raises an error. `run` gathers the facts of a run, `runs`
those of a list of runs, a project and a sweep, and `others` those of files, artifacts and scans.
"""
