"""Read the values of one key in many runs, in the order of the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from runlake.cache.disk.dropped import read_dropped
from runlake.errors import CacheCorrupt
from runlake.history.decode.expressions import from_arrow, polars_type
from runlake.history.frames.sources import typed_columns
from runlake.history.plan.key_columns import Column
from runlake.lake.packed.footers import footer_of
from runlake.lake.packed.kinds import BINARY, MIXED, is_simple, table_of, type_of
from runlake.lake.packed.line_up import Places, Values
from runlake.lake.packed.place import DOCUMENTS
from runlake.values import STEP, StepRange
from runlake.values.counted import counted

if TYPE_CHECKING:
    from runlake.lake.packed.view import PackedView

# Up to this share of all runs, the run numbers are a filter of the read.
FEW = 0.05
# For more runs, literals are slower than a series: 39 ms and 36 ms for 20 of 20,000 runs.
MAX_LITERALS = 16
CELL = "cell"
KEY = "key"
COLUMNS = ("run", "step", "value")
# Maximum number of threads that read files at once.
MAX_READERS = 8


@dataclass(frozen=True)
class Numbered:
    """The run numbers of the runs to read, in the order in which the runs are returned.

    A run number identifies a run in the packed tables.
    """

    numbers: Sequence[int]

    @cached_property
    def lowest(self) -> int:
        """The lowest run number."""
        return min(self.numbers)

    @cached_property
    def places(self) -> np.ndarray:
        """The position of each run among the runs to read, as an array.

        The first entry is for the lowest run number, and each further entry for the next number.
        An entry is -1 if the run with this number is not read.
        """
        found = np.full(max(self.numbers) - self.lowest + 1, -1, np.int64)
        found[np.asarray(self.numbers) - self.lowest] = np.arange(len(self.numbers))
        return found

    def places_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the position of each given run among the runs to read; -1 if it is not read."""
        offsets = numbers.astype(np.int64) - self.lowest
        is_in = (offsets >= 0) & (offsets < len(self.places))
        return np.where(is_in, self.places[np.where(is_in, offsets, 0)], -1)

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """Return, for each of the given run numbers, whether the run is one of the runs to read."""
        return self.places_of(numbers) >= 0


def read_values(
    view: PackedView,
    key: str,
    kinds: Mapping[str, np.ndarray],
    part: Numbered,
    target: pa.DataType | None,
    steps: StepRange,
) -> Values:
    """Read the values of a key, run by run in the order of ``part``, ascending by step.

    Parameters
    ----------
    view : PackedView
        The tables.
    key : str
        The key.
    kinds : mapping of str to array
        The numbers of the runs that have the key, by the type of its values.
    part : Numbered
        The runs to read, in the order in which they are returned.
    target : pyarrow.DataType or None
        The type to which the values are converted; None means JSON text.
    steps : StepRange
        The steps to read.
    """
    if steps.is_empty or not kinds:
        return Values.nothing(target)
    tables: dict[str, dict[str, np.ndarray]] = {}
    for text, numbers in kinds.items():
        tables.setdefault(table_of(text) or DOCUMENTS, {})[text] = numbers
    found: list[Values] = []
    for table, of_table in tables.items():
        if _is_one_cast(of_table, target):
            numbers = np.concatenate(list(of_table.values()))
            rows = _read(view, table, key, numbers, part, steps)
            found.append(rows.cast(polars_type(target)))
            continue
        for text, of_type in of_table.items():
            rows = _read(view, table, key, of_type, part, steps, is_exact=True)
            found.append(_restored(rows, text, target))
    return Values.joined(found)


def _is_one_cast(kinds: Mapping[str, np.ndarray], target: pa.DataType | None) -> bool:
    """Return whether a single cast to ``target`` is enough for the values of all stored types."""
    if target is None or not all(map(is_simple, kinds)):
        return False
    return len(kinds) == 1 or "bool" not in kinds


