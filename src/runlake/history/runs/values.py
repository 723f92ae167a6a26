"""One value of a key per run: the best, the last, or the value at a point of the x axis."""

from __future__ import annotations

import math
from typing import Literal

import polars as pl

from runlake.errors import InvalidArgument
from runlake.history.decode.expressions import named
from runlake.values import RUN_ID

Mode = Literal["min", "max"]


def best_rows(rows: pl.LazyFrame, x: str, key: str, mode: Mode) -> pl.DataFrame:
    """Return the row of each run with the lowest or highest value of a key.

    Parameters
    ----------
    rows : LazyFrame
        ``run_id``, the x axis, and the key; ascending within a run.
    x, key : str
        Names of the axis and of the key.
    mode : {"min", "max"}
        Whether the lowest or the highest value is best.

    Returns
    -------
    DataFrame
        The columns ``run_id``, the axis, and the key. Of rows with equal values, the first is
        returned. NaN is ignored; runs without a number have no row.

    Raises
    ------
    InvalidArgument
        If the values are not numbers.

    Examples
    --------
    >>> rows = pl.LazyFrame({"run_id": ["a", "a"], "_step": [0, 1], "loss": [2.0, 1.0]})
    >>> best_rows(rows, "_step", "loss", "min").rows()
    [('a', 1, 1.0)]
    """
    dtype = rows.collect_schema()[key]
    if dtype == pl.Null():
        return rows.collect().clear()
    if not dtype.is_numeric():
        raise InvalidArgument(f"The values of {key!r} are of type {dtype}, so none is the best.")
    cell = named(key)
    if dtype.is_float():
        rows = rows.filter(cell.is_not_nan())
    place = cell.arg_min() if mode == "min" else cell.arg_max()
    return _one_per_run(rows, x, key, place)


def last_rows(rows: pl.LazyFrame, x: str, key: str) -> pl.DataFrame:
    """Return the last row of each run; the parameters and columns are those of `best_rows`."""
    return _one_per_run(rows, x, key, pl.len() - 1)


def nearest_rows(
    rows: pl.LazyFrame, x: str, key: str, at: float, tolerance: float | None
) -> pl.DataFrame:
    """Return the row of each run whose x is nearest to a point.

    Parameters
    ----------
    rows, x, key
        As for `best_rows`.
    at : float
        The point.
    tolerance : float or None
        Greatest distance from the point, inclusive; None means any distance.

    Returns
    -------
    DataFrame
        The columns of `best_rows`. Of two rows at the same distance, the earlier row is returned.

    Raises
    ------
    InvalidArgument
        If the values of the axis are not numbers.
    """
    dtype = rows.collect_schema()[x]
    if dtype == pl.Null():
        return rows.collect().clear()
    if not dtype.is_numeric():
        raise InvalidArgument(f"The values of {x!r} are of type {dtype}, so none is near {at!r}.")
    # As floats: a difference of integers could exceed 64 bits.
    distance = (named(x).cast(pl.Float64) - at).abs()
    if dtype.is_float():
        rows = rows.filter(named(x).is_not_nan())
    if tolerance is not None and tolerance != math.inf:
        rows = rows.filter(distance <= tolerance)
    return _one_per_run(rows, x, key, distance.arg_min())


def _one_per_run(rows: pl.LazyFrame, x: str, key: str, place: pl.Expr) -> pl.DataFrame:
    picked = [named(name).get(place).alias(name) for name in dict.fromkeys([x, key])]
    return rows.group_by(RUN_ID, maintain_order=True).agg(picked).collect()
