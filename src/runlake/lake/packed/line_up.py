"""Line up the values of several keys by run and step.

The values of each key are sorted, so a binary search replaces a join.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa

from runlake.history.decode.expressions import polars_type

# A run's position and a step fit together into 63 bits if both are below these bounds.
STEP_BITS = 40
MAX_PLACE = 1 << (62 - STEP_BITS)


@dataclass(frozen=True)
class Places:
    """The run that each row belongs to, as the run's position among all runs of a read.

    Rows of one run are adjacent.

    Parameters
    ----------
    heads : array of int64
        The positions of the runs, ascending.
    counts : array of int64 or None
        How many rows each entry of ``heads`` stands for; None means one row each.
    """

    heads: np.ndarray
    counts: np.ndarray | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """The position of each row's run among the runs of the read, as an array."""
        return self.heads if self.counts is None else np.repeat(self.heads, self.counts)

    def __len__(self) -> int:
        return len(self.heads) if self.counts is None else int(self.counts.sum())

    def equals(self, other: Places) -> bool:
        """Return whether both objects have the same run in each row."""
        if self.counts is not None and other.counts is not None:
            return np.array_equal(self.heads, other.heads) and np.array_equal(
                self.counts, other.counts
            )
        return np.array_equal(self.rows, other.rows)

    def of(self, column: pl.Series) -> pl.Series:
        """Expand a column that has one value per run of the read; return one value per row."""
        if self.counts is not None and column.dtype.is_numeric() and not column.null_count():
            few = column.to_numpy()[self.heads]
            return pl.Series(column.name, np.repeat(few, self.counts))
        index = pl.Series(self._index, dtype=pl.UInt32)
        return column.alias("").gather(index).alias(column.name)

    @cached_property
    def _index(self) -> np.ndarray:
        heads = self.heads.astype(np.uint32)
        return heads if self.counts is None else np.repeat(heads, self.counts)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one key in several runs.

    Parameters
    ----------
    places : Places
        The run of each value, ascending by the run's position among the runs of the read.
    steps, cells : Series
        The step of each value, ascending within a run, and the values.
    """

    places: Places
    steps: pl.Series
    cells: pl.Series

    @classmethod
    def nothing(cls, dtype: pa.DataType | None) -> Values:
        """Return an object without rows, whose values have the type ``dtype``."""
        empty = pl.Series([], dtype=polars_type(dtype))
        return cls(Places(np.zeros(0, np.int64)), pl.Series([], dtype=pl.Int64), empty)

    @classmethod
    def joined(cls, parts: Sequence[Values]) -> Values:
        """Merge the values of different runs into one object, ordered by run."""
        filled = [one for one in parts if len(one.steps)] or list(parts[:1])
        if len(filled) == 1:
            return filled[0]
        places = np.concatenate([one.places.rows for one in filled])
        # A stable sort keeps the steps of each run in order.
        order = pl.Series(np.argsort(places, kind="stable"), dtype=pl.UInt32)
        steps = pl.concat([one.steps for one in filled], rechunk=True)
        cells = pl.concat([one.cells.alias("") for one in filled], rechunk=True)
        return cls(Places(places[order.to_numpy()]), steps.gather(order), cells.gather(order))

    def cast(self, dtype: pl.DataType) -> Values:
        """Return these values, cast to another type."""
        if self.cells.dtype == dtype:
            return self
        return Values(self.places, self.steps, self.cells.cast(dtype))

    def has_axis_of(self, other: Values) -> bool:
        """Return whether another key has values in the same runs at the same steps."""
        if self is other:
            return True
        if len(self.steps) != len(other.steps) or not self.places.equals(other.places):
            return False
        return self.steps.equals(other.steps)


def line_up(
    found: Mapping[str, Values], axis: Values | None, how: str
) -> tuple[Places, pl.Series, dict[str, pl.Series]]:
    """Combine the values of several keys into rows, one row per run and step.

    Parameters
    ----------
    found : mapping of str to Values
        The values of each key.
    axis : Values or None
        The runs and steps of the rows to return; if None, ``how`` chooses the rows.
    how : {"all", "any"}
        "all" chooses the rows that have all keys, "any" the rows that have at least one key.

    Returns
    -------
    tuple of Places, Series and dict of Series
        The run of each row, the step of each row, and the cells of each key. A cell is null if the
        row lacks the key.
    """
    every = list(found.values())
    first = axis if axis is not None else every[0]
    # Keys that were logged together have the same runs and steps, so no row is looked up.
    if all(one.has_axis_of(first) for one in every):
        return first.places, first.steps, {key: one.cells for key, one in found.items()}
    members = [*every, *([] if axis is None else [axis])]
    codes = _codes(members)
    if axis is not None:
        rows = codes[-1]
    elif how == "all":
        # From the shortest key on, so that as few rows as possible are looked up.
        rows = min(codes, key=len)
        for one in codes:
            if one is not rows:
                rows = rows[_place_in(one, rows) >= 0]
    else:
        rows = np.unique(np.concatenate(codes))
    cells = {
        key: _gathered(one.cells, _place_in(code, rows))
        for (key, one), code in zip(found.items(), codes, strict=False)
    }
    places, steps = _decoded(members, codes, rows)
    return places, steps, cells


def _codes(members: Sequence[Values]) -> list[np.ndarray]:
    """Encode each row's run and step as one integer; return one array per entry of ``members``.

    The arrays ascend. A run and step have the same integer in all arrays, so the rows of two keys
    can be compared by searching integers instead of pairs.
    """
    steps = [one.steps.to_numpy() for one in members]
    highest = max((int(one.max()) for one in steps if len(one)), default=0)
    lowest = min((int(one.min()) for one in steps if len(one)), default=0)
    places = [one.places.rows for one in members]
    n_places = max((int(one[-1]) for one in places if len(one)), default=0)
    if lowest >= 0 and highest < 1 << STEP_BITS and n_places < MAX_PLACE:
        return [(one << STEP_BITS) | at for one, at in zip(places, steps, strict=True)]
    pairs = pl.concat(
        [
            pl.DataFrame({"place": one, "step": member.steps})
            for one, member in zip(places, members, strict=True)
        ]
    )
    ranks = pairs.select(pl.struct("place", "step").rank("dense").cast(pl.Int64)).to_series()
    ends = np.cumsum([len(one) for one in places])
    return np.split(ranks.to_numpy(), ends[:-1])


def _place_in(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the index in ``codes`` of each integer in ``rows``; -1 if ``codes`` lacks it."""
    if not len(codes):
        return np.full(len(rows), -1)
    if len(codes) == len(rows) and np.array_equal(codes, rows):
        return np.arange(len(rows))
    at = np.minimum(np.searchsorted(codes, rows), len(codes) - 1)
    return np.where(codes[at] == rows, at, -1)


def _gathered(cells: pl.Series, index: np.ndarray) -> pl.Series:
    if not len(cells):
        return cells.clear(len(index)) if len(index) else cells
    is_there = index >= 0
    if is_there.all():
        return cells.gather(pl.Series(index, dtype=pl.UInt32))
    nullable = pl.Series(index, dtype=pl.Int64).set(pl.Series(~is_there), None)
    return cells.to_frame("cell").select(pl.col("cell").gather(nullable)).to_series()


def _decoded(
    members: Sequence[Values], codes: Sequence[np.ndarray], rows: np.ndarray
) -> tuple[Places, pl.Series]:
    """Return the run and the step that each integer in ``rows`` stands for; see `_codes`."""
    places = np.zeros(len(rows), np.int64)
    steps = np.zeros(len(rows), np.int64)
    for one, code in zip(members, codes, strict=True):
        at = _place_in(code, rows)
        is_there = at >= 0
        places[is_there] = one.places.rows[at[is_there]]
        steps[is_there] = one.steps.to_numpy()[at[is_there]]
    return Places(places), pl.Series(steps, dtype=pl.Int64)
