"""Download and look at an artifact that a run logged."""

import os
import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api()
run = api.run(f"{entity}/{project}/beta")
for artifact in run.logged_artifacts():
    print(artifact.name, artifact.type, artifact.version, sorted(artifact.aliases), artifact.size)

artifact = api.artifact(f"{entity}/{project}/weights:latest")
folder = artifact.download(root="weights")
print(os.path.basename(folder))
for place, _, names in sorted(os.walk(folder)):
    print(os.path.relpath(place, folder), sorted(names))
print(artifact.digest, artifact.qualified_name.split("/")[-1], artifact.state)
print(open(artifact.get_entry("weights.bin").download(root="one")).read())
print(sorted(entry.path for entry in artifact.manifest.entries.values()))
print(artifact.logged_by().id, [user.id for user in artifact.used_by()])
print([a.name for a in api.artifacts(artifact.type, f"{entity}/{project}/weights")])
print([t.name for t in api.artifact_types(f"{entity}/{project}")])
print(api.artifact_exists(f"{entity}/{project}/weights:v7"))
try:
    api.artifact(f"{entity}/{project}/weights:v7")
except (wandb.CommError, ValueError) as error:
    print("missing", isinstance(error, wandb.CommError) or isinstance(error, ValueError))