def _read(
    view: PackedView,
    table: str,
    key: str,
    numbers: np.ndarray,
    part: Numbered,
    steps: StepRange,
    *,
    is_exact: bool = False,
) -> Values:
    """Read the values of a key that one packed table stores, for the runs in ``part``.

    If ``is_exact``, values of runs that are not in ``numbers`` are left out. Otherwise
    ``numbers`` only serves to skip files and rows.
    """
    low, high = int(numbers.min()), int(numbers.max())
    paths = view.files_of(table, key, (low, high))
    if not paths:
        return Values.nothing(pa.null())
    is_few = len(numbers) <= max(1, FEW * len(view.runs))
    try:
        # Whole row groups cost less if they are read without a predicate.
        frames, rest = ([], paths) if is_few else _group_rows(view, paths, key, (low, high), steps)
        if rest:
            wanted = numbers if is_few else None
            frames.append(_filtered(view, rest, key, wanted, (low, high), steps))
    except (pl.exceptions.PolarsError, OSError, pa.ArrowInvalid) as error:
        raise CacheCorrupt(
            f"A file of the packed tables in '{view.place.path}' is damaged or gone: {error}. Read "
            "again if another process has packed the lake meanwhile. Otherwise delete this "
            "directory: runs are then read from their exports until they are packed again."
            f"{_warning_of_dropped(view)}",
            path=str(view.place.path),
        ) from error
    only = Numbered(numbers.tolist()) if is_exact else None
    return _in_order(frames, part, only)


def _group_rows(
    view: PackedView, paths: Sequence[str], key: str, bounds: tuple[int, int], steps: StepRange
) -> tuple[list[pl.DataFrame], list[str]]:
    """Read a key's rows as whole row groups; return the rows, and the paths of unread files.

    The caller reads the unread files with polars. A row group is skipped if it has no run number
    between the bounds, which are inclusive.

    If a file is on this machine, this function reads it only if the key has row groups of its own
    in the file. A file in object storage is read if the footer has the lowest and highest key of
    each row group. For such a file, pyarrow is better than polars: it requests fewer bytes at the
    end of the file, and requests the footer once.
    """
    opened = view.opened(paths)
    groups: dict[str, list[int]] = {}
    for path in paths:
        footer = footer_of(path, opened[path])
        groups[path] = footer.own_groups(key) or (footer.groups(key) if opened[path] else [])
    chosen = [path for path in paths if groups[path]]

    def read(path: str) -> pl.DataFrame:
        footer, file = footer_of(path), opened[path]
        is_own = bool(footer.own_groups(key))
        columns = list(COLUMNS) if is_own else [KEY, *COLUMNS]
        # From object storage, chunks that are beside each other are read in one request.
        with pq.ParquetFile(
            file or path, metadata=footer.metadata, pre_buffer=file is not None
        ) as opened_file:
            # No threads of pyarrow, because each file is read in a thread of its own already.
            wanted = footer.with_runs(groups[path], *bounds)
            found = opened_file.read_row_groups(wanted, columns=columns, use_threads=False)
        rows = pl.DataFrame(pl.from_arrow(found, rechunk=False))
        if not is_own:
            rows = rows.filter(pl.col(KEY).cast(pl.String) == key).select(COLUMNS)
        return rows if steps.is_unbounded else _in_steps(rows.lazy(), steps).collect()

    if len(chosen) > 1:
        with ThreadPoolExecutor(min(len(chosen), MAX_READERS), "runlake-packed") as executor:
            frames = list(executor.map(read, chosen))
    else:
        frames = list(map(read, chosen))
    return frames, [path for path in paths if not groups[path]]


