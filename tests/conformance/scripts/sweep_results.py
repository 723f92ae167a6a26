"""Tabulate the runs of a sweep, and find the best of them."""

import sys

import pandas as pd
import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
sweep = api.sweep(f"{entity}/{project}/search")
rows = [{"id": run.id, "lr": run.config["lr"], "acc": run.summary["acc"]} for run in sweep.runs]
print(pd.DataFrame(rows).sort_values("acc").to_string(index=False))
best = sweep.best_run()
print(best.id in {"beta", "gamma"}, sweep.best_run(order="+summary_metrics.acc").id)
print(sweep.config, sweep.order, sweep.name, sweep.entity, sweep.project, "/".join(sweep.path[-1:]))
print(sweep, sweep.url.split("/")[-2:], sweep.expected_run_count)
run = api.run(f"{entity}/{project}/beta")
print(run.sweep.id, run.sweep_name, api.run(f"{entity}/{project}/alpha").sweep)
with open("result.txt", "w") as file:
    file.write(f"{run.name}: {run.summary['acc']}\n")
uploaded = run.upload_file("result.txt")
print(uploaded.name, run.file("result.txt").download(root="again").read().strip())
run.file("result.txt").delete()
print(len(run.files(names=["result.txt"])))
