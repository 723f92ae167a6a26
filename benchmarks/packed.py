"""Packed tables of one lake: pack, read, append and commit, beside bare polars on the same values.

Each time is the processor time of the best of several turns, and the wall time of that turn.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.cached_runs import store_run

import runlake
from benchmarks.report import Line
from runlake.cache.catalog import Catalog
from runlake.lake.packed.commit import commit_state
from runlake.lake.packed.place import RUNS, STATS, TABLES, PackedPlace
from runlake.lake.packed.read import PackedRead
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView, open_view
from runlake.values import Projection, Question

TURNS = 9
KEY, OTHER, RARE = "k00", "k01", "rare"
MB = 1 << 20
RUNS_PER_WRITE = 200
N_APPENDED, N_CHANGED = 50, 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    runs: int = 2_000
    steps: int = 1_000
    keys: int = 200
    commits: int = 200
    many_runs: int = 20_000
    many_keys: int = 20_000
    catalog: int = 100_000
    million: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Times:
    """Processor and wall time of a piece of work, in milliseconds."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        return f"{self.cpu:,.1f} ms CPU, {self.wall:,.1f} ms wall"


def ratio_line(work: str, ours: Times, theirs: Times, peer: str, most: float) -> Line:
    """Return a line with the ratio of processor times, and the largest ratio that is good."""
    ratio = ours.cpu / theirs.cpu
    shown, goal = f"{ratio:.2f}x", f"<= {most:g}x"
    return Line(work, str(ours), f"{peer}: {theirs}", shown, goal, ratio <= most)


def limit_line(work: str, ours: Times, most: float, peer: str = "") -> Line:
    """Return a line with a limit of the processor time, in milliseconds."""
    return Line(work, str(ours), peer, "", f"<= {most:g} ms", ours.cpu <= most)


def value_line(work: str, value: float, unit: str, most: float, peer: str = "") -> Line:
    """Return a line with a value that is not a time, and its limit."""
    shown, goal = f"{value:,.3g} {unit}", f"<= {most:g} {unit}"
    return Line(work, shown, peer, "", goal, value <= most)


def lake_in(folder: Path) -> runlake.Lake:
    """Return the lake of a folder."""
    return runlake.Lake(folder / "lake", offline=True)


