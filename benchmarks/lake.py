"""Pulls of a project of many runs into a lake: cold beside curl and the SDK, and unchanged."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from tests.faults.fault_server import API_KEY
from tests.server_process import RunningServer

from benchmarks import peers
from benchmarks.report import Line
from benchmarks.turns import Measured, Side, take_turns

NAMES = ("lake-cold", "lake-unchanged")
N_RUNS = 1_000
# The SDK takes a tenth of a second per run: it pulls some of them.
N_SDK_RUNS = 50
LATENCY = 0.03
MOST_SECONDS = 3.0
SERVER = """
import json, sys
from tests.faults.project_server import ProjectServer
with ProjectServer(int(sys.argv[1])) as server:
    server.latency = float(sys.argv[2])
    urls = [server.url(name) for name in server.fields]
    told = {"base_url": server.base_url, "path": server.path, "urls": urls}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _project(folder: Path) -> Iterator[tuple[RunningServer, str, list[str]]]:
    """Serve a project of small runs, each request after a delay."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(N_RUNS), str(LATENCY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        url = told["base_url"]
        server = RunningServer(url, url, "team", API_KEY, process, folder / "log")
        yield server, told["path"], told["urls"]
    finally:
        process.kill()
        process.wait()


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the pulls of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    with _project(folder) as (server, path, urls):

        def side(script: str, name: str) -> Side:
            arguments = {"folder": str(folder / name / "out"), "urls": urls, "n_runs": N_SDK_RUNS}
            return Side(script, server, folder / name, path, arguments)

        if "lake-cold" in wanted:
            floor = side(peers.CHECKED_FILES, "floor")
            curl = side(peers.CURL_PARALLEL, "curl")
            yield from _cold(side(peers.LAKE_PULL, "ours"), curl, floor)
            yield _beside_sdk(side(peers.LAKE_PULL, "ours"), side(peers.WANDB_PULLS, "wandb"))
        if "lake-unchanged" in wanted:
            yield _unchanged(side(peers.LAKE_UNCHANGED, "unchanged"))


def _cold(ours: Side, curl: Side, floor: Side) -> Iterator[Line]:
    mine, theirs, least = take_turns(ours, curl, floor, rounds=3)
    assert mine.count == theirs.count == least.count, (mine.count, theirs.count, least.count)
    work = f"cold pull of {N_RUNS:,} runs, {LATENCY * 1e3:.0f} ms latency"
    line = Line.at_least(work, mine, theirs, 1 / 1.5, "curl --parallel")
    yield replace(line, floor=f"checks and files alone, without requests: {least}")


def _beside_sdk(ours: Side, sdk: Side) -> Line:
    mine, theirs = take_turns(ours, sdk, rounds=2)
    # The SDK's loop takes the same time for each run.
    scale = N_RUNS / N_SDK_RUNS
    scaled = Measured(tuple(seconds * scale for seconds in theirs.seconds), theirs.count)
    work = f"cold pull of {N_RUNS:,} runs, {LATENCY * 1e3:.0f} ms latency"
    peer = f"wandb, {N_SDK_RUNS} runs x {scale:.0f}"
    return Line.at_least(work, mine, scaled, 10, peer)


def _unchanged(side: Side) -> Line:
    (measured,) = take_turns(side, rounds=3)
    n_requests = measured.count
    is_met = measured.median < MOST_SECONDS and n_requests <= N_RUNS / 50 + 5
    work = f"pull of {N_RUNS:,} unchanged runs, {n_requests} requests"
    return Line(work, str(measured), "", "", f"< {MOST_SECONDS:g} s, <= 25 requests", is_met)
