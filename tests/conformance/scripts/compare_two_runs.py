"""Compare the configs and the last metrics of two runs."""

import sys

import pandas as pd
import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run1 = api.run(f"{entity}/{project}/alpha")
run2 = api.run(f"{entity}/{project}/runs/delta")

df = pd.DataFrame([run1.config, run2.config]).transpose()
df.columns = [run1.name, run2.name]
print(df[df[run1.name] != df[run2.name]])

print("state", run1.state, run2.state)
for key in sorted(set(run1.summary.keys()) & set(run2.summary.keys())):
    one, other = run1.summary[key], run2.summary.get(key)
    if isinstance(one, (int, float)):
        print(key, one, other, "same" if one == other else f"{other - one:+.4f}")
print(run1.summary["best"]["at"]["step"], run1.summary.best["value"])

first = run1.history(keys=["loss"], pandas=False)
second = run2.history(keys=["loss"], pandas=False)
better = [a["_step"] for a, b in zip(first, second) if a["loss"] < b["loss"]]
print("first is better at", better)
