"""Compute statistics over groups of runs at common points of an x axis, as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from runlake.errors import InvalidArgument
from runlake.history.decode.expressions import pick
from runlake.history.runs.align import (
    CI95,
    STAT_NAMES,
    Curve,
    Floats,
    Method,
    common_grid,
    make_curve,
    summarize,
)
from runlake.history.runs.run_rows import RunRows

KEY = "key"
COUNTS = ("n", "n_nan", "n_missing")


@dataclass(frozen=True, slots=True)
class Alignment:
    """How to align curves, and which statistics to return; see `runlake.Runs.align`."""

    grid: int | Sequence[float] | None
    method: Method
    stats: tuple[str, ...]
    smoothing: float | None


def check_axis(x: str) -> None:
    """Raise `InvalidArgument` if the x axis has the name of another column of the result."""
    if x in {KEY, *COUNTS, *CI95, *STAT_NAMES}:
        raise InvalidArgument(f"x must not be {x!r}: that is a column of the result.")


def aligned_frame(
    rows: RunRows,
    groups: pl.DataFrame | None,
    x: str,
    keys: Sequence[str],
    alignment: Alignment,
) -> pl.DataFrame:
    """Return statistics over each group of runs, per key, at common points of an x axis.

    Parameters
    ----------
    rows : RunRows
        The rows of all runs, with columns for the axis and the keys.
    groups : DataFrame or None
        A row per run, in order; runs with equal rows are one group. None means that all runs are
        one group.
    x : str
        Key of the x axis.
    keys : sequence of str
        Keys whose values are summarized.
    alignment : Alignment
        How to align the curves, and which statistics to compute.

    Returns
    -------
    DataFrame
        See `runlake.Runs.align`.

    Raises
    ------
    InvalidArgument
        If values of the axis or of a key are not numbers.
    """
    n_runs = len(rows.counts)
    if not n_runs:
        nothing = np.empty(0)
        summary = summarize([], nothing, alignment.method, alignment.stats)
        columns = [] if groups is None else groups.get_columns()
        schema = {KEY: pl.String(), x: pl.Float64()}
        counted = {n: pl.UInt32() if n in COUNTS else pl.Float64() for n in summary}
        return pl.DataFrame([*columns, *pl.DataFrame(schema={**schema, **counted})])
    axis = _numbers(rows.frame, x)
    curves = {key: _curves(rows, key, axis, alignment) for key in keys}
    found = []
    for group in _members(groups, n_runs):
        for key in keys:
            own = [curves[key][place] for place in group]
            points = common_grid(own, alignment.grid)
            summary = summarize(own, points, alignment.method, alignment.stats)
            found.append(_table(groups, group[0], key, x, points, summary))
    return pl.concat(found)


def _table(
    groups: pl.DataFrame | None,
    place: int,
    key: str,
    x: str,
    points: Floats,
    summary: dict[str, npt.NDArray[Any]],
) -> pl.DataFrame:
    columns = [
        column.new_from_index(place, points.size) for column in ([] if groups is None else groups)
    ]
    columns.append(pl.Series(KEY, [key]).new_from_index(0, points.size))
    columns.append(pl.Series(x, points, pl.Float64))
    for name, values in summary.items():
        columns.append(pl.Series(name, values, pl.UInt32 if name in COUNTS else pl.Float64))
    return pl.DataFrame(columns)


def _numbers(frame: pl.DataFrame, name: str) -> pl.Series:
    cells = pick(frame, [name]).to_series()
    if cells.dtype != pl.Null() and not cells.dtype.is_numeric() and cells.dtype != pl.Boolean():
        raise InvalidArgument(f"The values of {name!r} are of type {cells.dtype}, not numbers.")
    return cells.cast(pl.Float64)


def _curves(rows: RunRows, key: str, axis: pl.Series, alignment: Alignment) -> list[Curve]:
    values = _numbers(rows.frame, key)
    x, y = axis.to_numpy(), values.to_numpy()
    has = None if not values.null_count() else values.is_not_null().to_numpy()
    parts = map(slice, rows.starts.tolist(), rows.stops.tolist())
    return [
        make_curve(
            x[part] if has is None else x[part][has[part]],
            y[part] if has is None else y[part][has[part]],
            alignment.smoothing,
        )
        for part in parts
    ]


def _members(groups: pl.DataFrame | None, n_runs: int) -> list[list[int]]:
    """Return the indices of the runs of each group, in order of first appearance."""
    if groups is None:
        return [list(range(n_runs))]
    found: dict[str, list[int]] = {}
    for place, row in enumerate(groups.iter_rows()):
        # By its text, because a list or a dict in a row cannot be looked up in a dict.
        found.setdefault(repr(row), []).append(place)
    return list(found.values())
