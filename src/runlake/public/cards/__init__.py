"""Notebook cards of public objects: what they show is collected here, and drawn elsewhere.

`runlake.notebook` draws the cards. `shown` ensures that showing a card never raises an error. `run`
builds the card of a run, `runs` builds the cards of lists of runs, projects and sweeps, and
`others` builds the cards of files, artifacts and scans.
"""
