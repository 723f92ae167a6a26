"""Logs runs with the SDK's HTTP requests, row by row, for shapes that the SDK cannot log."""

from __future__ import annotations

import json
from typing import Any

import httpx
from tests.server_process import NO_TLS, RunningServer

UPSERT = """
mutation UpsertBucket($name: String, $project: String, $entity: String, $program: String) {
  upsertBucket(
    input: {name: $name, modelName: $project, entityName: $entity, jobProgram: $program}
  ) { bucket { id name } inserted }
}
"""


class LoggedRun:
    """A run that is being logged."""

    def __init__(self, server: RunningServer, run_id: str, project: str = "http") -> None:
        self.path = f"{server.entity}/{project}/{run_id}"
        self._server = server
        self._n_lines = 0
        self._http = httpx.Client(
            base_url=server.base_url, auth=("api", server.api_key), verify=NO_TLS, trust_env=False
        )
        variables = {"name": run_id, "project": project, "entity": server.entity, "program": "t"}
        answer = self.graphql(UPSERT, variables)
        bucket = answer["data"]["upsertBucket"]["bucket"]
        assert bucket["name"] == run_id
        self.storage_id = bucket["id"]

    def graphql(self, query: str, variables: dict[str, Any], operation: str = "") -> Any:
        body = {"query": query, "variables": variables, "operationName": operation}
        return self._http.post("/graphql", json=body).json()

    def log(self, *rows: dict[str, Any], offset: int | None = None) -> LoggedRun:
        start = self._n_lines if offset is None else offset
        lines = [json.dumps(row) for row in rows]
        self.stream({"files": {"wandb-history.jsonl": {"offset": start, "content": lines}}})
        self._n_lines = max(self._n_lines, start + len(lines))
        return self

    def summarize(self, summary: dict[str, Any]) -> LoggedRun:
        content = [json.dumps(summary)]
        self.stream({"files": {"wandb-summary.json": {"offset": 0, "content": content}}})
        return self

    def finish(self, exit_code: int = 0) -> LoggedRun:
        self.stream({"complete": True, "exitcode": exit_code})
        self._http.close()
        return self

    def close(self) -> LoggedRun:
        self._http.close()
        return self

    def stream(self, body: dict[str, Any]) -> None:
        answer = self._http.post(f"/files/{self.path}/file_stream", json=body, timeout=60)
        assert answer.is_success, answer.text


def steps(first: int, stop: int, **keys: Any) -> list[dict[str, Any]]:
    """Return rows with a loss at every step, and constants."""
    return [{"_step": step, "loss": 1 / (step + 1), **keys} for step in range(first, stop)]
