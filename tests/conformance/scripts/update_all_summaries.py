"""Add a metric to the summary of every run of a project."""

import sys

import numpy as np
import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
for run in api.runs(f"{entity}/{project}"):
    losses = [row["loss"] for row in run.scan_history(keys=["loss"])]
    run.summary["mean_loss"] = np.mean(losses)
    run.summary["n_rows"] = np.int64(len(losses))
    run.summary.update()
    if "accuracy" in run.summary and "acc" not in run.summary:
        run.summary["acc"] = run.summary["accuracy"]
        del run.summary["accuracy"]
    run.update()

for run in wandb.Api().runs(f"{entity}/{project}", order="-summary_metrics.mean_loss"):
    print(run.id, round(run.summary["mean_loss"], 6), run.summary["n_rows"], run.state)
api.flush()
print(api.run(f"{entity}/{project}/alpha").summary_metrics["n_rows"])
