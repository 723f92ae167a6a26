"""The notebook cards of public objects: this package gathers facts, `runlake.notebook` draws them.

`shown` ensures that showing a card never raises an error. `run` builds the card of a run, `runs`
builds the cards of lists of runs, projects and sweeps, and `others` builds the cards of files,
artifacts and scans.
"""
