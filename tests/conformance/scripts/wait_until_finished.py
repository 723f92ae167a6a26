"""Wait for a run that something else trains, then read its results."""

import sys

import wandb

entity, project = sys.argv[1:3]
run = wandb.Api().run(f"{entity}/{project}/alpha")
run.wait_until_finished()
print(run.state, run.summary["acc"])
run.load(force=True)
print(run.state, sorted(run.metadata or {})[:3], run.lastHistoryStep)
