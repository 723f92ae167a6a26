"""Edit the config, tags, notes, name, group and summary of a run that is over."""

import sys

import wandb

entity, project = sys.argv[1:3]
path = f"{entity}/{project}/gamma"
api = wandb.Api()
run = api.run(path)
run.config["lr"] = 0.002
run.config["dataset"] = {"name": "digits", "classes": [0, 1, 2]}
del run.config["optimizer"]
run.tags.append("edited")
run.tags = [*run.tags, "twice"]
run.notes = "looked at again"
run.name = "renamed"
run.group = "third"
run.update()

run.summary["accuracy"] = run.summary["acc"] * 100
run.summary["nested"] = {"a": {"b": 1}}
run.summary.update({"loss": 0.5, "text": "done"})
run.summary.update()
del run.summary["epoch"]
run.summary.update()

fresh = wandb.Api().run(path)
print({k: fresh.config[k] for k in sorted(fresh.config)})
print(sorted(fresh.tags), fresh.notes, fresh.name, fresh.display_name, fresh.group)
print(round(fresh.summary["accuracy"], 3), fresh.summary["loss"], fresh.summary["text"])
print(fresh.summary["nested"]["a"]["b"], "epoch" in fresh.summary, fresh.summary.get("epoch", -1))

# put back what a script renamed by mistake
fresh.name = "run gamma"
fresh.tags = [tag for tag in fresh.tags if tag != "twice"]
fresh.save()
print(wandb.Api().run(path).name, sorted(wandb.Api().run(path).tags))
