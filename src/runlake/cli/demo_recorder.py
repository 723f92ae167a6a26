"""Logs the training of the demo, with the wandb SDK or with the same HTTP requests."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import quote
from urllib.request import Request, urlopen

from runlake.settings import load_settings

ROWS_PER_REQUEST = 500
UPSERT = """
mutation UpsertBucket($name: String, $project: String, $display: String, $config: JSONString) {
  upsertBucket(
    input: {
      name: $name, modelName: $project, displayName: $display, config: $config, host: "demo"
    }
  ) { bucket { project { entity { name } } } }
}
"""


class Recorder(Protocol):
    """A running run that takes the rows of the training."""

    def log(self, row: dict[str, Any]) -> None:
        """Log a row at the next step."""

    def finish(self) -> None:
        """End the run, and return when the backend has received all rows."""


def open_recorder(project: str, run_id: str, name: str, config: Mapping[str, Any]) -> Recorder:
    """Start a run: with the wandb SDK if installed, else over plain HTTP.

    Parameters
    ----------
    project, run_id, name : str
        Project, id and display name of the run, which belongs to the user of the API key.
    config : mapping
        JSON values by key.
    """
    if find_spec("wandb") is None:
        return HttpRecorder(project, run_id, name, config)
    import wandb

    recorder: Recorder = wandb.init(project=project, id=run_id, name=name, config=dict(config))
    return recorder


class HttpRecorder:
    """Logs with requests of the W&B protocol: ``upsertBucket``, then the file stream.

    Parameters
    ----------
    project, run_id, name : str
        Project, id and display name of the run.
    config : mapping
        JSON values by key.
    """

    def __init__(self, project: str, run_id: str, name: str, config: Mapping[str, Any]) -> None:
        settings = load_settings()
        key = settings.api_key.reveal() if settings.api_key else ""
        self._base_url = settings.base_url
        self._authorization = "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
        self._started = time.time()
        self._n_sent = 0
        self._waiting: list[str] = []
        # The protocol wraps each value of a config.
        wrapped = {key: {"value": value} for key, value in config.items()}
        variables = {
            "name": run_id,
            "project": project,
            "display": name,
            "config": json.dumps(wrapped),
        }
        answer = self._post("/graphql", {"query": UPSERT, "variables": variables})
        entity = answer["data"]["upsertBucket"]["bucket"]["project"]["entity"]["name"]
        names = "/".join(quote(part, safe="") for part in (entity, project, run_id))
        self._stream = f"/files/{names}/file_stream"

    def log(self, row: dict[str, Any]) -> None:
        """Log a row at the next step; `ROWS_PER_REQUEST` rows are sent together."""
        now = time.time()
        stamps = {
            "_step": self._n_sent + len(self._waiting),
            "_timestamp": now,
            "_runtime": now - self._started,
        }
        self._waiting.append(json.dumps(row | stamps))
        if len(self._waiting) == ROWS_PER_REQUEST:
            self._send({})

    def finish(self) -> None:
        """Send the remaining rows and end the run."""
        self._send({"complete": True, "exitcode": 0})

    def _send(self, rest: dict[str, Any]) -> None:
        # The offset numbers the lines, so that a request that is sent twice adds no line.
        part = {"offset": self._n_sent, "content": self._waiting}
        self._post(self._stream, {"files": {"wandb-history.jsonl": part}, **rest})
        self._n_sent += len(self._waiting)
        self._waiting = []

    def _post(self, path: str, body: object) -> Any:
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        request = Request(self._base_url + path, json.dumps(body).encode(), headers)  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - the backend of the demo
            return json.load(answer)
