"""Edit an artifact: aliases, tags, description, metadata; delete a version that is not needed."""

import sys

import wandb

entity, project = sys.argv[1:3]
name = f"{entity}/{project}/weights"
api = wandb.Api()
artifact = api.artifact(f"{name}:latest")
artifact.aliases.append("staging")
artifact.tags = [*artifact.tags, "reviewed"]
artifact.description = "weights of beta"
artifact.metadata["accuracy"] = 0.25
artifact.metadata = {**artifact.metadata, "rows": 3}
artifact.save()

fresh = wandb.Api().artifact(f"{name}:staging")
print(sorted(fresh.aliases), fresh.tags, fresh.description, fresh.version)
print({key: fresh.metadata[key] for key in sorted(fresh.metadata)})
fresh.aliases.remove("staging")
fresh.save()
print(sorted(wandb.Api().artifact(f"{name}:v0").aliases), fresh.verify(fresh.download("check")))
print(api.project(project).collections()[0].name)

for version in api.artifacts("dataset", name):
    print(version.name, sorted(version.aliases), version.size)
    if "latest" not in version.aliases:
        version.delete()
try:
    wandb.Api().artifact(f"{name}:v0").delete()
except (wandb.CommError, ValueError):
    print("it has aliases")
wandb.Api().artifact(f"{name}:v0").delete(delete_aliases=True)
print(api.artifact_exists(f"{name}:v0"))
