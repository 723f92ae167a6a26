"""Serves many odd runs, and reads them with the real SDK."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.odd_runs import OddRun
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.server_process import bare_environment
from tests.warm_start import SDK, WarmProcess, start_python

READ = """
import json, sys, wandb
api = wandb.Api(overrides={"base_url": sys.argv[1]}, api_key=sys.argv[2])
for line in sys.stdin:
    path, call = json.loads(line)
    try:
        found = list(api.run(path).scan_history(**call))
    except Exception as error:
        found = repr(error)
    print(json.dumps(found), flush=True)
"""


class OddServer(FaultServer):
    """Serves one run per row of a table; the ids are ``odd0``, ``odd1``, ..."""

    def __init__(self, runs: Sequence[OddRun]) -> None:
        super().__init__()
        self._turn = threading.Lock()
        self._runs = {f"odd{at}": run for at, run in enumerate(runs)}
        self._names: dict[str, list[str]] = {}
        for run_id, run in self._runs.items():
            files = {f"{run_id}-{at}": content for at, content in enumerate(run.files)}
            for name, content in files.items():
                self.store(name, content)
            self._names[run_id] = list(files)

    def path(self, run: OddRun) -> str:
        """Return the path of a run."""
        run_id = next(run_id for run_id, odd in self._runs.items() if odd is run)
        return "/".join([*RUN_PATH.split("/")[:2], run_id])

    def answer(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a query about one of the runs."""
        names = (variables.get(name) for name in ("name", "run", "runName"))
        run_id = next((name for name in names if name in self._runs), None)
        if run_id is None:
            # The SDK's models want an id.
            viewer = {"id": "VXNlcjox", "entity": RUN_PATH.split("/")[0]}
            return {**super().answer(query, variables), "viewer": viewer}
        run = self._runs[run_id]
        with self._turn:
            self.exports = self._names[run_id]
            self.live_rows = list(map(dict, run.live))
            self.history_keys = {"lastStep": run.last_step, "keys": {}}
            ours = RUN_PATH.rsplit("/", 1)[1]
            answer = super().answer(query, {**variables, "name": ours, "run": ours})
        if "name" in answer["project"]["run"]:
            answer["project"]["run"]["name"] = run_id
        return answer


def read_by_sdk(
    server: OddServer, runs: Sequence[OddRun], directory: Path
) -> WarmProcess | subprocess.Popen[str]:
    """Start the SDK on some runs; it prints one line with its result per run."""
    directory.mkdir(parents=True)
    folders = ("HOME", "WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR")
    environment = {
        **bare_environment(),
        **dict.fromkeys(folders, str(directory)),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_BASE_URL": server.base_url,
        "WANDB_API_KEY": API_KEY,
    }
    process = start_python(
        ["-c", READ, server.base_url, API_KEY],
        SDK,
        env=environment,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    questions = [json.dumps([server.path(run), dict(run.call)]) for run in runs]
    assert process.stdin is not None
    process.stdin.write("\n".join(questions) + "\n")
    process.stdin.close()
    return process
