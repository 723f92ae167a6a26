"""Tag the best runs of a project, and rename a metric in their summaries."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
runs = api.runs(f"{entity}/{project}", order="-summary_metrics.acc", per_page=2)
print(len(runs), runs[0].id, [run.id for run in runs[1:3]])
for place, run in enumerate(runs):
    if place < 2 and "best" not in run.tags:
        run.tags.append("best")
    if "loss" in run.summary.keys():
        run.summary["train/loss"] = run.summary["loss"]
    run.update()

tagged = api.runs(f"{entity}/{project}", {"tags": "best"}, order="+created_at")
print([(run.id, sorted(run.tags)) for run in tagged])
for run in tagged:
    run.tags = [tag for tag in run.tags if tag != "best"]
    run.update()
api.flush()
print(len(api.runs(f"{entity}/{project}", {"tags": "best"})))
print([round(run.summary["train/loss"], 4) for run in api.runs(f"{entity}/{project}")])
