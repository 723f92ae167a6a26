"""``make bench-lake``: packed tables against bare polars on the same values.

Sizes are options, so that a run can take minutes: ``python -m benchmarks.packed --runs 200``.
Each line has the processor time of the best of several turns, and the wall time of that turn.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.cached_runs import store_run

import runlake
from runlake.cache.catalog import Catalog
from runlake.lake.packed.commit import commit_state
from runlake.lake.packed.place import STATS, TABLES, PackedPlace
from runlake.lake.packed.read import PackedRead
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView, open_view
from runlake.values import Projection, Question

TURNS = 7
KEY, OTHER, RARE = "k00", "k01", "rare"
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    runs: int
    steps: int
    keys: int
    many_keys: int
    commits: int


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement beside its goal; smaller is better."""

    what: str
    value: float
    goal: float
    unit: str
    note: str = ""

    def __str__(self) -> str:
        verdict = "met" if self.value <= self.goal else "MISSED"
        shown = f"{self.value:,.3g} {self.unit}".rstrip()
        return f"| {self.what} | {shown} | <= {self.goal:g} | {verdict} | {self.note} |"


def main() -> None:
    """Measure all rows, and print them."""
    parser = argparse.ArgumentParser()
    for name, usual in (("runs", 2000), ("steps", 1000), ("keys", 200), ("commits", 200)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--many-keys", type=int, default=20_000)
    found = parser.parse_args()
    sizes = Sizes(found.runs, found.steps, found.keys, found.many_keys, found.commits)
    print("| work | measured | goal | | |\n|---|---|---|---|---|")
    n_missed = 0
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as folder:
        for row in rows(Path(folder), sizes):
            print(row, flush=True)
            n_missed += row.value > row.goal
    print(f"\n{n_missed} missed, of {sizes}.")


def rows(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Measure everything on one lake."""
    lake = runlake.Lake(folder / "lake", offline=True)
    fill(lake, range(sizes.runs), sizes)
    yield from packing(lake, sizes)
    yield from reads(folder, lake, sizes)
    yield from changes(lake, sizes)
    yield from many_keys(folder, sizes)


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


def packing(lake: runlake.Lake, sizes: Sizes) -> Iterator[Row]:
    """Pack all runs in a process of its own."""
    script = (
        "import resource, sys, time, runlake; lake = runlake.Lake(sys.argv[1], offline=True); "
        "import runlake.lake.packed.pack; report = lake.pack(); "
        "print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "
        "len(report.packed))"
    )
    command = [sys.executable, "-c", script, str(lake.path.parent)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, peak, n_packed = map(float, done.stdout.split())
    assert n_packed == sizes.runs
    yield Row("pack: CPU a run", cpu / n_packed * 1000, 30, "ms", f"{cpu:.1f} s in all")
    yield Row("pack: peak memory", peak / (1 << 20), 1.5, "GB")
    view = view_of(lake)
    n_bytes = sum(one.n_bytes for of in view.files.values() for one in of)
    exports = sum(path.stat().st_size for path in (lake.path / "v2").rglob("*.parquet"))
    stats = sum(one.n_bytes for one in view.files[STATS])
    yield Row("packed data to exports", n_bytes / exports, 0.8, "", f"{n_bytes / MB:,.0f} MB")
    yield Row("stats: bytes a run and key", stats / (sizes.runs * (sizes.keys + 1)), 25, "B")


def view_of(lake: runlake.Lake) -> PackedView:
    """Return the packed tables."""
    view = open_view(lake.path)
    assert view is not None
    return view


def best(work: Callable[[], Any]) -> tuple[float, float]:
    """Return processor and wall time of the best of several turns, in milliseconds."""
    found = []
    work()
    for _ in range(TURNS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = min(found)
    return cpu * 1000, wall * 1000


def packed_read(view: PackedView, keys: list[str], numbers: dict[str, int]) -> pl.DataFrame:
    """Return run, step and values from the tables."""
    read = PackedRead(view, Question(Projection(tuple(keys))), numbers)
    opened = read.readings(dict.fromkeys(numbers))  # type: ignore[arg-type]
    types = {c.key: c.dtype for one in opened.values() for c in one.columns}
    runs = pl.Series("run", list(numbers.values()), pl.Int32).to_frame()
    return read.scan(list(numbers.values()), types, runs).collect()


def reads(folder: Path, lake: runlake.Lake, sizes: Sizes) -> Iterator[Row]:
    """Read one key, three keys, few runs, and the best values."""
    view = view_of(lake)
    numbers = view.current()
    bare = folder / "bare.parquet"
    frame = packed_read(view, [KEY], numbers)
    assert frame.height == sizes.runs * sizes.steps
    pq.write_table(frame.select(KEY).to_arrow(), bare, compression="zstd", use_dictionary=False)
    expected = pl.scan_parquet(bare).collect()
    assert expected[KEY].equals(frame[KEY])
    base, _ = best(lambda: pl.scan_parquet(bare).collect())
    one, wall = best(lambda: packed_read(view, [KEY], numbers))
    note = f"{one:.0f} against {base:.0f} ms CPU"
    yield Row("1 key of all runs to bare polars on its values", one / base, 1.5, "x", note)
    scanned, whole = best(lambda: lake.scan([KEY]).collect())
    note = f"with run_id; {whole:.0f} ms wall"
    yield Row("the same by Lake.scan", scanned / base, 1.5, "x", note)
    three, _ = best(lambda: packed_read(view, [KEY, OTHER, RARE], numbers))
    yield Row("3 keys, one sparse, to 1 key", three / one, 6, "x", f"{three:.0f} ms CPU")
    some = dict(list(numbers.items())[:: max(1, sizes.runs // 10)][:10])
    few, wall = best(lambda: packed_read(view, [KEY], some))
    yield Row("10 runs of all", few, 15, "ms CPU", f"{wall:.0f} ms wall")
    read = PackedRead(view, Question(Projection((KEY,))), numbers)
    found, wall = best(lambda: read.known_values(KEY, "min"))
    yield Row("best of a key from stats", found, 20, "ms CPU", f"{wall:.0f} ms wall")


def changes(lake: runlake.Lake, sizes: Sizes) -> Iterator[Row]:
    """Append runs, change runs, and commit many times."""
    fill(lake, range(sizes.runs, sizes.runs + 50), sizes)
    before = names(lake)
    cpu, wall = once(lake.pack)
    assert before <= names(lake)
    yield Row("append 50 runs, nothing else rewritten", cpu, 5, "s CPU", f"{wall:.1f} s wall")
    fill(lake, range(20), sizes)
    cpu, wall = once(lake.pack)
    yield Row("20 changed runs", cpu, 5, "s CPU", f"{wall:.1f} s wall")
    with open_tables(PackedPlace(lake.path)) as tables:
        cpu, wall = once(lambda: commit_state(tables))
        yield Row("commit of all tables", cpu, 0.5, "s CPU", f"{wall:.2f} s wall")
        for _ in range(sizes.commits):
            commit_state(tables)

    def plan() -> None:
        with open_tables(PackedPlace(lake.path)) as opened:
            moment = opened.snapshot_ids()
            opened.load_at(moment)

    cpu, wall = best(plan)
    note = f"{wall:.0f} ms wall"
    yield Row(f"planning after {sizes.commits} commits", cpu, 50, "ms CPU", note)


def names(lake: runlake.Lake) -> set[str]:
    """Return the data files of values."""
    files = view_of(lake).files
    return {one.path for name in TABLES if name not in (STATS, "runs") for one in files[name]}


def once(work: Callable[[], Any]) -> tuple[float, float]:
    """Return processor and wall time in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def many_keys(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Pack runs that have few of many keys each."""
    lake = runlake.Lake(folder / "many", offline=True)
    for number in range(min(200, sizes.runs)):
        random = np.random.default_rng(number)
        chosen = random.choice(sizes.many_keys, 200, replace=False)
        cells = {f"m{key:05d}": random.normal(size=100) for key in chosen}
        store_run(lake, f"r{number}", [pa.table({"_step": np.arange(100), **cells})], at=number)
    lake.pack()
    view = view_of(lake)
    footers = [footer_bytes(one.path) for one in view.files["metrics_f"]]
    yield Row(f"{sizes.many_keys:,} keys: footer of a file", max(footers) / 1e6, 0.2, "MB")
    numbers = view.current()
    cpu, wall = best(lambda: packed_read(view, ["m00007"], numbers))
    yield Row("rare key", cpu, 10, "ms CPU", f"{wall:.0f} ms wall")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    yield Row("peak memory of this process", peak, 1.5, "GB")


def footer_bytes(path: str) -> int:
    """Return the length of a file's footer."""
    return int(pq.read_metadata(path).serialized_size)


if __name__ == "__main__":
    main()
