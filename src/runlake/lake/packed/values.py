"""Read the values of one key of many runs, in the order of the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from runlake.errors import CacheCorrupt
from runlake.history.decode.expressions import from_arrow, polars_type
from runlake.history.frames.sources import typed_columns
from runlake.history.plan.key_columns import Column
from runlake.lake.packed.kinds import BINARY, MIXED, is_simple, table_of, type_of
from runlake.lake.packed.line_up import Values
from runlake.lake.packed.place import DOCUMENTS
from runlake.values import STEP, StepRange

if TYPE_CHECKING:
    from runlake.lake.packed.view import PackedView

# Up to this share of the runs of a table, the wanted runs are named to the reader of the files.
FEW = 0.05
CELL = "cell"


@dataclass(frozen=True)
class Numbered:
    """The numbers of the runs of a read, in the order of the answer."""

    numbers: Sequence[int]

    @cached_property
    def lowest(self) -> int:
        """The lowest number."""
        return min(self.numbers)

    @cached_property
    def places(self) -> np.ndarray:
        """For each number from the lowest on, its place in the answer; -1 if it has none."""
        found = np.full(max(self.numbers) - self.lowest + 1, -1, np.int64)
        found[np.asarray(self.numbers) - self.lowest] = np.arange(len(self.numbers))
        return found

    def places_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the places of numbers; -1 for those that are not read."""
        offsets = numbers.astype(np.int64) - self.lowest
        is_in = (offsets >= 0) & (offsets < len(self.places))
        return np.where(is_in, self.places[np.where(is_in, offsets, 0)], -1)

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """Return which of the numbers are read."""
        return self.places_of(numbers) >= 0


def read_values(
    view: PackedView,
    key: str,
    kinds: Mapping[str, np.ndarray],
    part: Numbered,
    target: pa.DataType | None,
    steps: StepRange,
) -> Values:
    """Return the values of a key, run by run in the order of the answer, ascending by step.

    Parameters
    ----------
    view : PackedView
        The tables.
    key : str
        The key.
    kinds : mapping of str to array
        The runs that have the key, by the type of its values.
    part : Numbered
        The runs of the answer.
    target : pyarrow.DataType or None
        The type of the key in the answer; None is JSON text.
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
    """Return whether a cast gives values of all the types the type of the answer."""
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
    """Return the stored values of a key; if ``is_exact``, only those of the given runs."""
    low, high = int(numbers.min()), int(numbers.max())
    paths = view.files_of(table, key, (low, high))
    if not paths:
        return Values.nothing(pa.null())
    rows = view.scan(paths).filter(pl.col("key") == key)
    if len(numbers) <= max(1, FEW * len(view.runs)):
        wanted = pl.Series(numbers, dtype=pl.Int32)
        rows = rows.filter(
            pl.col("run").is_between(low, high) & pl.col("run").is_in(wanted.implode())
        )
    elif len(numbers) < len(view.runs):
        rows = rows.filter(pl.col("run").is_between(low, high))
    if steps.start > 0:
        rows = rows.filter(pl.col("step") >= steps.start)
    if steps.stop is not None:
        rows = rows.filter(pl.col("step") < steps.stop)
    try:
        frame = rows.select("run", "step", "value").collect().rechunk()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CacheCorrupt(
            f"A file of the packed tables in '{view.place.path}' is damaged or gone: {error}. Read "
            "again if another process has packed the lake meanwhile. Otherwise delete this "
            "directory: runs are then read from their exports until they are packed again.",
            path=str(view.place.path),
        ) from error
    only = Numbered(numbers.tolist()) if is_exact else None
    return _in_order(frame, part, only)


def _in_order(frame: pl.DataFrame, part: Numbered, only: Numbered | None) -> Values:
    """Return stored rows in the order of the answer, without rows of other runs."""
    if frame.is_empty():
        return Values(np.zeros(0, np.int64), frame["step"], frame["value"])
    run = frame["run"].to_numpy()
    starts = np.concatenate([[0], np.flatnonzero(run[1:] != run[:-1]) + 1])
    counts = np.diff(np.append(starts, len(run)))
    heads = run[starts]
    places = part.places_of(heads)
    if only is not None:
        places = np.where(only.holds(heads), places, -1)
    if (places >= 0).all() and (places[1:] > places[:-1]).all():
        return Values(np.repeat(places, counts), frame["step"], frame["value"])
    kept = np.flatnonzero(places >= 0)
    order = kept[np.argsort(places[kept], kind="stable")]
    lengths = counts[order]
    ends = np.cumsum(lengths)
    index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        starts[order] - (ends - lengths), lengths
    )
    rows = frame[pl.Series(index, dtype=pl.UInt32)] if len(index) else frame.clear()
    return Values(np.repeat(places[order], lengths), rows["step"], rows["value"])


def _restored(rows: Values, text: str, target: pa.DataType | None) -> Values:
    """Return stored values of one type as values of the answer's type."""
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
    column = Column(CELL, (CELL,), dtype)
    fitted = frame.lazy().select(typed_columns([column], {CELL: target})).collect()
    return Values(rows.places, rows.steps, fitted[CELL])
