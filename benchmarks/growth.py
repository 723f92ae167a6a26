"""How the time of a read grows: with the rows and keys it reads, and with those it does not."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.property.sources import Sources, as_sources

from runlake.values import Projection, StepRange

ROUNDS = 5
LONG_SECONDS = 3.0
ROWS_PER_EXPORT = 250_000
ROW_COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
KEY_COUNTS = (10, 100, 1_000, 10_000)
ONE_KEY = Projection(("key00000",))


@dataclass(frozen=True)
class Curve:
    """Seconds of one work by size, and the slope on logarithmic axes."""

    work: str
    by: str
    points: tuple[tuple[int, float], ...]

    @property
    def slope(self) -> float:
        """1 is linear, 0 is flat; over the larger half, where fixed costs do not count."""
        (x1, y1), (x2, y2) = self.points[-2:]
        return math.log(y2 / y1) / math.log(x2 / x1)


def curves(folder: Path) -> list[Curve]:
    """Measure exports on disk, without a backend: what is left is the reading."""
    by_rows = [(n, _run(folder / f"rows-{n}", n, 5)) for n in ROW_COUNTS]
    by_keys = [(n, _run(folder / f"keys-{n}", 2_000, n)) for n in KEY_COUNTS]
    return [
        _curve("rows", "rows in the run", by_rows, _read_all),
        _curve("frame", "rows in the run", by_rows, _read_frame),
        _curve("1,000 rows of one key at the end", "rows in the run", by_rows, _read_end),
        _curve("all keys of 2,000 rows", "keys in the run", by_keys, _read_all),
        _curve("one key of 2,000 rows", "keys in the run", by_keys, _read_key),
    ]


def _curve(
    work: str, by: str, runs: list[tuple[int, Sources]], read: Callable[[Sources], int]
) -> Curve:
    return Curve(work, by, tuple((size, _median(partial(read, run))) for size, run in runs))


def _read_all(run: Sources) -> int:
    return sum(1 for _ in run.read(Projection(), StepRange()).iter_rows(1_000))


def _read_frame(run: Sources) -> int:
    return run.read(Projection(), StepRange()).frame().height


def _read_key(run: Sources) -> int:
    return sum(1 for _ in run.read(ONE_KEY, StepRange()).iter_rows(1_000))


def _read_end(run: Sources) -> int:
    start = run.pulled.manifest.last_step - 999
    return sum(1 for _ in run.read(ONE_KEY, StepRange(start)).iter_rows(1_000))


def _run(directory: Path, n_rows: int, n_keys: int) -> Sources:
    return as_sources(directory, _write(directory, n_rows, n_keys))


def _write(directory: Path, n_rows: int, n_keys: int) -> list[Path]:
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    files = []
    for start in range(0, n_rows, ROWS_PER_EXPORT):
        stop = min(start + ROWS_PER_EXPORT, n_rows)
        columns = {"_step": pa.array(np.arange(start, stop))}
        for key in range(n_keys):
            columns[f"key{key:05}"] = pa.array(random.random(stop - start))
        file = directory / f"{start:09}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=16_384, compression="zstd")
        files.append(file)
    return files


def _median(read: Callable[[], int]) -> float:
    """Return the seconds of a round: five of them, but one where it takes long."""
    seconds: list[float] = []
    read()
    while len(seconds) < ROUNDS and sum(seconds) < LONG_SECONDS:
        started = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
