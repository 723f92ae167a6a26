"""Download all files of a run, and some by name."""

import os
import sys

import wandb

entity, project = sys.argv[1:3]
run = wandb.Api().run(f"{entity}/{project}/alpha")
print(len(run.files()), sorted(file.name for file in run.files()))
for file in run.files():
    file.download(root="all")
for folder, _, names in sorted(os.walk("all")):
    print(folder, sorted(names))
for file in sorted(run.files(), key=lambda file: file.name):
    print(file.name, file.size, file.mimetype, file.md5)

note = run.file("output/notes.txt")
print(note.download(replace=True).read().strip(), note.name, note.size)
try:
    note.download()
except wandb.CommError as error:
    print("kept:", "exist_ok" in str(error) or "exists" in str(error))
print(note.download(exist_ok=True).name)
print([file.name for file in run.files(names=["model.h5"])], run.files(pattern="%.json")[0].name)
try:
    run.file("none.txt").download()
except (wandb.CommError, ValueError, OSError) as error:
    print("missing:", isinstance(error, (wandb.CommError, OSError)))

with open("extra.txt", "w") as file:
    file.write("added later")
print(run.upload_file("extra.txt").name, run.file("extra.txt").size)
print([line.content for line in run.console_logs()])
