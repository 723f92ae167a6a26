"""Log artifacts with the W&B SDK; this is the main module of a separate process.

In a separate process, the SDK uses the backend and the API key of the push instead of those in the
environment, and the user's own runs in the SDK are not disturbed. A request is a line of JSON on
standard input. The response is a line of JSON on standard output::

    {"entity": ..., "project": ..., "run_id": ..., "name": ..., "type": ..., "description": ...,
     "metadata": {...}, "algorithm": "MD5", "aliases": [...], "tags": [...],
     "entries": [{"path": ..., "digest": ..., "size": ..., "ref": ..., "extra": {...},
                  "local_path": ...}]}
    {"id": ...}    or    {"error": ...}
"""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# Runs that the SDK has open at the same time: each takes some threads.
MAX_RUNS = 8
RunKey = tuple[str, str, str]


def main() -> None:
    """Answer the requests on standard input until the input ends, then close all runs."""
    # What the SDK prints must not get between the responses.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logger = _Logger(Path(sys.argv[1]))
    try:
        for line in sys.stdin:
            try:
                answer = {"id": logger.log(json.loads(line))}
            except Exception as error:  # noqa: BLE001 - the other artifacts go on
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    finally:
        logger.close()


class _Logger:
    """Logs artifacts as outputs of runs that exist at the backend.

    Parameters
    ----------
    directory : Path
        Where the SDK writes its files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs: OrderedDict[RunKey, Any] = OrderedDict()
        # An attempt to open a run may take a minute to fail, so it is not repeated.
        self._failed: dict[RunKey, Exception] = {}

    def log(self, request: dict[str, Any]) -> str:
        """Log one version; return the version's id after the backend has committed it."""
        run = self._run((request["entity"], request["project"], request["run_id"]))
        artifact = _artifact(request)
        logged = run.log_artifact(artifact, aliases=request["aliases"], tags=request["tags"])
        logged.wait()
        return str(logged.id)

    def _run(self, key: RunKey) -> Any:
        if key in self._failed:
            raise self._failed[key]
        if key in self._runs:
            self._runs.move_to_end(key)
            return self._runs[key]
        if len(self._runs) >= MAX_RUNS:
            self._runs.popitem(last=False)[1].finish()
        try:
            self._runs[key] = self._opened(*key)
        except Exception as error:
            self._failed[key] = error
            raise
        return self._runs[key]

    def _opened(self, entity: str, project: str, run_id: str) -> Any:
        """Return a run of the SDK that sends nothing but artifacts."""
        wandb = import_module("wandb")
        # As a writer of a shared run, and not the primary one, the SDK changes neither the run's
        # config, summary and files, nor its final state. Without `resume`, a backend takes this for
        # a second start of the run.
        settings = wandb.Settings(
            mode="shared",
            x_label="runlake",
            x_primary=False,
            x_update_finish_state=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
            disable_git=True,
            disable_code=True,
            console="off",
            silent=True,
            reinit="create_new",
            resume="allow",
            root_dir=str(self._directory),
        )
        return wandb.init(entity=entity, project=project, id=run_id, settings=settings)

    def close(self) -> None:
        """Close all open runs of the SDK."""
        for run in self._runs.values():
            with suppress(Exception):
                run.finish()


def _artifact(request: dict[str, Any]) -> Any:
    # The class that the SDK itself uses for artifacts of types that it reserves, such as those of
    # logged tables.
    internal = import_module("wandb.sdk.artifacts._internal_artifact")
    entries = import_module("wandb.sdk.artifacts.artifact_manifest_entry")
    artifact = internal.InternalArtifact(
        request["name"],
        request["type"],
        description=request["description"],
        metadata=request["metadata"],
        digest_algorithm=request["algorithm"],
    )
    for entry in request["entries"]:
        # Entries are added as they are, with their digests. The SDK's own methods would look up the
        # targets of references again.
        artifact.manifest.add_entry(entries.ArtifactManifestEntry(**entry, skip_cache=True))
    return artifact


if __name__ == "__main__":
    main()
