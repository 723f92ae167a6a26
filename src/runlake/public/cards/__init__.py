"""What the public objects show in a notebook: facts are gathered here, `runlake.notebook` draws.

`shown` makes that a card never raises. `run` gathers a run, `runs` a list of runs and a project,
and `others` files, artifacts, sweeps and scans.
"""
