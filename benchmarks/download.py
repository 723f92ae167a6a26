"""Cold pulls: against parallel curl, which only copies bytes, and against the SDK's download."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.http_logging import LoggedRun, steps
from tests.server_process import RunningServer, client_environment, running_server

from benchmarks.peers import Measured
from benchmarks.report import Line
from runlake.server.app import open_backend
from runlake.server.runs import Limits

ROUNDS = 7
LATENCY = 0.05
_MEASURE = """
import json, pathlib, shutil, subprocess, sys, time
out, sys.stdout = sys.stdout, sys.stderr
folder, path, urls = pathlib.Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
def measure(fetch):
    for _ in sys.stdin:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        count = fetch()
        seconds = time.perf_counter() - started
        if count is None:
            count = sum(f.stat().st_size for f in folder.rglob("*") if f.suffix == ".parquet")
        print(json.dumps({"seconds": seconds, "count": count}), file=out, flush=True)
"""
RUNLAKE_PULL = """
import runlake
run = runlake.Api({"cache_dir": folder}).run(path)
measure(lambda: run.pull() and None)
"""
RUNLAKE_SCAN = """
import runlake
run = runlake.Api({"cache_dir": folder}).run(path)
measure(lambda: sum(1 for _ in run.beta_scan_history()))
"""
RUNLAKE_SCRIPT = """
code = "import sys, runlake; runlake.Api({'cache_dir': sys.argv[1]}).run(sys.argv[2]).pull()"
measure(lambda: subprocess.check_call([sys.executable, "-c", code, folder, path]) or None)
"""

WANDB_PULL = """
import wandb
run = wandb.Api().run(path)
measure(lambda: run.download_history_exports(folder) and None)
"""
WANDB_SCAN = """
import os, wandb
os.environ["WANDB_CACHE_DIR"] = str(folder)
run = wandb.Api().run(path)
measure(lambda: sum(1 for _ in run.beta_scan_history()))
"""
WANDB_SCRIPT = """
code = "import sys, wandb; wandb.Api().run(sys.argv[2]).download_history_exports(sys.argv[1])"
measure(lambda: subprocess.check_call([sys.executable, "-c", code, folder, path]) or None)
"""
CURL = """
def fetch():
    started = [
        subprocess.Popen(["curl", "--silent", "--output", folder / f"{i}.parquet", url])
        for i, url in enumerate(urls)
    ]
    assert [one.wait() for one in started] == [0] * len(urls)
