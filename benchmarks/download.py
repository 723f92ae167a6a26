"""Pulls into an empty cache, against parallel curl (which only copies bytes) and the SDK."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.http_logging import LoggedRun, steps
from tests.server_process import RunningServer, running_server, wait_until

from benchmarks import peers
from benchmarks.report import Line
from benchmarks.turns import Measured, Side, take_turns
from runlake.server.app import open_backend
from runlake.server.runs.runs import Limits

ROUNDS = 7
# Where a round of both sides takes 8 s or more.
FEW_ROUNDS = 3
LATENCY = 0.05
LINK = 50e6  # bytes per second
FLOORS = {
    peers.CHECKED_COPIES: "receive, check and write alone",
    peers.CURL_PARALLEL: "the requests alone, by curl --parallel",
}
PLAIN_SERVER = """
import json, pathlib, sys, time
from tests.faults.fault_server import FaultServer
with FaultServer() as server:
    server.latency, server.bytes_per_second = float(sys.argv[2]), float(sys.argv[3])
    server.offer(**{file.stem: file for file in sorted(pathlib.Path(sys.argv[1]).iterdir())})
    urls = [server.url(name) for name in server.exports]
    print(json.dumps({"base_url": server.base_url, "urls": urls}), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Offer:
    """A run to pull: its server, and the URLs of its exports for peers that need them."""

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


def needed_bytes(file: Path, columns: set[str]) -> int:
    """Return the length of the chunks of some columns, and of the footer."""
    metadata = pq.read_metadata(file)
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    wanted: int = sum(c.total_compressed_size for c in chunks if c.path_in_schema in columns)
    # After the footer come its length and the magic number, 4 bytes each (Parquet format).
    return wanted + int(metadata.serialized_size) + 8


@contextlib.contextmanager
def served_plainly(
    folder: Path, latency: float = 0.0, bytes_per_second: float = 0.0
) -> Iterator[Offer]:
    """Serve files with ``sendfile``, each request after a delay, or over a link of a bandwidth."""
    process = subprocess.Popen(
        [sys.executable, "-c", PLAIN_SERVER, str(folder), str(latency), str(bytes_per_second)],
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
        run_id = run["id"]
        wait_until(lambda: len(backend.runs.export_objects(run_id)) == len(files), 120)
        names = backend.runs.export_objects(run_id)
        for name, file in zip(names, files, strict=True):
            backend.storage.write(name, partial(shutil.copyfile, file))
        yield Offer(server, logged.path, [backend.storage.sign("GET", name) for name in names])


def compare(
    offer: Offer,
    folder: Path,
    work: str,
    scripts: tuple[str, str],
    goal: float,
    rounds: int = ROUNDS,
    floor: str = "",
) -> Line:
    """Compare a pull into an empty cache with a peer's, and with a floor of `FLOORS`."""
    return measure_against(offer, folder, work, scripts, goal, rounds, floor)[0]


def measure_against(
    offer: Offer,
    folder: Path,
    work: str,
    scripts: tuple[str, str],
    goal: float,
    rounds: int = ROUNDS,
    floor: str = "",
) -> tuple[Line, Measured]:
    """Return the comparison, and runlake's own times."""
    peer = "curl" if scripts[1] == peers.CURL else "wandb"
    floors = [floor] if floor else []
    sides = [
        Side(
            script,
            offer.server,
            folder / name / "home",
            offer.path,
            {"folder": str(folder / name / "out"), "urls": offer.urls},
        )
        for script, name in zip(
            (*scripts, *floors), ("ours", peer, *("floor" for _ in floors)), strict=True
        )
    ]
    measured = take_turns(*sides, rounds=rounds)
    ours, theirs = measured[:2]
    assert len({one.count for one in measured}) == 1, (work, measured)
    line = Line.at_least(work, ours, theirs, goal, peer)
    if floor:
        line = replace(line, floor=f"{FLOORS[floor]}: {measured[2]}")
    return line, ours


NAMES = ("pulls", "small-pulls", "link-pulls", "key-pulls")


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the pulls of these names, each into an empty cache."""
    if "pulls" in wanted:
        yield from _large(folder)
    if "small-pulls" in wanted:
        yield from _small(folder)
    if "link-pulls" in wanted:
        yield from _over_link(folder)
    if "key-pulls" in wanted:
        yield from _key(folder)


def _large(folder: Path) -> Iterator[Line]:
    big = folder / "big"
    write_exports(big, 4, 300_000, 24)
    size = next(big.iterdir()).stat().st_size / 1e6
    for server, serving in (
        ("`runlake serve`", served_by_runlake(folder / "server", big)),
        ("plain file server", served_plainly(big)),
    ):
        work = f"cold pull of 4 x {size:.0f} MB, {server}"
        script = f"{work}, as a script"
        scripts = (peers.RUNLAKE_PULL_SCRIPT, peers.WANDB_PULL_SCRIPT)
        with serving as offer:
            for peer, goal in ((peers.CURL, 0.9), (peers.WANDB_PULL, 1)):
                sides = (peers.RUNLAKE_PULL, peer)
                yield compare(offer, folder, work, sides, goal, floor=peers.CHECKED_COPIES)
            yield compare(offer, folder, script, scripts, 1)


def _small(folder: Path) -> Iterator[Line]:
    small = folder / "small"
    write_exports(small, 150, 50, 4)
    for latency in (0.0, LATENCY):
        work = f"150 small exports, {latency * 1e3:.0f} ms latency"
        scans = (peers.RUNLAKE_COLD_SCAN, peers.WANDB_COLD_SCAN)
        pulls = (peers.RUNLAKE_PULL, peers.WANDB_PULL)
        with served_plainly(small, latency) as offer:
            rounds = FEW_ROUNDS if latency else ROUNDS
            yield compare(offer, folder, f"cold scan of {work}", scans, 1, rounds)
            pull = f"cold pull of {work}"
            yield compare(offer, folder, pull, pulls, 1, floor=peers.CURL_PARALLEL)


def _over_link(folder: Path) -> Iterator[Line]:
    """Measure pulls over a network with a bandwidth, and compare one with the network's floor."""
    pulls = (peers.RUNLAKE_PULL, peers.WANDB_PULL)
    many = folder / "many"
    write_exports(many, 1_000, 1_000, 7)
    n_bytes = sum(file.stat().st_size for file in many.iterdir())
    work = f"cold pull of 1,000 x {n_bytes / 1e6:.0f} kB, 50 ms latency, 50 MB/s"
    with served_plainly(many, LATENCY, LINK) as offer:
        line, ours = measure_against(offer, folder, work, pulls, 1)
    # A request for the list, a connection, and the first answer: then the link is busy.
    floor = n_bytes / LINK + 3 * LATENCY
    yield line
    yield Line(
        f"{work}: the network's floor",
        str(ours),
        f"floor: {floor:.2f} s",
        f"{ours.median / floor:.2f}",
        "<= 1.5",
        ours.median / floor <= 1.5,
    )
    shutil.rmtree(many)
    long = folder / "long"
    write_exports(long, 4, 300_000, 24)
    with served_plainly(long, 0.0, LINK) as offer:
        line = compare(offer, folder, "cold pull of 4 x 60 MB, 50 MB/s", pulls, 1, FEW_ROUNDS)
    seconds = sum(file.stat().st_size for file in long.iterdir()) / LINK
    yield replace(line, floor=f"the network alone: {seconds:.2f} s")
    shutil.rmtree(long)


def _key(folder: Path) -> Iterator[Line]:
    """Count the bytes of one key of many long exports, and measure the pull of the key."""
    keyed = folder / "keyed"
    write_exports(keyed, 200, 9_800, 13)
    needed = sum(needed_bytes(file, {"_step", "key1"}) for file in keyed.iterdir())
    for latency, bandwidth in ((0.0, 0.0), (LATENCY, LINK)):
        network = "50 ms latency, 50 MB/s" if latency else "loopback"
        with served_plainly(keyed, latency, bandwidth) as offer:
            side = Side(
                peers.RUNLAKE_KEY_PULL,
                offer.server,
                folder / "ours" / "home",
                offer.path,
                {"folder": str(folder / "ours" / "out"), "keys": ["key1"]},
            )
            (ours,) = take_turns(side, rounds=3)
            counted = replace(side, script=peers.RUNLAKE_KEY_BYTES)
            (fetched,) = take_turns(counted, rounds=1, is_warmed=False)
        ratio = fetched.count / needed
        yield Line(
            f"cold pull of one key of 200 x 1.1 MB, {network}: {fetched.count:,} bytes",
            str(ours),
            f"needed: {needed:,} bytes",
            f"{ratio:.2f}x",
            "<= 1.3x",
            ratio <= 1.3,
        )
    shutil.rmtree(keyed)
