"""Inputs: runs logged to the embedded backend over its own protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from tests.http_logging import UPSERT
from tests.server_process import RunningServer

ROWS_PER_REQUEST = 5_000


@dataclass(frozen=True)
class Shape:
    """A run to log: steps, keys, and how many of them a row has."""

    name: str
    n_steps: int
    n_keys: int
    filled: float = 1.0

    def lines(self) -> Iterator[str]:
        """Yield the history lines, one per step."""
        every = max(1, round(1 / self.filled))
        for step in range(self.n_steps):
            row: dict[str, float] = {"_step": step, "_timestamp": 1.7e9 + step, "_runtime": step}
            for key in range(self.n_keys):
                if (key + step) % every == 0:
                    row[f"key{key:03d}"] = math.exp(-step / self.n_steps) + key
            yield json.dumps(row)


def log_runs(server: RunningServer, project: str, n_runs: int, n_steps: int) -> str:
    """Log finished runs of three keys and return the path of their project."""
    for index in range(n_runs):
        log_run(server, Shape(f"run{index:04}", n_steps, 3), project)
    return f"{server.entity}/{project}"


def log_run(
    server: RunningServer, shape: Shape, project: str = "bench", *, is_finished: bool = True
) -> str:
    """Log a run and return its path."""
    path = f"{server.entity}/{project}/{shape.name}"
    names = {"name": shape.name, "project": project, "entity": server.entity, "program": "bench"}
    with httpx.Client(
        base_url=server.base_url, auth=("api", server.api_key), trust_env=False, timeout=120
    ) as http:
        http.post("/graphql", json={"query": UPSERT, "variables": names}).raise_for_status()
        stream = f"/files/{path}/file_stream"
        waiting: list[str] = []
        n_sent = 0
        for line in shape.lines():
            waiting.append(line)
            if len(waiting) == ROWS_PER_REQUEST:
                part = {"offset": n_sent, "content": waiting}
                http.post(stream, json={"files": {"wandb-history.jsonl": part}}).raise_for_status()
                n_sent += len(waiting)
                waiting = []
        part = {"offset": n_sent, "content": waiting}
        body: dict[str, object] = {"files": {"wandb-history.jsonl": part}}
        if is_finished:
            body |= {"complete": True, "exitcode": 0}
        http.post(stream, json=body).raise_for_status()
    return path
