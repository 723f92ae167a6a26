"""The table ``stats``: what is known of each key of each run without its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
NAMES = [column.name for column in SCHEMAS[STATS]]
OF_VALUES = ("n", "nan", "min", "min_step", "max", "max_step", "last", "at_step")


def stats_of(
    key: str, numbers: Numbers, counts: Numbers, steps: pl.Series, values: pl.Series
) -> pl.DataFrame:
    """Return the statistics of the values of a key, a row per run.

    Parameters
    ----------
    key : str
        The key.
    numbers, counts : array of int
        The number of each run, and its number of values, at least 1.
    steps, values : Series
        The values of all runs, run by run, ascending by step.

    Returns
    -------
    DataFrame
        ``key``, ``run`` and the columns of `OF_VALUES`. Of values that are no numbers, only ``n``
        and ``at_step`` are known. A minimum is the first of equal values; NaN is none.
    """
    stops = np.cumsum(counts)
    starts = stops - counts
    at = steps.to_numpy()
    columns: dict[str, object] = {"n": counts, "at_step": at[stops - 1]}
    if values.dtype.is_numeric():
        cells = values.to_numpy()
        columns["last"] = cells[stops - 1].astype(np.float64)
        if cells.dtype.kind == "f":
            columns["nan"] = np.add.reduceat(np.isnan(cells).astype(np.int64), starts)
        for name, reduce in (("min", np.fmin), ("max", np.fmax)):
            found = reduce.reduceat(cells, starts)
            columns[name] = pl.Series(found.astype(np.float64)).fill_nan(None)
            columns[f"{name}_step"] = _steps_of(cells, found, at, starts, counts)
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(key).alias("key"), pl.Series("run", numbers, pl.Int32)
    )
    return _completed(frame, ["key", "run", *OF_VALUES])


def _steps_of(
    cells: Numbers, found: Numbers, steps: Numbers, starts: Numbers, counts: Numbers
) -> pl.Series:
    """Return the step of the first of the values that are equal to those found, per run."""
    equal = np.flatnonzero(cells == np.repeat(found, counts))
    if not equal.size:
        return pl.Series([None] * len(starts), dtype=pl.Int64)
    first = np.append(equal, equal[-1])[np.searchsorted(equal, starts)]
    is_of_run = (first >= starts) & (first < starts + counts)
    return pl.select(
        pl.when(pl.Series(is_of_run)).then(pl.Series(steps[first])).otherwise(None)
    ).to_series()


def joined_stats(found: Sequence[pl.DataFrame], runs: Sequence[RunValues]) -> pl.DataFrame:
    """Return the rows of ``stats`` for a segment, ascending by key and run.

    Parameters
    ----------
    found : sequence of DataFrame
        Statistics from `stats_of`.
    runs : sequence of RunValues
        The runs; also their keys without values have a row.
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
    values = pl.concat(found) if found else _completed(pl.DataFrame(), ["key", "run", *OF_VALUES])
    joined = keys.join(values, on=["key", "run"], how="left")
    joined = joined.with_columns(pl.col("n").fill_null(0), pl.col("nan").fill_null(0))
    return joined.select(NAMES).sort("key", "run")


def _facts(facts: object) -> tuple[str | None, int | None, int | None, int | None, bool]:
    from runlake.history.plan.key_facts import KeyFacts

    if not isinstance(facts, KeyFacts):
        return None, None, None, None, False
    is_known = facts.minimum is not None and facts.maximum is not None
    return facts.kind, facts.first_step, facts.last_step, facts.count, is_known


def _completed(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Add the columns that a frame lacks, and give all their types."""
    types = {column.name: POLARS[column.kind] for column in SCHEMAS[STATS]}
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(types[name]).alias(name)
        for name in names
    )


def empty_stats() -> pl.DataFrame:
    """Return the table ``stats`` without rows."""
    return pl.DataFrame(schema={column.name: POLARS[column.kind] for column in SCHEMAS[STATS]})
