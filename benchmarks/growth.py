"""Measures how read times and memory grow with the number of rows, keys, files and runs."""

from __future__ import annotations

import gc
import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.server_process import RunningServer

import runlake
from benchmarks.data import log_runs
from benchmarks.download import served_plainly
from benchmarks.plot import Curve, Points

ROUNDS = 5
# Reads are repeated for a second; a read that takes longer than this is measured once.
LONG_SECONDS = 20.0
REPEATED_SECONDS = 1.0
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Size:
    """A run to write: what the axis counts of it, its rows, its keys, and rows per export."""

    counted: int
    n_rows: int
    n_keys: int
    rows_per_export: int = 250_000


BY_ROWS = tuple(Size(n, n, 5) for n in (100_000, 1_000_000, 10_000_000, 50_000_000))
BY_KEYS = tuple(Size(n, 2_000, n) for n in (10, 100, 1_000, 20_000))
BY_FILES = tuple(Size(n, 200_000, 5, 200_000 // n) for n in (4, 40, 200, 1_000))
RUN_COUNTS = (1, 10, 100, 1_000, 5_000)
ROWS_PER_RUN = 100

Read = Callable[[runlake.Api, str], int]


def curves(folder: Path, server: RunningServer) -> Iterator[Curve]:
    """Measure cached runs; each read asks the backend once whether the cache is current."""
    end = {"1,000 rows of one key at the end": _read_end}
    key = {"rows of one key": _read_key}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", runlake.SampleWarning)
        yield from _by_size("rows in the run", BY_ROWS, folder / "rows", OUTPUTS | end)
        yield from _by_size("keys in the run", BY_KEYS, folder / "keys", OUTPUTS | key)
        yield from _by_size("files of the run", BY_FILES, folder / "files", OUTPUTS | key)
        yield from _by_runs(folder / "runs", server)


def _by_size(
    by: str, sizes: Sequence[Size], folder: Path, reads: dict[str, Read]
) -> Iterator[Curve]:
    """Yield a curve per kind of read."""
    every = reads | {name: read for name, (_, read) in BARE.items()}
    seconds: dict[str, Points] = dict.fromkeys(every, ())
    megabytes: dict[str, Points] = dict.fromkeys(every, ())
    for size in sizes:
        directory = folder / str(size.counted)
        _write(directory / "exports", size)
        with served_plainly(directory / "exports") as offer:
            settings = {"base_url": offer.server.base_url, "cache_dir": str(directory / "cache")}
            api = runlake.Api(settings, api_key=offer.server.api_key)
            api.run(offer.path).pull()
            for work, read in every.items():
                took, peak = _measure(partial(read, api, offer.path))
                seconds[work] += ((size.counted, took),)
                megabytes[work] += ((size.counted, peak),)
        shutil.rmtree(directory)
    is_axis_of_length = by != "keys in the run"

    def curve(work: str, floor: str = "") -> Curve:
        is_bounded = is_axis_of_length and work not in WHOLE_IN_MEMORY
        return Curve(work, by, seconds[work], megabytes[work], is_bounded, floor)

    floors = {work: f"{name}: {curve(name).slope:.2f}" for name, (work, _) in BARE.items()}
    for work in reads:
        yield curve(work, floors.get(work, ""))


def _by_runs(folder: Path, server: RunningServer) -> Iterator[Curve]:
    settings = {"base_url": server.base_url, "cache_dir": str(folder)}
    api = runlake.Api(settings, api_key=server.api_key)
    seconds: dict[str, Points] = dict.fromkeys(OF_MANY_RUNS, ())
    megabytes: dict[str, Points] = dict.fromkeys(OF_MANY_RUNS, ())
    for n_runs in RUN_COUNTS:
        project = log_runs(server, f"growth{n_runs}", n_runs, ROWS_PER_RUN)
        api.runs(project).pull()
        for work, read in OF_MANY_RUNS.items():
            took, peak = _measure(partial(read, api, project))
            seconds[work] += ((n_runs, took),)
            megabytes[work] += ((n_runs, peak),)
    for work in OF_MANY_RUNS:
        yield Curve(work, "runs in the project", seconds[work], megabytes[work], is_bounded=False)


def _read_rows(api: runlake.Api, path: str) -> int:
    return sum(1 for _ in api.run(path).beta_scan_history())


def _read_frame(api: runlake.Api, path: str) -> int:
    return api.run(path).frame().height


def _read_arrow(api: runlake.Api, path: str) -> int:
    return sum(batch.num_rows for batch in api.run(path).arrow())


def _read_sql(api: runlake.Api, path: str) -> int:
    return sum(batch.num_rows for batch in api.run(path).sql("FROM history").to_arrow_reader())


def _read_sample(api: runlake.Api, path: str) -> int:
    return len(api.run(path).history(samples=500, pandas=False))


def _read_histories_of_one(api: runlake.Api, path: str) -> int:
    runs = api.runs(path.rpartition("/")[0])
    return len(runs.histories(samples=500, keys=["key00000"], format="polars"))


def _read_keys(api: runlake.Api, path: str) -> int:
    return api.run(path).keys().height


def _read_best(api: runlake.Api, path: str) -> int:
    return api.run(path).best("key00000").step


def _read_tail(api: runlake.Api, path: str) -> int:
    return api.run(path).frame(tail=1_000).height


def _read_scan_of_runs(api: runlake.Api, path: str) -> int:
    return api.runs(path.rpartition("/")[0]).scan(None).collect().height


def _read_key(api: runlake.Api, path: str) -> int:
    return sum(1 for _ in api.run(path).beta_scan_history(keys=["key00000"]))


def _read_end(api: runlake.Api, path: str) -> int:
    run = api.run(path)
    start = run.lastHistoryStep - 999
    return sum(1 for _ in run.beta_scan_history(keys=["key00000"], min_step=start))


OUTPUTS: dict[str, Read] = {
    "rows": _read_rows,
    "frame": _read_frame,
    "arrow": _read_arrow,
    "sql": _read_sql,
    "history(samples=500)": _read_sample,
    "histories(samples=500), one key": _read_histories_of_one,
    "keys": _read_keys,
    "best": _read_best,
    "frame(tail=1000)": _read_tail,
    "Runs.scan": _read_scan_of_runs,
}


def _read_bare_sql(api: runlake.Api, path: str) -> int:
    files = sorted(map(str, api.run(path).pull().directory.glob("*.parquet")))
    found = duckdb.connect().sql(f"FROM read_parquet({files})")
    return sum(batch.num_rows for batch in found.to_arrow_reader())


# What is measured beside an output on the same files, to show which slope is left.
BARE: dict[str, tuple[str, Read]] = {"DuckDB alone": ("sql", _read_bare_sql)}
# A frame holds all rows; the others hold a batch.
WHOLE_IN_MEMORY = {"frame", "Runs.scan"}


def _read_histories(api: runlake.Api, path: str) -> int:
    runs = api.runs(path)
    return len(runs.histories(keys=["key000"], samples=ROWS_PER_RUN, format="polars"))


def _read_key_of_runs(api: runlake.Api, path: str) -> int:
    return api.runs(path).scan(["key000"]).collect().height


def _read_run_table(api: runlake.Api, path: str) -> int:
    return api.runs(path).frame().height


def _read_one_of_runs(api: runlake.Api, path: str) -> int:
    return _read_rows(api, f"{path}/run0000")


OF_MANY_RUNS: dict[str, Read] = {
    f"histories of one key, {ROWS_PER_RUN} rows each": _read_histories,
    f"Runs.scan of one key, {ROWS_PER_RUN} rows each": _read_key_of_runs,
    "Runs.frame": _read_run_table,
    "rows of one run": _read_one_of_runs,
}


def _write(folder: Path, size: Size) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for start in range(0, size.n_rows, size.rows_per_export):
        stop = min(start + size.rows_per_export, size.n_rows)
        columns = {"_step": pa.array(np.arange(start, stop))}
        for key in range(size.n_keys):
            columns[f"key{key:05}"] = pa.array(random.random(stop - start))
        file = folder / f"{start:09}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=16_384, compression="snappy")


def _measure(read: Callable[[], int]) -> tuple[float, float]:
    """Return the median seconds of some rounds, and the peak MB of the first over that before it.

    The first round is a warm-up and does not count, except for a read that takes long.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    # The peak of a process is that of its whole life until it is reset (Linux).
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    started = time.perf_counter()
    read()
    seconds = [time.perf_counter() - started]
    peak = (_resident("VmHWM") - before) / MEGABYTE
    if seconds[0] <= LONG_SECONDS:
        seconds = []
    while len(seconds) < ROUNDS and sum(seconds) < REPEATED_SECONDS:
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), peak


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
