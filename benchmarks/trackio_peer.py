"""trackio's dashboard over the same runs, in an environment of its own below ``.venvs``."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from playwright.sync_api import Error as BrowserError

from benchmarks.data import Shape

PLACE = Path(__file__).parents[1] / ".venvs" / "trackio"
PACKAGE = "trackio==0.43.0"
ROUNDS = 3
PATIENCE = 60_000
# How long it may take to store the runs and to begin to serve them.
START_SECONDS = 120
ROWS_AT_ONCE = 20_000
# Logs rows and serves the dashboard, without a request to any other host.
SERVE = """
import json, math, os, sys
shape, n_runs, rows_at_once = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
import trackio
from trackio.sqlite_storage import SQLiteStorage
keys = [f"key{key:03d}" for key in range(shape["n_keys"])]
for index in range(n_runs):
    name = f"{shape['name']}{index:04}"
    config = {"lr": 10.0 ** -(index % 4), "seed": index}
    for start in range(0, shape["n_steps"], rows_at_once):
        steps = list(range(start, min(start + rows_at_once, shape["n_steps"])))
        rows = [
            {key: math.exp(-step / shape["n_steps"]) + at for at, key in enumerate(keys)}
            for step in steps
        ]
        SQLiteStorage.bulk_log("bench", name, rows, steps=steps, config=config)
found = trackio.show("bench", open_browser=False, block_thread=False)
print("READY", found[1], flush=True)
sys.stdin.read()
"""
IS_DRAWN = "() => document.querySelector('canvas.marks, .marks svg') && performance.now()"


class NotServedError(Exception):
    """The dashboard does not show the runs, for the reason that the text names."""


@dataclass(frozen=True)
class Times:
    """What was measured of a dashboard, as text for a table."""

    interactive: str = ""
    first: str = ""


@dataclass(frozen=True)
class Peer:
    """trackio's dashboard, if it could be installed.

    Parameters
    ----------
    folder : Path
        Where it stores runs.
    python : Path or None
        The Python of its environment.
    reason : str
        Why it is not measured; empty if it is.
    """

    folder: Path
    python: Path | None
    reason: str = ""

    def open_project(self, browser: Browser, n_runs: int, shape: Shape) -> Times:
        """Measure how long its dashboard of a project takes."""
        if self.python is None:
            return Times()
        try:
            with self._served(shape, n_runs) as url:
                loads = [_load(browser, url) for _ in range(ROUNDS)]
        except NotServedError as error:
            return Times(f"trackio: {error}", f"trackio: {error}")
        interactive = statistics.median(load[0] for load in loads)
        drawn = [load[1] for load in loads if load[1] is not None]
        first = "no chart within 60 s"
        if drawn:
            first = f"{statistics.median(drawn):.2f} s"
        return Times(f"trackio: {interactive:.2f} s", f"trackio: {first}")

    def zoom(self, browser: Browser, shape: Shape) -> str:
        """Measure how long its dashboard takes to show a long run; it has no finer points."""
        if self.python is None:
            return ""
        try:
            with self._served(shape, 1) as url:
                _, first = _load(browser, url)
        except NotServedError as error:
            return f"trackio: {error}"
        if first is None:
            return "trackio draws no chart of the run within 60 s"
        return f"trackio: first chart after {first:.2f} s; its zoom reads no finer points"

    @contextlib.contextmanager
    def _served(self, shape: Shape, n_runs: int) -> Iterator[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = [json.dumps(asdict(shape)), str(n_runs), str(ROWS_AT_ONCE)]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "TRACKIO_DIR": str(self.folder / f"{shape.name}-{n_runs}"),
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        process = subprocess.Popen(
            [str(self.python), "-c", SERVE, *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # Its output ends with it.
        limit = threading.Timer(START_SECONDS, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            lines: Any = iter(process.stdout.readline, "")
            url = next((one.split()[1] for one in lines if one.startswith("READY ")), None)
            if url is None:
                is_late = process.wait(30) == -signal.SIGKILL
                took = f"took more than {START_SECONDS} s to store them" if is_late else "failed"
                raise NotServedError(f"not measured, it {took}")
            limit.cancel()
            yield f"{url.rstrip('/')}/?project=bench"
        finally:
            limit.cancel()
            process.kill()
            process.wait(30)


@contextlib.contextmanager
def trackio_peer(folder: Path, *, is_wanted: bool) -> Iterator[Peer]:
    """Install trackio, if it is wanted and that is possible, and yield the peer."""
    if not is_wanted:
        yield Peer(folder, None, "trackio was not measured.")
        return
    python = PLACE / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", PACKAGE],
            check=True,
            capture_output=True,
            timeout=600,
        )
    except (OSError, subprocess.SubprocessError):
        reason = f"{PACKAGE} could not be installed, so it was not measured."
        print(reason)
        yield Peer(folder, None, reason)
        return
    yield Peer(folder, python)


def _load(browser: Browser, url: str) -> tuple[float, float | None]:
    """Return seconds until the scripts have run, and until the first chart; None if there is none.

    The dashboard is an empty page whose scripts fetch everything: it counts as interactive when
    its first fetches have ended.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        page.goto(url)
        first = None
        with contextlib.suppress(BrowserError):
            shown = page.wait_for_function(IS_DRAWN, timeout=PATIENCE, polling=20)
            first = float(shown.json_value()) / 1e3
        timing = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        return float(page.evaluate(timing)) / 1e3, first
    finally:
        context.close()
