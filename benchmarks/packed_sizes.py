"""Packed tables of more runs, and of more keys, than one lake of the other benchmarks has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from tests.cached_runs import store_run

import runlake
from benchmarks.packed import (
    BARE,
    KEY,
    Sizes,
    best,
    best_of_both,
    limit_line,
    pack_alone,
    packed_read,
    ratio_line,
    value_line,
    view_of,
    write_bare,
)
from benchmarks.report import Line
from benchmarks.simulate import simulate_catalog, simulate_values
from runlake.cache.catalog import Catalog
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView

N_KEYS = 3
KEYS_PER_RUN, ROWS_PER_RUN = 200, 100
MOST_FOOTER = 0.2


def many_runs(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Read a key of more runs, which are packed without exports."""
    root = folder / "many-runs" / "runlake"
    if not root.exists():
        simulate_catalog(root, sizes.many_runs)
        simulate_values(root, [KEY, "k01", "k02"], sizes.steps)
    with open_tables(PackedPlace(root)) as tables:
        view = PackedView.at(tables, tables.snapshot_ids())
    numbers = {directory: one.number for directory, one in view.runs.items()}
    frame = packed_read(view, [KEY], numbers)
    assert frame.height == sizes.many_runs * sizes.steps
    bare = write_bare(folder, frame)
    del frame
    one, base = best_of_both(
        lambda: packed_read(view, [KEY], numbers), lambda: pl.scan_parquet(bare).collect()
    )
    runs = f"{sizes.many_runs:,} runs x {sizes.steps:,} steps"
    yield ratio_line(f"1 key of {runs}: run, step, value", one, base, BARE, 1.6)
    some = dict(list(numbers.items())[:: max(1, sizes.many_runs // 10)][:10])
    few = best(lambda: packed_read(view, [KEY], some))
    yield limit_line(f"1 key of 10 of {sizes.many_runs:,} runs", few, 30)


def many_keys(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Pack runs that have few of many keys each."""
    lake = runlake.Lake(folder / "many-keys", offline=True)
    noted = []
    for number in range(sizes.runs):
        random = np.random.default_rng(number)
        chosen = random.choice(sizes.many_keys, KEYS_PER_RUN, replace=False)
        values = random.normal(size=(KEYS_PER_RUN, ROWS_PER_RUN)).cumsum(axis=1)
        cells = {f"m{key:05d}": one for key, one in zip(chosen, values, strict=True)}
        table = pa.table({"_step": np.arange(ROWS_PER_RUN), **cells})
        directory, manifest, known = store_run(
            lake, f"r{number:06d}", [table], at=number, note=False
        )
        Catalog(lake.path).note_columns(known)
        noted.append((directory, manifest))
    Catalog(lake.path).note_runs(noted)
    cpu, peak, n_packed = pack_alone(lake)
    assert n_packed == sizes.runs
    keys = f"{sizes.many_keys:,} keys in {sizes.runs:,} runs"
    note = f"{cpu:.1f} s CPU"
    yield value_line(f"pack {keys}: peak of memory", peak, "GB", 1.5, note)
    view = view_of(lake)
    footers = [pq.read_metadata(one.path).serialized_size for one in view.files["metrics_f"]]
    note = f"{len(footers)} files"
    yield value_line(f"{keys}: longest footer", max(footers) / 1e6, "MB", MOST_FOOTER, note)
    numbers = view.current()
    rare = best(lambda: packed_read(view, ["m00007"], numbers))
    yield limit_line(f"{keys}: read a rare key of all runs", rare, 10)
