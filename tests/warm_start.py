"""Starts Python processes as forks of one that has imported what they need.

Importing the SDK, or the embedded backend, takes longer than most tests that need such a process.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

TEMPLATE = Path(__file__).with_name("warm_template.py")
# What `runlake serve` imports before it answers.
SERVER = (
    "runlake.cli.main",
    "runlake.server.command",
    "runlake.server.serve",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)
# What scripts import that log with the SDK, or read with it.
SDK = ("wandb", "wandb.apis.public", "wandb.sdk.wandb_init", "pandas")
# What a client imports, without polars: its queries hang in a fork of a process that has it.
CLIENT = ("runlake.public.api", "runlake.history.decode.decode", "duckdb")


def start_python(
    arguments: Sequence[str],
    modules: tuple[str, ...],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: IO[Any] | int | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | None = None,
) -> WarmProcess | subprocess.Popen[str]:
    """Start ``python ARGUMENT...`` with some modules imported; the rest is as for ``Popen``."""
    # Elsewhere libraries of the system do not survive a fork, and figures of coverage are written
    # by processes that start with them.
    if sys.platform != "linux" or "COVERAGE_PROCESS_CONFIG" in os.environ:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=env,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
    with contextlib.ExitStack() as theirs:
        our_end, given = _opened(theirs, stdin, 0)
        printed_end, printed = _opened(theirs, stdout, 1)
        _, errors = _opened(theirs, stderr, 2)
        report, end = os.pipe()
        theirs.callback(os.close, end)
        folder = str(cwd or Path.cwd())
        request = {"arguments": arguments, "environment": dict(env), "folder": folder}
        template(modules).send(request, (given, printed, errors, end))
    return WarmProcess(report, our_end, printed_end)


def _opened(
    theirs: contextlib.ExitStack, stream: IO[Any] | int | None, number: int
) -> tuple[IO[str] | None, int]:
    """Return our end of a stream, if it is a pipe, and the descriptor for the process."""
    if stream is None:
        return None, number
    if stream != subprocess.PIPE:
        return None, stream if isinstance(stream, int) else stream.fileno()
    read, write = os.pipe()
    ours, other = (write, read) if number == 0 else (read, write)
    theirs.callback(os.close, other)
    return os.fdopen(ours, "w" if number == 0 else "r", encoding="utf-8"), other


class WarmProcess:
    """A process that a template has forked; it has what tests use of ``subprocess.Popen``."""

    def __init__(self, report: int, stdin: IO[str] | None, stdout: IO[str] | None) -> None:
        self.stdin, self.stdout = stdin, stdout
        self.returncode: int | None = None
        self._report = report
        self.pid = int(self._next_line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.wait()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            # Not `select`: it knows no descriptors above 1,023, and many tests leave some open.
            poll = select.poll()
            poll.register(self._report, select.POLLIN)
            if not poll.poll(None if timeout is None else max(0, timeout) * 1000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._next_line())
            os.close(self._report)
        return self.returncode

    def communicate(
        self, given: str | None = None, timeout: float | None = None
    ) -> tuple[str | None, None]:
        if self.stdin is not None:
            with self.stdin:
                self.stdin.write(given or "")
        printed = None
        if self.stdout is not None:
            with self.stdout:
                printed = self.stdout.read()
        self.wait(timeout)
        return printed, None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # It may have ended after the template last reported.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _next_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            read = os.read(self._report, 1)
            assert read, "the template of this process has ended"
            line += read
        return line


class Template:
    """A process that has imported some modules, and forks on request."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(TEMPLATE), str(theirs.fileno()), *modules],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def send(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors)

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


@cache
def template(modules: tuple[str, ...]) -> Template:
    """Return the template of some modules, one per session."""
    # The SDK looks at this while it is imported.
    made = Template(modules, {**os.environ, "WANDB_ERROR_REPORTING": "false"})
    atexit.register(made.close)
    return made