def _filtered(
    view: PackedView,
    paths: Sequence[str],
    key: str,
    wanted: np.ndarray | None,
    bounds: tuple[int, int],
    steps: StepRange,
) -> pl.DataFrame:
    """Read the rows of a key and of the wanted runs with polars, which skips all other rows."""
    rows = view.scan(paths).filter(pl.col("key") == key)
    if bounds != view.run_bounds:
        rows = rows.filter(pl.col("run").is_between(*bounds))
    if wanted is not None:
        # polars compares a few literals with the statistics of row groups, and with encoded values.
        is_short = len(wanted) <= MAX_LITERALS
        named = wanted.tolist() if is_short else pl.Series(wanted, dtype=pl.Int32).implode()
        rows = rows.filter(pl.col("run").is_in(named))
    return _in_steps(rows, steps).select(COLUMNS).collect()


def _in_steps(rows: pl.LazyFrame, steps: StepRange) -> pl.LazyFrame:
    if steps.start > 0:
        rows = rows.filter(pl.col("step") >= steps.start)
    if steps.stop is not None:
        rows = rows.filter(pl.col("step") < steps.stop)
    return rows


def _warning_of_dropped(view: PackedView) -> str:
    n_runs = len(read_dropped(view.place.root))
    if not n_runs:
        return ""
    return (
        f" But the exports of {counted(n_runs, 'run')} were dropped: first download them again, "
        "with Api().run(path).pull()."
    )


def _in_order(frames: Sequence[pl.DataFrame], part: Numbered, only: Numbered | None) -> Values:
    """Return stored rows in the order of the runs in ``part``, without rows of other runs."""
    heads, counts = _runs_of([one["run"] for one in frames])
    steps, cells = (
        pl.concat([one[name] for one in frames], rechunk=False) for name in ("step", "value")
    )
    places = part.places_of(heads)
    if only is not None:
        places = np.where(only.holds(heads), places, -1)
    if (places >= 0).all() and (places[1:] > places[:-1]).all():
        return Values(Places(places, counts), steps, cells)
    kept = np.flatnonzero(places >= 0)
    # A stable sort keeps the row groups of each run in order.
    order = kept[np.argsort(places[kept], kind="stable")]
    starts, lengths = (np.cumsum(counts) - counts)[order], counts[order]
    ends = np.cumsum(lengths)
    index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    at = pl.Series(index, dtype=pl.UInt32)
    found = Places(places[order], lengths)
    return Values(found, steps.rechunk().gather(at), cells.rechunk().gather(at))


def _runs_of(columns: Sequence[pl.Series]) -> tuple[np.ndarray, np.ndarray]:
    """Return the run numbers in the order of the rows, and the row count of each run."""
    heads, counts = [], []
    for chunk in (chunk for column in columns for chunk in column.get_chunks() if len(chunk)):
        run = chunk.to_numpy()
        starts = np.flatnonzero(np.concatenate([[True], run[1:] != run[:-1]]))
        heads.append(run[starts])
        counts.append(np.diff(starts, append=len(run)))
    if not heads:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    every, n = np.concatenate(heads), np.concatenate(counts)
    # A run can end one row group and begin the next one.
    first = np.flatnonzero(np.concatenate([[True], every[1:] != every[:-1]]))
    return every[first], np.add.reduceat(n, first)


def _restored(rows: Values, text: str, target: pa.DataType | None) -> Values:
    """Convert stored values of the type ``text`` to ``target``, the type that the read returns."""
    if text in (BINARY, MIXED):
        return rows
    dtype = type_of(text)
    if text.startswith("["):
        found = [json.loads(one) for one in rows.cells.to_list()]
        cells = pl.Series(from_arrow(pa.table({CELL: pa.array(found, dtype)}))[CELL])
    else:
        cells = rows.cells.cast(polars_type(dtype))
    if dtype == target:
        return Values(rows.places, rows.steps, cells)
    frame = pl.DataFrame([rows.steps.alias(STEP), cells.alias(CELL)])
    column = Column.of(CELL, (CELL,), dtype)
    fitted = frame.lazy().select(typed_columns([column], {CELL: target})).collect()
    return Values(rows.places, rows.steps, fitted[CELL])
