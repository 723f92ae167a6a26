"""Debian's PostgreSQL on loopback, for tests; no root, no daemon of the system."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS = 60.0
MISSING = "PostgreSQL is not installed: as root, `make postgresql` installs Debian's."


def find_programs() -> Path | None:
    """Return the directory with ``initdb`` and ``postgres``; None if they are not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    places += [Path(on_path).parent] if on_path else []
    return next((one for one in places if (one / "initdb").exists()), None)


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the URL of a new database; the test is skipped if PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip(MISSING)
    # It refuses to run as root.
    user = "nobody" if os.getuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="runlake-postgres-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        if user is not None:
            shutil.chown(home, user)
        data = home / "data"
        initialize: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "lake",
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(initialize, user=user, cwd=home, check=True, capture_output=True)
        port = _free_port()
        options: list[str | Path] = [
            "-c",
            "listen_addresses=127.0.0.1",
            "-k",
            home,
            "-c",
            "fsync=off",
        ]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(port), *options],
                user=user,
                cwd=home,
                stdout=log,
                stderr=log,
            )
        _wait(process, port, home / "log")
        yield f"postgresql+pg8000://lake@127.0.0.1:{port}/postgres"
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import pg8000.dbapi

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            pg8000.dbapi.connect(
                user="lake", host="127.0.0.1", port=port, database="postgres"
            ).close()
        except pg8000.dbapi.Error:  # not ready yet
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
