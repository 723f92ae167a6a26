"""Download the model file of the best run of a sweep."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
sweep = api.sweep(f"{entity}/{project}/sweeps/search")
runs = sorted(sweep.runs, key=lambda run: run.summary.get("acc", 0), reverse=True)
for run in runs:
    print(run.name, run.summary.get("acc", 0), run.sweep_name)
val_acc = runs[0].summary.get("acc", 0)
print(f"Best run {runs[0].name} with {val_acc}% accuracy")

runs[0].file("model.h5").download(replace=True)
print("Best model saved to model.h5", open("model.h5").read()[:15])

best = sweep.best_run("-summary_metrics.acc")
print(best.id, best.config["lr"], len(sweep.runs), sweep.id, sweep.state)
with best.file("output/notes.txt").download(root="best", exist_ok=True) as notes:
    print(notes.read().strip())