def fill_lake(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Store the runs of the lake; nothing is measured."""
    lake = lake_in(folder)
    for start in range(0, sizes.runs, RUNS_PER_WRITE):
        fill(lake, range(start, min(start + RUNS_PER_WRITE, sizes.runs)), sizes)
    yield from ()


def fill(lake: runlake.Lake, numbers: range, sizes: Sizes) -> None:
    """Store runs with numbers, some of them sparse, some integers, and a few strings and lists."""
    noted = []
    columns: dict[Any, Any] = {}
    for number in numbers:
        table = history(number, sizes)
        directory, manifest, known = store_run(
            lake, f"r{number:06d}", [table], config={"lr": number}, at=number, note=False
        )
        noted.append((directory, manifest))
        columns |= known
    catalog = Catalog(lake.path)
    catalog.note_columns(columns)
    catalog.note_runs(noted)


def history(number: int, sizes: Sizes) -> pa.Table:
    """Return the history of a run."""
    random = np.random.default_rng(number)
    steps = np.arange(sizes.steps)
    found: dict[str, Any] = {"_step": steps}
    for place in range(sizes.keys - 4):
        cells = random.normal(size=sizes.steps).cumsum()
        found[f"k{place:02d}"] = pa.array(cells, mask=steps % 10 != 0 if place % 5 == 4 else None)
    found[RARE] = pa.array(random.normal(size=sizes.steps), mask=steps % 50 != 0)
    found["count"] = steps * number
    found["text"] = pa.array([f"t{step % 7}" for step in steps], mask=steps % 20 != 0)
    found["list"] = pa.array([[step, number] for step in steps], mask=steps % 100 != 0)
    return pa.table(found)


# `ru_maxrss` would count the memory of the process that started this one too.
PACK = """
import sys, time
from pathlib import Path
import runlake, runlake.lake.packed.pack
report = runlake.Lake(sys.argv[1], offline=True).pack()
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(time.process_time(), peak, len(report.packed))
"""


def pack_alone(lake: runlake.Lake) -> tuple[float, float, int]:
    """Pack a lake in a process of its own; return seconds of CPU, peak memory in GB, and runs."""
    command = [sys.executable, "-c", PACK, str(lake.path.parent)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, peak, n_packed = map(float, done.stdout.split())
    return cpu, peak / MB, int(n_packed)


def packing(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Pack all runs."""
    lake = lake_in(folder)
    cpu, peak, n_packed = pack_alone(lake)
    assert n_packed == sizes.runs
    run = f"run of {sizes.steps:,} steps x {sizes.keys} keys"
    note = f"{cpu:.1f} s for {n_packed:,} runs, with imports"
    yield value_line(f"pack: CPU time per {run}", cpu / n_packed * 1000, "ms", 30, note)
    yield value_line("pack: peak of memory", peak, "GB", 1.5)
    view = view_of(lake)
    n_bytes = sum(one.n_bytes for of in view.files.values() for one in of)
    exports = sum(path.stat().st_size for path in (lake.path / "v2").rglob("*.parquet"))
    ratio, note = n_bytes / exports, f"the exports: {exports / MB:,.0f} MB"
    shown = f"{n_bytes / MB:,.0f} MB"
    yield Line("packed data", shown, note, f"{ratio:.3f}x", "<= 0.8x", ratio <= 0.8)
    stats = sum(one.n_bytes for one in view.files[STATS]) / (sizes.runs * (sizes.keys + 1))
    yield value_line("statistics: bytes per run and key", stats, "B", 25)


def view_of(lake: runlake.Lake) -> PackedView:
    """Return the packed tables."""
    view = open_view(lake.path)
    assert view is not None
    return view


def best(work: Callable[[], Any]) -> Times:
    """Return the times of the best of several turns."""
    work()
    return min((once(work) for _ in range(TURNS)), key=lambda one: one.cpu)


def best_of_both(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[Times, Times]:
    """Return the times of the best turns of two pieces of work, which are done alternately."""
    one()
    other()
    turns = [(once(one), once(other)) for _ in range(TURNS)]
    mine, theirs = (min(of, key=lambda turn: turn.cpu) for of in zip(*turns, strict=True))
    return mine, theirs


def once(work: Callable[[], Any]) -> Times:
    """Return the times of one turn."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Times((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)


def packed_read(view: PackedView, keys: list[str], numbers: Mapping[str, int]) -> pl.DataFrame:
    """Return run, step and values from the tables."""
    read = PackedRead(view, Question(Projection(tuple(keys))), numbers)
    opened = read.readings(dict.fromkeys(numbers))  # type: ignore[arg-type]
    types = {c.key: c.dtype for one in opened.values() for c in one.columns}
    runs = pl.Series("run", list(numbers.values()), pl.Int32).to_frame()
    return read.scan(list(numbers.values()), types, runs).collect()


def write_bare(folder: Path, frame: pl.DataFrame) -> Path:
    """Write the values of the key alone, as the peer reads them; return the file."""
    bare = folder / "bare.parquet"
    pq.write_table(frame.select(KEY).to_arrow(), bare, compression="zstd", use_dictionary=False)
    assert pl.scan_parquet(bare).collect()[KEY].equals(frame[KEY])
    return bare


BARE = "bare polars, the values alone"


def reads(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Read one key, three keys, few runs, and the best values."""
    lake = lake_in(folder)
    view = view_of(lake)
    numbers = view.current()
    frame = packed_read(view, [KEY], numbers)
    assert frame.height == sizes.runs * sizes.steps
    bare = write_bare(folder, frame)
    one, base = best_of_both(
        lambda: packed_read(view, [KEY], numbers), lambda: pl.scan_parquet(bare).collect()
    )
    runs = f"{sizes.runs:,} runs x {sizes.steps:,} steps"
    yield ratio_line(f"1 key of {runs}: run, step, value", one, base, BARE, 1.5)
    paths = view.files_of("metrics_f", KEY)
    filtered = best(lambda: rows_of(paths, KEY).collect())
    ratio = f"{filtered.cpu / base.cpu:.2f}x"
    yield Line("the same by polars.scan_parquet of the files", str(filtered), "", ratio, "", None)
    scanned = best(lambda: lake.scan([KEY]).collect())
    ratio = f"{scanned.cpu / base.cpu:.2f}x"
    yield Line("the same by Lake.scan, with run_id as text", str(scanned), "", ratio, "", None)
    three = best(lambda: packed_read(view, [KEY, OTHER, RARE], numbers))
    yield ratio_line("3 keys on one axis, one of them sparse", three, one, "1 key", 6)
    some = dict(list(numbers.items())[:: max(1, sizes.runs // 10)][:10])
    few = best(lambda: packed_read(view, [KEY], some))
    yield limit_line(f"1 key of 10 of {sizes.runs:,} runs", few, 15)


def rows_of(paths: list[str], key: str) -> pl.LazyFrame:
    """Return the rows of a key as any program reads them."""
    rows = pl.scan_parquet(paths, glob=False).filter(pl.col("key") == key)
    return rows.select("run", "step", "value")


def changes(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Append runs, change runs, and commit many times."""
    lake = lake_in(folder)
    before = names(lake)
    fill(lake, range(sizes.runs, sizes.runs + N_APPENDED), sizes)
    appended = once(lake.pack)
    assert before <= names(lake)
    work = f"append {N_APPENDED} runs to {sizes.runs:,}, nothing else is written again"
    yield limit_line(work, appended, 5_000)
    fill(lake, range(N_CHANGED), sizes)
    changed = once(lake.pack)
    yield limit_line(f"pack {N_CHANGED} changed runs", changed, 5_000)
    with open_tables(PackedPlace(lake.path)) as tables:
        yield limit_line("commit of all tables", once(lambda: commit_state(tables)), 500)
        for _ in range(sizes.commits):
            commit_state(tables)

    def plan() -> None:
        with open_tables(PackedPlace(lake.path)) as opened:
            opened.load_at(opened.snapshot_ids())

    yield limit_line(f"planning after {sizes.commits} commits, all tables", best(plan), 50)


def names(lake: runlake.Lake) -> set[str]:
    """Return the data files of values."""
    files = view_of(lake).files
    return {one.path for name in TABLES if name not in (STATS, RUNS) for one in files[name]}
