"""Read every row of some metrics, find the best, write them to a CSV file."""

import csv
import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run = api.run(f"{entity}/{project}/beta")

history = run.scan_history()
losses = [row["loss"] for row in history]
print(len(losses), losses[:2], losses[-1], max(losses), min(losses))

with open("metrics.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["_step", "loss", "acc"])
    for row in run.scan_history(keys=["_step", "loss", "acc"], page_size=7):
        writer.writerow([row["_step"], row["loss"], row["acc"]])

# the SDK yields rows of exports without the key too
pairs = [
    (row["_step"], row["val.loss"])
    for row in run.scan_history(keys=["val.loss"])
    if row.get("val.loss") is not None
]
print(pairs)
between = run.scan_history(keys=["epoch"], min_step=10, max_step=20)
print([row["epoch"] for row in between])
metrics = run.history(keys=["acc", "loss"], x_axis="epoch")
print(metrics.groupby("epoch")["acc"].max().round(4).to_dict())
print(run.lastHistoryStep, run.scan_history(max_step=5).max_step)
rows = run.beta_scan_history(keys=["phase"])
print(next(rows)["phase"], next(rows)["phase"], sum(1 for _ in rows))
