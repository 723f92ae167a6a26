"""Start the process in which the W&B SDK logs artifacts, and talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from runlake.backend.http.client import Client
from runlake.errors import BackendError, MissingExtra
from runlake.settings import child_environment

MODULE = "runlake.lake.pushing.sdk_process"
# Seconds that the process may take to close its runs.
END_SECONDS = 60.0
# An error message quotes this many bytes of the end of what the SDK printed.
QUOTED_BYTES = 600
FOLDERS = (
    "WANDB_DIR",
    "WANDB_CONFIG_DIR",
    "WANDB_DATA_DIR",
    "WANDB_CACHE_DIR",
    "WANDB_ARTIFACT_DIR",
)


def has_sdk() -> bool:
    """Return whether the W&B SDK is installed."""
    return find_spec("wandb") is not None


def missing_sdk() -> MissingExtra:
    """Return the error for a push of runs with artifacts, which needs the SDK."""
    return MissingExtra(
        "The runs have artifacts, which are sent with the W&B SDK, and it is not installed. "
        "Nothing was sent. Install it with: pip install 'runlake[local]'. Or push the runs without "
        "artifacts: artifacts=False, on the command line --no-artifacts.",
        extra="local",
    )


class SdkProcess:
    """A process that logs artifacts with the SDK.

    Parameters
    ----------
    process : Popen
        The process.
    printed : file
        The file to which the process prints.
    """

    def __init__(self, process: subprocess.Popen[str], printed: IO[bytes]) -> None:
        self._process = process
        self._printed = printed

    def log(self, request: Mapping[str, Any]) -> str:
        """Log a version of an artifact, and wait until the backend has committed it.

        Parameters
        ----------
        request : mapping
            The version, in the form that the module `sdk_process` describes.

        Returns
        -------
        str
            The id of the version at the backend.

        Raises
        ------
        BackendError
            If the SDK fails.
        """
        line = ""
        if self._process.stdin is not None and self._process.stdout is not None:
            with suppress(BrokenPipeError):  # the process has ended: `line` stays empty
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        if not line:
            raise self._failure("its process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise self._failure(answer["error"])
        return str(answer["id"])

    def _failure(self, why: str) -> BackendError:
        self._printed.flush()
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - QUOTED_BYTES))
        printed = " ".join(self._printed.read().decode(errors="replace").split())
        quoted = f" It printed: {printed}" if printed else ""
        return BackendError(
            f"The W&B SDK could not log it: {why.rstrip('.')}.{quoted}", operation="CreateArtifact"
        )


@contextmanager
def sdk_process(client: Client) -> Iterator[SdkProcess]:
    """Run the SDK in a process that logs to the backend of a client.

    Parameters
    ----------
    client : Client
        The backend. The process gets the API key in its environment.
    """
    settings = client.settings
    key = settings.api_key
    with tempfile.TemporaryDirectory(prefix="runlake-push-") as root:
        environment = child_environment(
            {
                **dict.fromkeys(FOLDERS, root),
                "WANDB_BASE_URL": settings.base_url,
                "WANDB_API_KEY": "" if key is None else key.reveal(),
                "WANDB_SILENT": "true",
                "WANDB_ERROR_REPORTING": "false",
            },
            has_proxies=True,
        )
        with (Path(root) / "printed").open("w+b") as printed:
            process = subprocess.Popen(  # noqa: S603 - Python itself
                [sys.executable, "-m", MODULE, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                env=environment,
                text=True,
            )
            try:
                yield SdkProcess(process, printed)
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        # Closes standard input, at whose end the process closes its runs and exits.
        process.communicate(timeout=END_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
