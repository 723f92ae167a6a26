"""A project of many runs with one small export each, over real sockets, with injected faults."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_server import FaultServer

ENTITY, PROJECT = "team", "project"
N_ROWS = 4


def small_export(number: int, n_rows: int = N_ROWS) -> bytes:
    """Return an export in which the run's number is a key."""
    steps = list(range(n_rows))
    losses = [number + step / 8 for step in steps]
    content = io.BytesIO()
    pq.write_table(pa.table({"_step": steps, "loss": losses, "n": [number] * n_rows}), content)
    return content.getvalue()


class ProjectServer(FaultServer):
    """Serves runs ``run000``, ``run001``, ...; the export of each has the run's name."""

    def __init__(self, n_runs: int) -> None:
        super().__init__()
        self.fields: dict[str, dict[str, Any]] = {}
        self.operations: list[str] = []
        for number in range(n_runs):
            name = f"run{number:03}"
            self.store(name, small_export(number))
            self.fields[name] = {
                "id": f"id{number}",
                "name": name,
                "displayName": f"run number {number}",
                "state": "finished",
                "createdAt": f"2026-01-01T00:{number // 60:02}:{number % 60:02}",
                "heartbeatAt": "2026-01-02T00:00:00",
                "historyLineCount": N_ROWS,
                "config": json.dumps({"lr": {"value": number / 10}}),
                "summaryMetrics": json.dumps({"loss": number + 0.375}),
                "systemMetrics": "{}",
                "tags": [],
                "historyKeys": {"lastStep": N_ROWS - 1, "keys": {}},
            }

    @property
    def path(self) -> str:
        return f"{ENTITY}/{PROJECT}"

    def change(self, name: str, **fields: Any) -> None:
        """Give a run another export of one more row, and fields."""
        self.store(name, small_export(int(name[3:]), N_ROWS + 1))
        keys = {"lastStep": N_ROWS, "keys": {}}
        changed = {"heartbeatAt": "2026-01-03T00:00:00", "historyLineCount": N_ROWS + 1}
        self.fields[name] |= {**changed, "historyKeys": keys, **fields}

    def answer(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        operation = re.search(r"query (\w+)", query)
        kind = operation[1] if operation else ""
        self.operations.append(f"{kind} parquet" if "parquetHistory" in query else kind)
        name = next((variables[k] for k in ("name", "run", "runName") if k in variables), None)
        run = self._node(name, query) if name in self.fields else None
        project = {
            "name": PROJECT,
            "entityName": ENTITY,
            "run": run,
            **self._listed(query, variables),
        }
        return {"project": project, "serverInfo": {"features": []}, "viewer": {"entity": ENTITY}}

    def _listed(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        names = list(self.fields)
        filters = json.loads(variables.get("filters") or "{}")
        named = filters.get("name") or filters.get("displayName")
        if isinstance(named, dict):
            names = [name for name in names if name in named["$in"]]
        elif named:
            names = []
        start = int(variables.get("cursor") or 0)
        stop = start + int(variables.get("perPage") or 50)
        page = names[start:stop]
        edges = [
            {"node": self._node(name, query), "cursor": str(at)}
            for at, name in enumerate(page, start + 1)
        ]
        info = {"endCursor": str(start + len(page)), "hasNextPage": stop < len(names)}
        return {"runCount": len(names), "runs": {"edges": edges, "pageInfo": info}}

    def _node(self, name: str, query: str) -> dict[str, Any]:
        manifest = {"parquetUrls": [self.url(name)], "liveData": []}
        node = {
            **self.fields[name],
            "parquetHistory": manifest,
            "files": {"edges": []},
            "history": [],
        }
        return {field: value for field, value in node.items() if re.search(rf"\b{field}\b", query)}