measure(fetch)
"""
PLAIN_SERVER = """
import json, pathlib, sys, time
from tests.faults.fault_server import FaultServer
with FaultServer() as server:
    server.latency = float(sys.argv[2])
    server.offer(**{file.stem: file for file in sorted(pathlib.Path(sys.argv[1]).iterdir())})
    urls = [server.url(name) for name in server.exports]
    print(json.dumps({"base_url": server.base_url, "urls": urls}), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Offer:
    """A run to pull: who serves it, and the URLs of its exports for whoever cannot ask."""

    server: RunningServer
    path: str
    urls: list[str]


def write_exports(folder: Path, n_files: int, n_rows: int, n_keys: int) -> None:
    """Write Parquet files of doubles that do not compress: 8 bytes a cell."""
    folder.mkdir(parents=True)
    for number in range(n_files):
        noise = np.random.default_rng(number)
        columns: dict[str, object] = {
            "_step": np.arange(number * n_rows, (number + 1) * n_rows, dtype=np.int64)
        }
        columns |= {f"key{i}": noise.random(n_rows) for i in range(n_keys)}
        file = folder / f"export{number:03d}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=50_000, use_dictionary=False)


@contextlib.contextmanager
def served_plainly(folder: Path, latency: float = 0.0) -> Iterator[Offer]:
    """Serve files by ``sendfile``, each request after a wait."""
    process = subprocess.Popen(
        [sys.executable, "-c", PLAIN_SERVER, str(folder), str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        base_url = told["base_url"]
        server = RunningServer(base_url, base_url, "team", API_KEY, process, folder / "log")
        yield Offer(server, RUN_PATH, told["urls"])
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def served_by_runlake(folder: Path, exports: Path) -> Iterator[Offer]:
    """Serve the files as the exports of a logged run, by ``runlake serve``."""
    files = sorted(exports.iterdir())
    with running_server(folder, export_rows=10) as server:
        logged = LoggedRun(server, "big", "bench")
        logged.log(*steps(0, 10 * len(files))).finish()
        limits = Limits(10, 300.0)
        backend = open_backend(folder, server.storage_url, limits=limits, url_expiry=3600.0)
        run = backend.runs.find(server.entity, "bench", "big")
        assert run is not None
        names = backend.runs.export_objects(run["id"])
        for name, file in zip(names, files, strict=True):
            backend.storage.file(name).write_bytes(file.read_bytes())
            backend.storage.adopt(name)
        yield Offer(server, logged.path, [backend.storage.sign("GET", name) for name in names])


@contextlib.contextmanager
def measuring(script: str, offer: Offer, folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Start a process that measures a round, into an empty folder, whenever it is told to."""
    arguments = (str(folder / "out"), offer.path, json.dumps(offer.urls))
    with subprocess.Popen(
        [sys.executable, "-c", _MEASURE + script, *arguments],
        env=client_environment(offer.server, folder / "home") | {"WANDB_QUIET": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as process:

        def measure() -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("again\n")
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        try:
            yield measure
        finally:
            process.kill()


def compare(offer: Offer, folder: Path, work: str, scripts: tuple[str, str], goal: float) -> Line:
    """Compare a cold pull with a peer's, turn by turn, so that both meet the same moods."""
    peer = "wandb" if "wandb" in scripts[1] else "curl"
    with (
        measuring(scripts[0], offer, folder / "ours") as pull,
        measuring(scripts[1], offer, folder / peer) as fetch,
    ):
        rounds = [(pull(), fetch()) for _ in range(ROUNDS + 1)][1:]
    counts = {answer["count"] for pair in rounds for answer in pair}
    assert len(counts) == 1, counts
    ours, theirs = (
        Measured(tuple(sorted(pair[side]["seconds"] for pair in rounds)), counts.copy().pop())
        for side in (0, 1)
    )
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in rounds)
    return Line(
        work, str(ours), f"{peer}: {theirs}", f"{ratio:.2f}x", f">= {goal:g}x", ratio >= goal
    )


def lines(folder: Path) -> list[Line]:
    """Measure every kind of cold pull."""
    big, small = folder / "big", folder / "small"
    write_exports(big, 4, 300_000, 24)
    write_exports(small, 150, 50, 4)
    size = next(big.iterdir()).stat().st_size / 1e6
    found = []
    for server, serving in (
        ("`runlake serve`", served_by_runlake(folder / "server", big)),
        ("plain file server", served_plainly(big)),
    ):
        work = f"cold pull of 4 x {size:.0f} MB, {server}"
        with serving as offer:
            found += [
                compare(offer, folder, work, (RUNLAKE_PULL, CURL), 0.9),
                compare(offer, folder, work, (RUNLAKE_PULL, WANDB_PULL), 1.5),
                compare(offer, folder, f"{work}, as a script", (RUNLAKE_SCRIPT, WANDB_SCRIPT), 1.5),
            ]
    with served_plainly(small, LATENCY) as offer:
        work = f"150 small exports, {LATENCY * 1e3:.0f} ms latency"
        found += [
            compare(offer, folder, f"cold scan of {work}", (RUNLAKE_SCAN, WANDB_SCAN), 5),
            compare(offer, folder, f"cold pull of {work}", (RUNLAKE_PULL, WANDB_PULL), 1),
        ]
    return found
