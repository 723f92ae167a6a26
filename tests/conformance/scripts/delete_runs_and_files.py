"""Delete files of a run, and runs that failed."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run = api.run(f"{entity}/{project}/alpha")
for file in run.files():
    if file.name.endswith((".json", ".h5")):
        file.delete()
print(sorted(file.name for file in wandb.Api().run(f"{entity}/{project}/alpha").files()))

for run in list(api.runs(f"{entity}/{project}", {"state": "failed"})):
    print("deleting", run.id)
    run.delete(delete_artifacts=True)
api.flush()
print([run.id for run in api.runs(f"{entity}/{project}", order="+created_at")])
try:
    api.run(f"{entity}/{project}/delta").name
except (wandb.CommError, ValueError):
    print("gone")
