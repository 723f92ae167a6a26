"""Export the name, config and summary of every run of a project to a CSV file."""

import sys

import pandas as pd
import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
runs = api.runs(f"{entity}/{project}")

summary_list, config_list, name_list = [], [], []
for run in runs:
    # .summary holds the last values, ._json_dict leaves out large files
    summary_list.append(run.summary._json_dict)
    config_list.append({k: v for k, v in run.config.items() if not k.startswith("_")})
    name_list.append(run.name)

runs_df = pd.DataFrame({"summary": summary_list, "config": config_list, "name": name_list})
for _, row in runs_df.iterrows():
    print(row["name"], sorted(row["summary"]), sorted(row["config"]))

flat = pd.concat(
    [
        pd.json_normalize(runs_df["config"].tolist()).add_prefix("config."),
        pd.json_normalize(runs_df["summary"].tolist()),
    ],
    axis=1,
)
flat.insert(0, "name", runs_df["name"])
flat = flat[sorted(flat.columns)]
flat.to_csv("runs.csv", index=False)
print(flat.shape, len(runs), runs[0].id, runs[-1].state)
