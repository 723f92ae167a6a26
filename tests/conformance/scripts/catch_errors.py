"""Annotations, logins and the errors that scripts catch."""

import sys

import wandb
from wandb.errors import CommError

entity, project = sys.argv[1:3]
print(wandb.login(), wandb.login(key=wandb.Api().api_key))


def name_of(run: wandb.apis.public.Run) -> str:
    return run.name


def names_of(runs: "wandb.apis.public.Runs") -> list:
    return [name_of(run) for run in runs]


api = wandb.Api(timeout=19)
print(name_of(api.run(f"{entity}/{project}/alpha")))
print(names_of(api.runs(f"{entity}/{project}", order="+created_at")))
print(isinstance(api.run(f"{entity}/{project}/alpha"), wandb.apis.public.Run))
for path in ("none", "a/b/c/d/e", f"{entity}/{project}/none", f"{entity}/none/none"):
    try:
        api.run(path)
    except (CommError, ValueError) as error:
        print(path.count("/"), "caught", isinstance(error, (wandb.errors.CommError, ValueError)))
try:
    len(api.runs(f"{entity}/none-such"))
except (wandb.CommError, ValueError):
    print("no project")
try:
    api.run(f"{entity}/{project}/alpha").scan_history(keys="loss")
except (wandb.errors.errors.CommError, ValueError):
    print("keys are a list")
try:
    api.sweep(f"{entity}/{project}/none")
except wandb.Error as error:
    print("no sweep", bool(str(error)))
print(api.viewer.username, api.default_entity == entity, api.settings["entity"] == entity)
