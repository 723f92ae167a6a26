"""Two worlds with the same runs, logged by the real SDK: one for each client to read and edit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.table import Row
from tests.server_process import RunningServer, run_python, run_script

EVALUATE = Path(__file__).with_name("evaluate.py")
LOG = """
import sys, wandb
project = sys.argv[1]
fast = wandb.Settings(x_file_stream_transmit_interval=0.2, console="wrap")
up = wandb.init(project=project, id="upstream", settings=fast)
with open("data.txt", "w") as file:
    file.write("some data")
dataset = wandb.Artifact("dataset", type="dataset", metadata={"rows": 3}, description="three rows")
dataset.add_file("data.txt")
up.log_artifact(dataset, aliases=["best"]).wait()
up.finish()
run = wandb.init(project=project, id="main", name="first run", tags=["a", "b"], notes="a note",
                 group="g1", job_type="train", settings=fast,
                 config={"lr": 0.1, "net": {"depth": 2, "act": "relu"}, "l": [1, 2], "none": None})
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch", summary="min")
run.define_metric("acc", summary="max,last")
run.use_artifact("dataset:latest")
print("a line of output")
print("another line")
for step in range(1200):
    row = {"loss": 1 / (step + 1), "acc": step / 1200, "count": step, "word": f"w{step}",
           "flag": step % 2 == 0, "nested": {"a": step, "b": {"c": 0.5}}}
    if step % 100 == 0:
        row |= {"val/loss": 2 / (step + 1), "epoch": step // 100, "sparse": step}
    if step == 3:
        row |= {"nan": float("nan"), "inf": float("inf")}
    run.log(row)
run.summary["best"] = 0.25
run.summary["deep"] = {"x": {"y": 1}}
with open("note.txt", "w") as file:
    file.write("saved")
run.save("note.txt")
logged = wandb.Artifact("model", type="model")
logged.add_file("note.txt")
run.log_artifact(logged).wait()
# After the artifact, as the SDK uploads tables beside what follows them.
run.log({"table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]]),
         "hist": wandb.Histogram([1, 2, 3])})
run.finish()
for index, lr in enumerate((0.01, 0.02, 0.5)):
    run = wandb.init(project=project, id=f"small{index}", config={"lr": lr, "index": index},
                     tags=["small"], settings=fast)
    for step in range(20):
        run.log({"loss": lr * step, "acc": step / 20})
    run.finish(exit_code=int(index == 2))
"""


def log_worlds(server: RunningServer, directory: Path) -> dict[str, str]:
    """Log the same runs twice and return the path of the main one for each client."""
    paths = {}
    for client in ("wandb", "runlake"):
        project = f"world-of-{client}"
        run_script(LOG, server, directory / f"log-{client}", project)
        paths[client] = f"{server.entity}/{project}/main"
    return paths


def ask(
    client: str, path: str, rows: list[Row], server: RunningServer, directory: Path
) -> list[dict[str, Any]]:
    """Return a client's answers to all rows, in their order."""
    folder = directory / f"ask-{client}"
    folder.mkdir()
    answers = folder / "answers.json"
    questions = folder / "questions.json"
    questions.write_text(json.dumps([{"code": row.code} for row in rows]))
    with questions.open() as given:
        run_python([str(EVALUATE), client, path, str(answers)], server, folder, stdin=given)
    found: list[dict[str, Any]] = json.loads(answers.read_text())
    return found
