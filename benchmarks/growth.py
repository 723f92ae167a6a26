"""Measures how read times grow with the number of rows, keys and runs."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.server_process import RunningServer

import runlake
from benchmarks.data import log_runs
from benchmarks.download import served_plainly
from benchmarks.plot import Curve, Points

ROUNDS = 5
LONG_SECONDS = 3.0
ROWS_PER_EXPORT = 250_000
ROW_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
KEY_COUNTS = (10, 100, 1_000, 20_000)
RUN_COUNTS = (1, 10, 100, 1_000)
ROWS_PER_RUN = 100


Read = Callable[[runlake.Api, str], int]


def curves(folder: Path, server: RunningServer) -> list[Curve]:
    """Measure cached runs; each read asks the backend once whether the cache is current."""
    return [
        *_by_size(
            "rows in the run",
            [(n, 5, folder / f"rows-{n}") for n in ROW_COUNTS],
            OUTPUTS | {"1,000 rows of one key at the end": _read_end},
        ),
        *_by_size(
            "keys in the run",
            [(2_000, n, folder / f"keys-{n}") for n in KEY_COUNTS],
            OUTPUTS | {"rows of one key": _read_key},
        ),
        *_by_runs(folder / "runs", server),
    ]


def _by_size(
    by: str, sizes: list[tuple[int, int, Path]], reads: Mapping[str, Read]
) -> Iterator[Curve]:
    """Yield a curve per kind of read; a size is rows, keys, and where to write them."""
    points: dict[str, Points] = dict.fromkeys(reads, ())
    for n_rows, n_keys, directory in sizes:
        _write(directory, n_rows, n_keys)
        size = n_rows if "rows" in by else n_keys
        with served_plainly(directory / "exports") as offer:
            settings = {"base_url": offer.server.base_url, "cache_dir": str(directory / "cache")}
            api = runlake.Api(settings, api_key=offer.server.api_key)
            for work, read in reads.items():
                points[work] += ((size, _median(partial(read, api, offer.path))),)
        shutil.rmtree(directory)
    for work in reads:
        yield Curve(work, by, points[work])


def _by_runs(folder: Path, server: RunningServer) -> Iterator[Curve]:
    settings = {"base_url": server.base_url, "cache_dir": str(folder)}
    api = runlake.Api(settings, api_key=server.api_key)
    every: Points = ()
    one: Points = ()
    for n_runs in RUN_COUNTS:
        project = log_runs(server, f"growth{n_runs}", n_runs, ROWS_PER_RUN)
        runs = api.runs(project)
        every += ((n_runs, _median(partial(_read_runs, runs))),)
        one += ((n_runs, _median(partial(_read_rows, api, f"{project}/run0000"))),)
    by = "runs in the project"
    yield Curve(f"one key of all runs, {ROWS_PER_RUN} rows each", by, every)
    yield Curve("all keys of one run", by, one)


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


def _read_keys(api: runlake.Api, path: str) -> int:
    return api.run(path).keys().height


def _read_best(api: runlake.Api, path: str) -> int:
    return api.run(path).best("key00000").step


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
    "keys": _read_keys,
    "best": _read_best,
    "Runs.scan": _read_scan_of_runs,
}


def _read_runs(runs: runlake.Runs) -> int:
    return len(runs.histories(keys=["key000"], samples=ROWS_PER_RUN, format="polars"))


def _write(directory: Path, n_rows: int, n_keys: int) -> None:
    exports = directory / "exports"
    exports.mkdir(parents=True)
    random = np.random.default_rng(0)
    for start in range(0, n_rows, ROWS_PER_EXPORT):
        stop = min(start + ROWS_PER_EXPORT, n_rows)
        columns = {"_step": pa.array(np.arange(start, stop))}
        for key in range(n_keys):
            columns[f"key{key:05}"] = pa.array(random.random(stop - start))
        file = exports / f"{start:09}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=16_384, compression="snappy")


def _median(read: Callable[[], int]) -> float:
    """Return the median seconds of five rounds, or of one round if it takes long."""
    seconds: list[float] = []
    read()
    while len(seconds) < ROUNDS and sum(seconds) < LONG_SECONDS:
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
