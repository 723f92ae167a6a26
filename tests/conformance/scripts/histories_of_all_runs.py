"""Put the histories of all runs of a project in one frame."""

import sys

import pandas as pd
import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
frames = []
for run in api.runs(f"{entity}/{project}", order="+created_at"):
    frame = run.history(samples=1000, keys=["loss", "acc"])
    frame["run"] = run.id
    frames.append(frame)
together = pd.concat(frames, ignore_index=True)
print(together.groupby("run")[["loss", "acc"]].agg(["min", "max"]).to_string())
together.to_csv("together.csv", index=False)

runs = api.runs(f"{entity}/{project}", filters={"state": "finished"})
at_once = runs.histories(samples=1000, keys=["loss"], format="pandas")
print(at_once.shape, list(at_once.columns))
print(at_once.pivot_table(index="_step", columns="run_id", values="loss").tail(3).to_string())
rows = runs.histories(keys=["val.loss"], x_axis="epoch")
print(len(rows), rows[0])
everything = api.run(f"{entity}/{project}/alpha").history()
print(sorted(everything.columns), everything.shape)
print(everything.set_index("_step")["phase"].value_counts().to_dict())
