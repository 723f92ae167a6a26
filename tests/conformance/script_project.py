"""The project that scripts read and edit: a sweep, files, system metrics, an artifact."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun
from tests.server_process import NO_TLS, RunningServer

DESCRIBE = """
mutation UpsertBucket(
  $id: String, $config: JSONString, $groupName: String, $jobType: String, $displayName: String,
  $sweep: String, $notes: String, $tags: [String!]
) {
  upsertBucket(input: {
    id: $id, config: $config, groupName: $groupName, jobType: $jobType, displayName: $displayName,
    sweep: $sweep, notes: $notes, tags: $tags
  }) { bucket { id } }
}
"""
CREATE_FILES = """
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(
    input: {entityName: $entity, projectName: $project, runName: $run, files: $files}
  ) { files { name uploadUrl } }
}
"""
N_STEPS = 30
LEARNING_RATES = {"alpha": 0.1, "beta": 0.01, "gamma": 0.001, "delta": 0.5}


def log_project(server: RunningServer, project: str) -> None:
    """Log four runs: the middle two belong to a sweep, the last one failed."""
    for run_id, lr in LEARNING_RATES.items():
        run = LoggedRun(server, run_id, project)
        _describe(run, run_id, lr)
        run.log(*(_row(step, lr) for step in range(N_STEPS)))
        _log_system(run)
        last = _row(N_STEPS - 1, lr)
        best = {"value": last["acc"], "at": {"step": N_STEPS - 1}}
        run.summarize(last | {"best": best, "val/loss": lr})
        files = {
            "model.h5": f"weights of {run_id}".encode() * 20,
            "output/notes.txt": f"notes of {run_id}\n".encode(),
            "diagram.json": json.dumps({"run": run_id}).encode(),
            "wandb-metadata.json": json.dumps(_metadata(lr)).encode(),
        }
        _upload(run, files)
        if run_id == "beta":
            log_artifact(run, "weights", {"weights.bin": b"1 2 3", "sub/card.md": b"# card\n"})
        run.finish(exit_code=int(run_id == "delta"))


def _describe(run: LoggedRun, run_id: str, lr: float) -> None:
    config = {
        "lr": lr,
        "optimizer": "adam" if lr < 0.1 else "sgd",
        "net": {"depth": 2, "width": 64},
    }
    run.graphql(
        DESCRIBE,
        {
            "id": run.storage_id,
            "config": json.dumps({key: {"value": value} for key, value in config.items()}),
            "groupName": "first" if run_id < "c" else "second",
            "jobType": "train",
            "displayName": f"run {run_id}",
            "sweep": "search" if run_id in {"beta", "gamma"} else None,
            "notes": f"about {run_id}",
            "tags": ["baseline"] if run_id == "alpha" else ["tuned", run_id],
        },
    )


def _metadata(lr: float) -> dict[str, Any]:
    git = {"remote": "https://example.com/net.git", "commit": "0123456789abcdef"}
    args = ["--lr", str(lr)]
    return {"program": "train.py", "args": args, "host": "node1", "git": git, "gpu_count": 0}


def _row(step: int, lr: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "_step": step,
        "_timestamp": 1.7e9 + step,
        "_runtime": step + 0.5,
        "loss": round(math.exp(-step * lr) + 0.25, 6),
        "acc": round(1 - math.exp(-(step + 1) * lr), 6),
        "epoch": step // 5,
        "phase": "warm" if step < 3 else "main",
    }
    if step % 5 == 0:
        row["val"] = {"loss": round(1.9 * math.exp(-step * lr), 6)}
    return row


def _log_system(run: LoggedRun) -> None:
    lines = [
        json.dumps({"_timestamp": 1.7e9 + 15 * n, "_runtime": 15.5 * n, "_wandb": True,
                    "system.cpu": 10.5 + n, "system.memory": 40.25})
        for n in range(8)
    ]  # fmt: skip
    run.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": lines}}})
    output = [f"2026-01-02T03:04:0{n}.000000 line {n} of the output" for n in range(3)]
    run.stream({"files": {"output.log": {"offset": 0, "content": output}}})


def _upload(run: LoggedRun, files: dict[str, bytes]) -> None:
    entity, project, run_id = run.path.split("/")
    variables = {"entity": entity, "project": project, "run": run_id, "files": list(files)}
    answer = run.graphql(CREATE_FILES, variables)
    for offer in answer["data"]["createRunFiles"]["files"]:
        assert httpx.put(offer["uploadUrl"], verify=NO_TLS, content=files[offer["name"]]).is_success
