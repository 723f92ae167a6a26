"""Makes lakes of many runs without pulling them: catalogs, and packed tables."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from runlake.cache.catalog import Catalog
from runlake.cache.layout import LAYOUT_VERSION, RunDirectory
from runlake.cache.store import LastOffer, StoredManifest
from runlake.lake.packed.commit import Change, commit
from runlake.lake.packed.numbers import take_numbers
from runlake.lake.packed.place import FLOATS, INTEGERS, STATS, PackedPlace
from runlake.lake.packed.rows import KeyValues, RunToPack, RunValues
from runlake.lake.packed.schemas import SCHEMAS
from runlake.lake.packed.segments import PackedRun, Segment, write_rows, write_segments
from runlake.lake.packed.sources import read_sources
from runlake.lake.packed.table import open_tables
from runlake.values import STEP, RunPath

BACKEND = "https://api.wandb.ai"
ENTITY = "team"
N_PROJECTS = 20
RUNS_PER_WRITE = 2_000
RUNS_PER_FILE = 10_000
N_STEPS = 1_000
STATES = ("finished", "finished", "finished", "crashed", "running", "failed")
OPTIMIZERS = ("adam", "sgd", "lion")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# As many entries as make 2 kB of JSON of config and summary together.
N_CONFIG, N_SUMMARY = 28, 28


def simulate_catalog(root: Path, n_runs: int, *, seed: int = 0) -> None:
    """Write a catalog of runs that have no files.

    Parameters
    ----------
    root : Path
        Root of the cache.
    n_runs : int
        Number of runs, of `N_PROJECTS` projects; each has some 2 kB of config and summary.
    seed : int
        Of the random values.
    """
    (root / LAYOUT_VERSION).mkdir(parents=True)
    catalog = Catalog(root)
    catalog.prepare()
    page = []
    for one in _runs(root, n_runs, random.Random(seed)):
        page.append(one)
        if len(page) == RUNS_PER_WRITE:
            catalog.note_runs(page)
            page = []
    catalog.note_runs(page)
    catalog.mark_all_runs()


def _runs(
    root: Path, n_runs: int, chance: random.Random
) -> Iterator[tuple[RunDirectory, StoredManifest]]:
    for number in range(n_runs):
        run = RunPath(ENTITY, f"project{number % N_PROJECTS:02}", f"{number:08x}")
        at = BEGIN + timedelta(seconds=number)
        attrs = _fields(run, number, at, chance)
        offer = LastOffer(attrs["state"], at.isoformat(), 1_000, 999, 0, at.timestamp())
        manifest = StoredManifest(
            offer=offer, attrs=attrs, is_pinned=True, pulled_at=at.timestamp()
        )
        yield RunDirectory(root, BACKEND, run), manifest


def _fields(run: RunPath, number: int, at: datetime, chance: random.Random) -> dict[str, Any]:
    config = {
        "lr": 10 ** chance.uniform(-5, 0),
        "seed": number % 10,
        "optimizer": {"name": OPTIMIZERS[number % 3], "betas": [0.9, 0.999]},
        **{f"layer_{n:02}/width": chance.randrange(1, 4096) for n in range(N_CONFIG)},
    }
    summary = {
        "loss": chance.random(),
        "acc": chance.random(),
        **{f"eval/metric_{n:02}": chance.random() for n in range(N_SUMMARY)},
    }
    return {
        "name": run.run_id,
        "displayName": f"run-{number}",
        "state": STATES[number % len(STATES)],
        "createdAt": at.isoformat(),
        "heartbeatAt": at.isoformat(),
        "tags": ["baseline"] if number % 7 == 0 else [],
        "group": f"group{number % 50}",
        "user": {"username": "somebody"},
        "config": json.dumps({key: {"value": value} for key, value in config.items()}),
        "summaryMetrics": json.dumps(summary),
    }


def simulate_stats(root: Path, n_keys: int, *, seed: int = 0) -> None:
    """Pack the runs of a simulated catalog: their statistics, without values.

    Parameters
    ----------
    root : Path
        Root of the cache, with a catalog.
    n_keys : int
        Number of keys of each run, ``k000``, ``k001``, ...
    seed : int
        Of the random values.
    """
    place = PackedPlace(root)
    chance = np.random.default_rng(seed)
    sources = read_sources(root, has_fields=True) or []
    with open_tables(place, creates=True) as tables:
        first = take_numbers(place, len(sources))
        for at in range(0, len(sources), RUNS_PER_FILE):
            some = sources[at : at + RUNS_PER_FILE]
            numbers = np.arange(first + at, first + at + len(some))
            bounds = int(numbers[0]), int(numbers[-1])
            file = write_rows(place, STATS, bounds, _stats(numbers, n_keys, chance))
            runs = [
                PackedRun(int(number), one.relative, one.text or "", N_STEPS)
                for number, one in zip(numbers, some, strict=True)
            ]
            fields = {one.relative: one.fields for one in some}
            commit(tables, Change(Segment([file], runs), fields))


def simulate_values(root: Path, keys: Sequence[str], n_steps: int, *, seed: int = 0) -> None:
    """Pack the runs of a simulated catalog, with random walks that are in no export.

    Parameters
    ----------
    root : Path
        Root of the cache, with a catalog.
    keys : sequence of str
        The keys of each run.
    n_steps : int
        Number of values of each key, at the steps 0, 1, ...
    seed : int
        Of the random values.
    """
    place = PackedPlace(root)
    sources = read_sources(root, has_fields=True) or []
    with open_tables(place, creates=True) as tables:
        first = take_numbers(place, len(sources))
        runs = (
            RunToPack(one.directory(root), one.text or "", number)
            for number, one in enumerate(sources, first)
        )
        fields = {one.relative: one.fields for one in sources}
        for segment in write_segments(place, _walks(runs, keys, n_steps, seed)):
            mine = {one.directory: fields[one.directory] for one in segment.runs}
            commit(tables, Change(segment, mine))


def _walks(
    runs: Iterable[RunToPack], keys: Sequence[str], n_steps: int, seed: int
) -> Iterator[RunValues]:
    chance = np.random.default_rng(seed)
    steps = pl.Series(np.arange(n_steps))
    axis = KeyValues(STEP, "int64", INTEGERS, steps, steps, None)
    for run in runs:
        walks = chance.normal(size=(len(keys), n_steps)).cumsum(axis=1)
        cells = [
            KeyValues(key, "double", FLOATS, steps, pl.Series(walk), None)
            for key, walk in zip(keys, walks, strict=True)
        ]
        yield RunValues(run, n_steps, [axis, *cells])


def _stats(numbers: np.ndarray, n_keys: int, chance: np.random.Generator) -> pl.DataFrame:
    n_rows = len(numbers) * n_keys
    lows, lasts = chance.random((2, n_rows))
    columns = {
        "key": np.repeat([f"k{key:03}" for key in range(n_keys)], len(numbers)),
        "run": np.tile(numbers, n_keys),
        "type": ["double"] * n_rows,
        "kind": ["number"] * n_rows,
        "place": np.repeat(np.arange(n_keys), len(numbers)),
        "n": np.full(n_rows, N_STEPS),
        "nan": np.zeros(n_rows, np.int64),
        "min": lows,
        "min_step": chance.integers(0, N_STEPS, n_rows),
        "max": lows + 1,
        "max_step": chance.integers(0, N_STEPS, n_rows),
        "last": lasts,
        "at_step": np.full(n_rows, N_STEPS - 1),
        "first_step": np.zeros(n_rows, np.int64),
        "last_step": np.full(n_rows, N_STEPS - 1),
        "count": np.full(n_rows, N_STEPS),
        "is_known": np.ones(n_rows, bool),
    }
    return pl.DataFrame(columns).select(column.name for column in SCHEMAS[STATS])
