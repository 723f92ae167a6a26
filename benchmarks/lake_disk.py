"""A lake on disk: local files of the SDK, filters over many runs, and copies out of it."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from tests.server_process import RunningServer, running_server

from benchmarks import peers
from benchmarks.local_files import write_run
from benchmarks.report import Line
from benchmarks.turns import Measured, Side, take_turns
from runlake.cache.catalog import Catalog
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LastOffer, StoredManifest
from runlake.values import RunPath

NAMES = ("local-file", "lake-runs", "lake-export")
FILE_BYTES = 300 << 20
# The peers take some milliseconds of CPU a row or more: they read a shorter file.
PEER_BYTES = 20 << 20
N_RUNS = 100_000
N_AT_ONCE = 1_000
MOST_SECONDS, MOST_PAGE_SECONDS = 0.3, 0.02
N_EXPORTED, EXPORTED_BYTES = 20, 4 << 20


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the rows of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    with running_server(folder / "server", export_rows=50_000) as server:
        if "local-file" in wanted:
            yield from _local_file(server, folder / "local")
        if "lake-runs" in wanted:
            yield from _runs(server, folder / "runs")
        if "lake-export" in wanted:
            yield _export(server, folder / "export")


def _local_file(server: RunningServer, folder: Path) -> Iterator[Line]:
    long, short = (_written(server, folder / name, n) for name, n in _SIZES.items())
    ours = Side(peers.LAKE_ADD, server, folder / "ours", str(long[0]), _cache(folder / "ours"))
    (mine,) = take_turns(ours, rounds=1, is_warmed=False)
    assert mine.count == long[1], (mine.count, long[1])
    work = f"a million rows of a .wandb file of {FILE_BYTES >> 20} MB, to a run"
    mine = _per_million(mine)
    for name, script in (("wandb sync", peers.WANDB_SYNC), ("leet inspect", peers.LEET_INSPECT)):
        side = Side(script, server, folder / script[:1], str(short[0]), {})
        with contextlib.suppress(OSError):
            (theirs,) = take_turns(side, rounds=1, is_warmed=False)
            peer = f"{name}, {PEER_BYTES >> 20} MB"
            yield Line.at_least(work, mine, _per_million(theirs, short[1]), None, peer)


_SIZES = {"long": FILE_BYTES, "short": PEER_BYTES}


def _written(server: RunningServer, folder: Path, n_bytes: int) -> tuple[Path, int]:
    file = folder / f"offline-run-20260101_000000-{folder.name}" / f"run-{folder.name}.wandb"
    return file, write_run(file, server.entity, folder.name, n_bytes)


def _cache(folder: Path) -> dict[str, str]:
    return {"folder": str(folder / "out")}


def _per_million(measured: Measured, n_rows: int | None = None) -> Measured:
    """Return the time that a million rows take."""
    count = n_rows or measured.count
    return Measured(tuple(seconds * 1e6 / count for seconds in measured.seconds), 1_000_000)


def _runs(server: RunningServer, folder: Path) -> Iterator[Line]:
    root = folder / "cache"
    note_runs(root, N_RUNS)
    side = Side(peers.LAKE_RUNS, server, folder, str(root), {})
    filtered, page = take_turns(side, rounds=5)
    is_met = filtered.median <= MOST_SECONDS
    work = f"lake.runs, filter on config, {N_RUNS:,} runs, {filtered.count:,} match"
    yield Line(work, str(filtered), "", "", f"<= {MOST_SECONDS:g} s", is_met)
    is_met = page.median <= MOST_PAGE_SECONDS
    work = f"lake.runs, a page of 50 of {N_RUNS:,} runs"
    yield Line(work, str(page), "", "", f"<= {MOST_PAGE_SECONDS:g} s", is_met)


def note_runs(root: Path, n_runs: int) -> None:
    """Make a catalog of runs with 2 kB of config and summary each."""
    catalog = Catalog(root)
    drawn = random.Random(0)
    for start in range(0, n_runs, N_AT_ONCE):
        noted = []
        for number in range(start, min(start + N_AT_ONCE, n_runs)):
            path = RunPath("team", f"project{number % 10}", f"run{number:06}")
            noted.append((RunDirectory(root, "https://api.wandb.ai", path), _stored(number, drawn)))
        catalog.note_runs(noted)
    catalog.mark_all_runs()


def _stored(number: int, drawn: random.Random) -> StoredManifest:
    config = {
        "lr": 10 ** drawn.uniform(-5, -1),
        "optimizer": {"name": drawn.choice(["adam", "sgd"])},
        **{f"key{at:02}": drawn.random() for at in range(40)},
    }
    summary = {f"metric{at:02}": drawn.random() for at in range(20)} | {"_step": number}
    moment = f"2026-01-{1 + number % 28:02}T{number % 24:02}:00:00"
    state = "finished" if number % 3 else "failed"
    attrs = {
        "createdAt": moment,
        "heartbeatAt": moment,
        "displayName": f"run {number}",
        "state": state,
        "config": json.dumps({key: {"value": value} for key, value in config.items()}),
        "summaryMetrics": json.dumps(summary),
    }
    offer = LastOffer(state, moment, number, number, 0, math.nan)
    return StoredManifest({}, offer, attrs, is_pinned=True, pulled_at=1.0)


def _export(server: RunningServer, folder: Path) -> Line:
    import runlake

    for number in range(N_EXPORTED):
        run_id = f"run{number:02}"
        file = folder / "wandb" / f"offline-run-20260101_0000{number:02}-{run_id}"
        write_run(file / f"run-{run_id}.wandb", server.entity, run_id, EXPORTED_BYTES)
    root = folder / "cache"
    runlake.Lake(root, offline=True).add(folder / "wandb")
    arguments = {"root": str(root), **_cache(folder)}
    ours = Side(peers.LAKE_EXPORT, server, folder / "ours", "", arguments)
    bare = Side(peers.POLARS_COPY, server, folder / "bare", "", arguments)
    mine, theirs = take_turns(ours, bare, rounds=3)
    assert mine.count == theirs.count, (mine.count, theirs.count)
    work = f"lake.export of {N_EXPORTED} runs, {mine.count:,} rows, to Parquet"
    return Line.at_least(work, mine, theirs, None, "polars, file by file")
