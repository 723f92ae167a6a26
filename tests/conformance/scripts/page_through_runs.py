"""Page through the runs of a project, and print rows of those that finished."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
runs = api.runs(f"{entity}/{project}", order="+created_at", per_page=1)
print(runs.next().id, runs.next().id, len(runs), runs.more, runs.per_page)
print([run.id for run in runs], [run.id for run in runs[0:2]], runs[3].id)
for run in runs:
    if run.state == "finished":
        for i, row in run.history(samples=100, keys=["acc", "_timestamp"]).iterrows():
            if i in (0, 29):
                print(run.id, int(row["_step"]), row["_timestamp"], row["acc"])

dates = {"$and": [{"created_at": {"$gt": "2020-01-01T00:00:00"}}, {"state": "finished"}]}
print(len(api.runs(f"{entity}/{project}", dates)))
names = {"$or": [{"display_name": "run alpha"}, {"config.optimizer": "adam"}]}
print(sorted(run.name for run in api.runs(f"{entity}/{project}", names)))
print(sorted(api.runs(f"{entity}/{project}"), key=lambda run: run.summary["acc"])[0].id)
for index in (4, 99):
    try:
        runs[index]
    except IndexError:
        print("no run", index)
heartbeats = [run.heartbeat_at >= run.created_at for run in runs]
print(heartbeats, {run.user.username for run in runs} == {api.viewer.username})
print([run.id for run in api.runs(f"{entity}/{project}", include_sweeps=True) if run.sweep])
lazy = api.runs(f"{entity}/{project}", lazy=False)[0]
print(lazy.config["lr"], lazy.summary["acc"], lazy.system_metrics["system.memory"])
