"""The embedded backend as a process of its own, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.warm_start import SDK, SERVER, WarmProcess, start_python

START_SECONDS = 30.0
# For clients of servers without TLS: reading certificates takes longer than a request.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class RunningServer:
    base_url: str
    storage_url: str
    entity: str
    api_key: str
    process: WarmProcess | subprocess.Popen[str]
    access_log: Path

    def requests(self, start: int = 0) -> list[dict[str, Any]]:
        """Return the requests in the access log from a byte on."""
        if not self.access_log.exists():
            return []
        with self.access_log.open("rb") as log:
            log.seek(start)
            return [json.loads(line) for line in log]

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[dict[str, Any]]]:
        """Yield a list that has the block's requests after the block has ended."""
        before = self.access_log.stat().st_size if self.access_log.exists() else 0
        seen: list[dict[str, Any]] = []
        yield seen
        seen += self.requests(before)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextlib.contextmanager
def running_server(
    data_dir: Path, *, api_key: str | None = None, **options: object
) -> Iterator[RunningServer]:
    """Run ``runlake serve``; options are those of the command line, with ``_`` for ``-``."""
    data_dir.mkdir(parents=True, exist_ok=True)
    ready = data_dir / "ready.json"
    ready.unlink(missing_ok=True)
    log = data_dir / "access.jsonl"
    named: dict[str, object] = {
        "port": 0,
        "storage_port": 0,
        "data_dir": data_dir,
        "ready_file": ready,
        "access_log": log,
        **options,
    }
    command = ["-m", "runlake", "serve", "--quiet"]
    for name, value in named.items():
        command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    output = data_dir / "server.log"
    with output.open("ab") as sink:
        process = start_python(command, SERVER, stdout=sink, stderr=sink, env=bare_environment())
    server = None
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {output.read_text()}")
            time.sleep(0.02)
        facts = json.loads(ready.read_text())
        key = facts["api_key"] or api_key
        assert key, "a second start needs the key of the first"
        server = RunningServer(
            facts["base_url"], facts["storage_url"], facts["entity"], key, process, log
        )
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def bare_environment() -> dict[str, str]:
    """Return this environment without settings of wandb, proxies and the size of the terminal."""
    return {name: value for name, value in os.environ.items() if not is_setting(name)}


def is_setting(name: str) -> bool:
    """Return whether an environment variable is a setting of runlake, wandb or a proxy."""
    # Where tests run side by side, pytest sets the last two.
    is_ours = name.startswith(("WANDB_", "RUNLAKE_")) or name in {"COLUMNS", "LINES"}
    return is_ours or name.lower().endswith("_proxy")


def client_environment(server: RunningServer, directory: Path) -> dict[str, str]:
    """Return the environment of a script that logs to, or reads from, the server."""
    directory.mkdir(parents=True, exist_ok=True)
    folders = ("HOME", "WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR")
    return {
        **bare_environment(),
        **dict.fromkeys(folders, str(directory)),
        "WANDB_BASE_URL": server.base_url,
        "WANDB_API_KEY": server.api_key,
        "WANDB_ENTITY": server.entity,
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_INIT_TIMEOUT": "20",
    }


@contextlib.contextmanager
def script_under_way(
    source: str, server: RunningServer, directory: Path, *arguments: object
) -> Iterator[WarmProcess | subprocess.Popen[str]]:
    """Run Python source against the server; a test controls it through its standard input."""
    with start_python(
        ["-c", source, *map(str, arguments)],
        SDK,
        env=client_environment(server, directory),
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def next_line(script: WarmProcess | subprocess.Popen[str]) -> str:
    """Return the next line that a script prints, with its end; empty when there is none."""
    assert script.stdout is not None
    return script.stdout.readline()


def run_script(source: str, server: RunningServer, directory: Path, *arguments: object) -> str:
    """Run Python source against the server and return what it printed."""
    return run_python(["-c", source, *map(str, arguments)], server, directory)


def run_python(
    arguments: Sequence[str],
    server: RunningServer,
    directory: Path,
    *,
    cwd: Path | None = None,
    stdin: IO[str] | None = None,
) -> str:
    """Run Python with the SDK against the server and return what it printed.

    The directory has the home and the caches of the process, and is its working directory unless
    another is given.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        script = start_python(
            arguments,
            SDK,
            env=client_environment(server, directory),
            cwd=cwd or directory,
            stdin=stdin,
            stdout=output,
            stderr=errors,
        )
        try:
            script.wait(150)
        finally:
            script.kill()
        for stream in (output, errors):
            stream.seek(0)
        printed = output.read()
        assert script.returncode == 0, printed + errors.read()
    return printed


def wait_until(is_true: Callable[[], bool], seconds: float = 30, pause: float = 0.05) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
