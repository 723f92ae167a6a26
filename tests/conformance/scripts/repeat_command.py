"""Find the command and the versions with which a run was started, and copy its config."""

import json
import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run = api.run(f"{entity}/{project}/alpha")
meta = json.load(run.file("wandb-metadata.json").download(replace=True))
program = ["python", meta["program"], *meta["args"]]
print(" ".join(program), "on", meta["host"], meta["git"]["commit"][:7])
print(run.metadata == meta, run.commit)

with open("config.json", "w") as file:
    json.dump(run.config, file, indent=1, sort_keys=True)
print(json.loads(run.json_config)["lr"]["value"], run.rawconfig["net"]["depth"])

print(run.entity, run.project, run.id, run.name, "/".join(run.path))
print(run.notes, run.group, run.job_type, run.tags, run.user.username, run.storage_id != run.id)
print(run.created_at[:2], run.heartbeat_at[:2], run.history_line_count, run.lastHistoryStep)
print(sorted(run.history_keys["keys"])[:4], run.url.split("/")[-2:])
print(run, repr(run.files()), run.read_only)
