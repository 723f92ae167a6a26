"""Read what the machine did while a run trained."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run = api.run(f"{entity}/{project}/alpha")
system_metrics = run.history(stream="events")
system_metrics.sort_values("_timestamp").to_csv("events.csv", columns=["_runtime", "system.cpu"])
print(sorted(system_metrics.columns), len(system_metrics))
print(system_metrics["system.cpu"].mean(), system_metrics["system.memory"].max())
for stream in ("system", "systemMetrics"):
    rows = run.history(stream=stream, pandas=False)
    print(stream, len(rows), rows[-1]["system.cpu"], rows[-1].get("_step"))
last = run.system_metrics
print({k: v for k, v in sorted(last.items()) if k.startswith("system.")})
