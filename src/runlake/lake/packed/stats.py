"""Compute the table ``stats``: type, counts, extremes and last value per key and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from runlake.lake.packed.place import STATS
from runlake.lake.packed.schemas import SCHEMAS

if TYPE_CHECKING:
    from runlake.lake.packed.rows import RunValues

Numbers = npt.NDArray[np.int64]
POLARS = {
    "string": pl.String(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
}
TYPES = {column.name: POLARS[column.kind] for column in SCHEMAS[STATS]}
NAMES = [column.name for column in SCHEMAS[STATS]]
OF_VALUES = ("n", "nan", "min", "min_step", "max", "max_step", "last", "at_step")


@dataclass(frozen=True, slots=True)
class KeyStats:
    """Statistics of one key's values, one entry per run.

    Parameters
    ----------
    key : str
        The key.
    numbers : array of int
        The run number of each run.
    columns : mapping of str to array
        The statistics by name, such as ``n`` and ``min``; only ``n`` and ``at_step`` if the values
        are not numbers. A minimum or maximum of NaN means that there is none.
    """

    key: str
    numbers: Numbers
    columns: Mapping[str, npt.NDArray[Any]]


def stats_of(
    key: str, numbers: Numbers, counts: Numbers, steps: pl.Series, values: pl.Series
) -> KeyStats:
    """Compute the statistics of one key's values in each run.

    NaN is never a minimum or maximum. If several values are equal to the minimum or maximum, the
    recorded step is the first step with such a value.

    Parameters
    ----------
    key : str
        The key.
    numbers, counts : array of int
        The run number of each run, and how many values the run has, at least 1.
    steps, values : Series
        The step of each value, and the values: run by run, ascending by step.
    """
    stops = np.cumsum(counts)
    starts = stops - counts
    at = steps.to_numpy()
    columns: dict[str, npt.NDArray[Any]] = {"n": counts, "at_step": at[stops - 1]}
    if values.dtype.is_numeric():
        cells = values.to_numpy()
        columns["last"] = cells[stops - 1].astype(np.float64)
        if cells.dtype.kind == "f":
            columns["nan"] = np.add.reduceat(np.isnan(cells).astype(np.int64), starts)
        # `fmin` and `fmax` ignore NaN unless all values are NaN.
        for name, reduce in (("min", np.fmin), ("max", np.fmax)):
            found = reduce.reduceat(cells, starts)
            columns[name] = found.astype(np.float64)
            equal = np.flatnonzero(cells == np.repeat(found, counts))
            # A run that has only NaN has no equal value; `_frame_of` makes its step null.
            first = np.append(equal, len(cells) - 1)[np.searchsorted(equal, starts)]
            columns[f"{name}_step"] = at[first]
    return KeyStats(key, numbers, columns)


def _frame_of(found: Sequence[KeyStats]) -> pl.DataFrame:
    """Combine the `KeyStats` of all keys into one frame, with one row per key and run."""
    sizes = [len(one.numbers) for one in found]
    keys = pl.Series("key", [one.key for one in found], pl.String)
    columns = [
        keys.gather(pl.Series(np.repeat(np.arange(len(found)), sizes), dtype=pl.UInt32)),
        pl.Series("run", np.concatenate([one.numbers for one in found]), pl.Int32),
    ]
    for name in OF_VALUES:
        parts = [
            pl.Series(name, one.columns[name])
            if name in one.columns
            else pl.repeat(None, size, dtype=TYPES[name], eager=True).alias(name)
            for one, size in zip(found, sizes, strict=True)
        ]
        columns.append(pl.concat([part.cast(TYPES[name]) for part in parts]))
    frame = pl.DataFrame(columns).with_columns(pl.col("min", "max").fill_nan(None))
    return frame.with_columns(
        pl.when(pl.col(name).is_not_null()).then(pl.col(f"{name}_step")).alias(f"{name}_step")
        for name in ("min", "max")
    )


def joined_stats(found: Sequence[KeyStats], runs: Sequence[RunValues]) -> pl.DataFrame:
    """Return the rows of ``stats`` for a segment, ascending by key and run.

    Parameters
    ----------
    found : sequence of KeyStats
        Statistics from `stats_of`.
    runs : sequence of RunValues
        The runs of the segment. A key without values has a row too.
    """
    rows = [
        (
            *(one.key, run.run.number, one.type, place),
            *_facts(one.facts),
        )
        for run in runs
        for place, one in enumerate(run.keys)
    ]
    columns = {
        "key": pl.String,
        "run": pl.Int32,
        "type": pl.String,
        "place": pl.Int32,
        "kind": pl.String,
        "first_step": pl.Int64,
        "last_step": pl.Int64,
        "count": pl.Int64,
        "is_known": pl.Boolean,
    }
    keys = pl.DataFrame(rows, schema=columns, orient="row")
    values = _frame_of(found) if found else empty_stats().select("key", "run", *OF_VALUES)
    joined = keys.join(values, on=["key", "run"], how="left")
    joined = joined.with_columns(pl.col("n").fill_null(0), pl.col("nan").fill_null(0))
    return joined.select(NAMES).sort("key", "run")


def _facts(facts: object) -> tuple[str | None, int | None, int | None, int | None, bool]:
    from runlake.history.plan.key_facts import KeyFacts

    if not isinstance(facts, KeyFacts):
        return None, None, None, None, False
    is_known = facts.minimum is not None and facts.maximum is not None
    return facts.kind, facts.first_step, facts.last_step, facts.count, is_known


def empty_stats() -> pl.DataFrame:
    """Return an empty frame with the columns of the table ``stats``."""
    return pl.DataFrame(schema=TYPES)
