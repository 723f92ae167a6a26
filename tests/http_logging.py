"""Logs runs with the SDK's HTTP requests, row by row, for shapes that the SDK cannot log."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
from tests.server_process import NO_TLS, RunningServer

UPSERT = """
mutation UpsertBucket(
  $name: String, $project: String, $entity: String, $program: String, $config: JSONString
) {
  upsertBucket(
    input: {
      name: $name, modelName: $project, entityName: $entity, jobProgram: $program, config: $config
    }
  ) { bucket { id name historyLineCount } inserted }
}
"""


CONFIG = """
mutation UpsertBucket($id: String, $config: JSONString) {
  upsertBucket(input: {id: $id, config: $config}) { bucket { id } }
}
"""


REWIND = """
mutation RewindRun(
  $runName: String!, $entity: String, $project: String, $metricName: String!, $metricValue: Float!
) {
  rewindRun(
    input: {
      runName: $runName, entityName: $entity, projectName: $project, metricName: $metricName,
      metricValue: $metricValue
    }
  ) { rewoundRun { id name historyLineCount config } }
}
"""


def wrapped(**config: Any) -> str:
    """Return a config as the SDK sends it."""
    return json.dumps({key: {"value": value} for key, value in config.items()})


def branch_point(run_id: str, step: float) -> dict[str, Any]:
    """Return the SDK's entry in the config of a run that continues after a step of a run."""
    return {"branch_point": {"run_id": run_id, "step": step}}


class LoggedRun:
    """A run that is being logged.

    With ``fork_from``, the id and the step of its parent, it is a fork.
    """

    def __init__(
        self,
        server: RunningServer,
        run_id: str,
        project: str = "http",
        *,
        fork_from: tuple[str, float] | None = None,
        **config: Any,
    ) -> None:
        self.path = f"{server.entity}/{project}/{run_id}"
        self._server = server
        self._http = httpx.Client(
            base_url=server.base_url, auth=("api", server.api_key), verify=NO_TLS, trust_env=False
        )
        variables = {"name": run_id, "project": project, "entity": server.entity, "program": "t"}
        if fork_from is not None:
            config["_wandb"] = branch_point(*fork_from)
        if config:
            variables["config"] = wrapped(**config)
        answer = self._accepted(UPSERT, variables)
        bucket = answer["data"]["upsertBucket"]["bucket"]
        assert bucket["name"] == run_id
        self.storage_id = bucket["id"]
        self._n_lines = bucket["historyLineCount"]

    def graphql(self, query: str, variables: dict[str, Any], operation: str = "") -> Any:
        body = {"query": query, "variables": variables, "operationName": operation}
        return self._http.post("/graphql", json=body).json()

    def _accepted(self, query: str, variables: dict[str, Any]) -> Any:
        answer = self.graphql(query, variables)
        if answer.get("errors"):
            self._http.close()
            raise AssertionError(answer["errors"])
        return answer

    def log(self, *rows: dict[str, Any], offset: int | None = None) -> LoggedRun:
        start = self._n_lines if offset is None else offset
        lines = [json.dumps(row) for row in rows]
        self.stream({"files": {"wandb-history.jsonl": {"offset": start, "content": lines}}})
        self._n_lines = max(self._n_lines, start + len(lines))
        return self

    def configure(self, **config: Any) -> LoggedRun:
        self.graphql(CONFIG, {"id": self.storage_id, "config": wrapped(**config)})
        return self

    def rewind(self, step: float) -> LoggedRun:
        entity, project, run_id = self.path.split("/")
        variables = {"entity": entity, "project": project, "runName": run_id, "metricValue": step}
        answer = self._accepted(REWIND, {**variables, "metricName": "_step"})
        self._n_lines = answer["data"]["rewindRun"]["rewoundRun"]["historyLineCount"]
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


def log_seeds(server: RunningServer, project: str, n_runs: int) -> dict[str, list[dict[str, Any]]]:
    """Log runs of 20 to 24 steps with four learning rates; every seventh diverges to NaN.

    Returns
    -------
    dict of str to list of dict
        The rows of each run, by run id.
    """
    logged = {}
    for seed in range(n_runs):
        lr = 10.0 ** -(seed % 4)
        rows = []
        for step in range(20 + seed % 5):
            row = {"_step": step, "_runtime": step * (1.5 + seed % 3)}
            row["loss"] = (1 + seed % 13 / 13) / (1 + step * (1 + seed % 4))
            row["acc"] = 1 - 1 / (1 + step + seed % 11 / 11)
            if step % 4 == 0:
                row["val/loss"] = row["loss"] * 1.25
            rows.append(row)
        if seed % 7 == 6:
            rows[-1]["loss"] = math.nan
        run = LoggedRun(server, f"seed{seed:03}", project)
        run.configure(lr=lr, seed=seed, net={"depth": 2 + seed % 2}, optimizer="adam")
        run.log(*rows).summarize({"acc": rows[-1]["acc"], "loss": rows[-1]["loss"]}).finish()
        logged[f"seed{seed:03}"] = rows
    return logged
