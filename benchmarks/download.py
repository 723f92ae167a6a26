"""Cold pulls: against parallel curl, which only copies bytes, and against the SDK's download."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
folder, path, rounds = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def measure(fetch):
    seconds = []
    for number in range(-1, rounds):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.perf_counter()
        fetch()
        if number >= 0:
            seconds.append(time.perf_counter() - started)
    files = [f for f in folder.rglob("*") if f.suffix == ".parquet"]
    print(json.dumps({"seconds": seconds, "count": sum(f.stat().st_size for f in files)}))
"""
RUNLAKE_PULL = """
import runlake
run = runlake.Api({"cache_dir": folder}).run(path)
measure(lambda: run.pull())
"""
WANDB_PULL = """
import wandb
run = wandb.Api().run(path)
measure(lambda: run.download_history_exports(folder, require_complete_history=False))
"""
CURL = """
urls = json.loads(sys.stdin.read())
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


def measure(script: str, offer: Offer, folder: Path, rounds: int = ROUNDS) -> Measured:
    """Pull into an empty folder, again and again, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE + script, folder / "out", offer.path, str(rounds)],
        env=client_environment(offer.server, folder / "home") | {"WANDB_QUIET": "true"},
        input=json.dumps(offer.urls),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    return Measured(tuple(sorted(answer["seconds"])), answer["count"])


def compare(offer: Offer, folder: Path, work: str, peer: str, goal: float) -> Line:
    """Compare a cold pull with a peer's."""
    ours = measure(RUNLAKE_PULL, offer, folder / "ours")
    theirs = measure({"curl": CURL, "wandb": WANDB_PULL}[peer], offer, folder / peer)
    assert ours.count == theirs.count, (ours.count, theirs.count)
    ratio = theirs.median / ours.median
    return Line(
        work, str(ours), f"{peer}: {theirs}", f"{ratio:.2f}x", f">= {goal:g}x", ratio >= goal
    )


def lines(folder: Path) -> list[Line]:
    """Measure every kind of cold pull."""
    big, small = folder / "big", folder / "small"
    write_exports(big, 4, 300_000, 24)
    write_exports(small, 150, 50, 4)
    found = []
    work = f"cold pull of 4 x {next(big.iterdir()).stat().st_size / 1e6:.0f} MB"
    with served_by_runlake(folder / "server", big) as offer:
        found.append(compare(offer, folder, f"{work}, `runlake serve`", "curl", 0.9))
        found.append(compare(offer, folder, f"{work}, `runlake serve`", "wandb", 1.5))
    with served_plainly(big) as offer:
        found.append(compare(offer, folder, f"{work}, plain file server", "curl", 0.9))
        found.append(compare(offer, folder, f"{work}, plain file server", "wandb", 1.5))
    with served_plainly(small, LATENCY) as offer:
        name = f"cold pull of 150 small exports, {LATENCY * 1e3:.0f} ms latency"
        found.append(compare(offer, folder, name, "wandb", 5))
    return found
