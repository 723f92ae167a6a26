"""Turns the series of a chart into curves, which have the points to draw, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from runlake.charts.names import shown
from runlake.charts.series import LARGEST, Axis, Band, Series
from runlake.errors import InvalidArgument
from runlake.history.runs.align import Floats, smooth_values
from runlake.history.sample.downsample import choose_rows_of_parts

# How a point is marked. Points with a non-finite value are marked; a gap is not.
UNMARKED, NAN, INFINITY, MINUS_INFINITY = 0, 1, 2, 3
MARK_NAMES = ("", "NaN", "infinity", "-infinity")
# At most this part (1/4) of the points of a series with a band is used for marks.
MARK_SHARE = 4

Marks = npt.NDArray[np.uint8]
Booleans = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """The points of one series that are drawn.

    Parameters
    ----------
    label : str
        Name in the legend, safe to print.
    x : array of float64
        Values of the x axis, finite and ascending; equal values are possible.
    y : array of float64
        Values of the y axis, smoothed if the chart is smoothed. The line is interrupted at NaN and
        infinities.
    marks : array of uint8
        How each point is marked: `UNMARKED`, `NAN`, `INFINITY` or `MINUS_INFINITY`.
    raw : array of float64 or None
        Values of the y axis before smoothing; None if the chart is not smoothed.
    low, high : array of float64 or None
        The edges of the band; None if the curve has no band.
    n_points : int
        Number of points from which the curve's points were sampled. Without sampling, the number
        of the curve's points.
    n_marked : tuple of int
        How many points of the series' frame have each mark, in the order of `MARK_NAMES`; 0 for
        `UNMARKED`. Points outside of the x axis's range are not counted.
    """

    label: str
    x: Floats
    y: Floats
    marks: Marks
    raw: Floats | None
    low: Floats | None
    high: Floats | None
    n_points: int
    n_marked: tuple[int, ...]

    @property
    def line(self) -> Floats:
        """The values of the y axis, with NaN wherever the line is interrupted."""
        return _drawable(self.y)

    @property
    def faint(self) -> Floats | None:
        """The values before smoothing, or None without smoothing; infinities become NaN."""
        return None if self.raw is None else _drawable(self.raw)

    @property
    def sides(self) -> tuple[Floats, Floats]:
        """The lower and upper edge of the band, with NaN where the band cannot be drawn.

        If the curve has no band, both edges are the line itself.
        """
        if self.low is None or self.high is None:
            return self.line, self.line
        low, high = _drawable(self.low), _drawable(self.high)
        return np.where(np.isnan(high), np.nan, low), np.where(np.isnan(low), np.nan, high)


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """The rows of a frame, sorted by the x axis, with a column of values for each series."""

    x: pl.Series
    order: Places | None
    columns: list[pl.Series]
    raws: list[pl.Series | None]


def make_curves(
    series: Sequence[Series], x_axis: Axis, smooth: float | None, n_points: int
) -> list[Curve]:
    """Return the curves of a chart, in the order of its series.

    Parameters
    ----------
    series : sequence of Series
        The series to draw. Series that share a frame and an x axis are sampled together, so that
        the same rows show the shape of each series.
    x_axis : Axis
        The x axis. Points outside of the axis's range are left out before sampling.
    smooth : float, int or None
        The smoothing, as for `smooth_values`. Values are smoothed before they are sampled.
    n_points : int
        Maximum number of rows of each sample.

    Raises
    ------
    InvalidArgument
        If a column is missing or its values are not numbers.
    """
    labels = labels_of(series)
    found: dict[int, Curve] = {}
    shared: dict[tuple[int, str, int | None], list[int]] = {}
    for place, one in enumerate(series):
        # A band has values of its own: such a series is sampled alone.
        alone = None if one.band is None else place
        shared.setdefault((id(one.frame), one.x, alone), []).append(place)
    for places in shared.values():
        members = [series[place] for place in places]
        drawn = _draw(members, [labels[place] for place in places], x_axis, smooth, n_points)
        found.update(zip(places, drawn, strict=True))
    return [found[place] for place in range(len(series))]


def _draw(
    members: Sequence[Series],
    labels: Sequence[str],
    x_axis: Axis,
    smooth: float | None,
    n_points: int,
) -> list[Curve]:
    table = _ordered(members, x_axis, smooth)
    band = members[0].band
    counts = [len(column) - column.null_count() for column in table.columns]
    shapes = [*table.columns, *(raw for raw in table.raws if raw is not None)]
    edges = None if band is None else _edges(band, table.order)
    if edges is not None:
        shapes += [pl.Series(edge) for edge in edges[:2]]
    rows = _chosen(shapes, n_points, None if edges is None else edges[2])
    curves = []
    for place, one in enumerate(members):
        column, raw = table.columns[place], table.raws[place]
        own = rows
        if column.null_count():
            is_point = column.is_not_null().to_numpy()
            own = is_point.nonzero()[0] if rows is None else rows[is_point[rows]]
        curves.append(
            Curve(
                labels[place],
                _floats(_gathered(table.x, own), one.x).to_numpy(),
                y := _at(column.to_numpy(), own),
                _marks(y) if edges is None else _at(edges[2], own).astype(np.uint8),
                None if raw is None else _at(raw.to_numpy(), own),
                None if edges is None else _at(edges[0], own),
                None if edges is None else _at(edges[1], own),
                counts[place] if one.n_points is None else max(one.n_points, counts[place]),
                _counts(_marks(column.drop_nulls().to_numpy()) if edges is None else edges[2]),
            )
        )
    return curves


def _ordered(members: Sequence[Series], x_axis: Axis, smooth: float | None) -> _Table:
    frame = members[0].frame
    x = column_of(frame, members[0].x)
    # The average at the start of a range depends on the points before it.
    is_cut_later = smooth is not None and (x_axis.low is not None or x_axis.high is not None)
    axis = replace(x_axis, low=None, high=None) if is_cut_later else x_axis
    kept = _kept(x, members[0].x, axis)
    x = _gathered(x, kept)
    if not x.is_sorted():
        order = np.argsort(x.to_numpy(), kind="stable")
        kept = order if kept is None else kept[order]
        x = x.gather(order)
    # In one piece: otherwise each conversion to numpy would copy the column.
    columns = [_gathered(numbers(frame, one.key), kept).rechunk() for one in members]
    if smooth is None:
        return _Table(x, kept, columns, [None] * len(columns))
    table = _Table(x, kept, [_smooth(column, smooth) for column in columns], list(columns))
    return _cut(table, members[0].x, x_axis) if is_cut_later else table


def _cut(table: _Table, name: str, x_axis: Axis) -> _Table:
    """Return the rows of a table that are in the range of the x axis."""
    inside = _kept(table.x, name, x_axis)
    if inside is None:
        return table
    order = inside if table.order is None else table.order[inside]
    columns = [column.gather(inside) for column in table.columns]
    raws = [None if raw is None else raw.gather(inside) for raw in table.raws]
    return _Table(table.x.gather(inside), order, columns, raws)


def _kept(column: pl.Series, name: str, x_axis: Axis) -> Places | None:
    """Return the indices of the rows whose x can be drawn; None if every row can be drawn."""
    low = x_axis.low
    is_open = low is None and x_axis.high is None and not x_axis.is_log
    if is_open and column.dtype.is_integer() and not column.null_count():
        return None
    x = _floats(column, name).to_numpy()
    is_kept = np.abs(x) <= LARGEST
    if x_axis.is_log:
        is_kept &= x > 0
    if low is not None:
        is_kept &= x >= low
    if x_axis.high is not None:
        is_kept &= x <= x_axis.high
    return None if is_kept.all() else is_kept.nonzero()[0]


def _smooth(column: pl.Series, smooth: float) -> pl.Series:
    if not column.null_count():
        return pl.Series(smooth_values(column.to_numpy(), smooth))
    has = column.is_not_null().to_numpy()
    values = np.full(len(column), np.nan)
    values[has] = smooth_values(column.drop_nulls().to_numpy(), smooth)
    return pl.select(pl.when(pl.Series(has)).then(pl.Series(values))).to_series()


def _edges(band: Band, order: Places | None) -> tuple[Floats, Floats, Marks]:
    """Return the lower and upper edge of a band, and a mark for each row.

    A row is marked as NaN if more runs have NaN in this row than in the row before.
    """
    edges = [_gathered(edge, order).cast(pl.Float64).to_numpy() for edge in (band.low, band.high)]
    n_nan = _gathered(band.n_nan, order).cast(pl.Int64).to_numpy()
    grows = np.diff(n_nan, prepend=0) > 0
    return edges[0], edges[1], np.where(grows, NAN, UNMARKED).astype(np.uint8)


def _gathered(values: pl.Series, order: Places | None) -> pl.Series:
    return values if order is None else values.gather(order)


def _chosen(shapes: Sequence[pl.Series], n_points: int, marks: Marks | None) -> Places | None:
    """Return the indices of the rows to draw, ascending; None if all rows are drawn."""
    if len(shapes[0]) <= n_points:
        return None
    # Numbers as names: keys could be any text.
    names = [str(place) for place in range(len(shapes))]
    frame = pl.DataFrame([shape.alias(n) for n, shape in zip(names, shapes, strict=True)])
    marked = np.empty(0, dtype=np.int64) if marks is None else marks.nonzero()[0]
    limit = n_points // MARK_SHARE
    if len(marked) > limit:
        marked = marked[np.linspace(0, len(marked) - 1, limit).round().astype(np.int64)]
    (rows,) = choose_rows_of_parts(frame, [frame.height], n_points - len(marked), names)
    return np.union1d(rows, marked) if len(marked) else rows


def _at(values: npt.NDArray[Any], rows: Places | None) -> npt.NDArray[Any]:
    return values if rows is None else values[rows]


def _drawable(values: Floats) -> Floats:
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _marks(y: Floats) -> Marks:
    marks = np.zeros(len(y), dtype=np.uint8)
    # With a NaN among the values, `min` is NaN, and this comparison is false.
    if not y.size or (y.min() >= -LARGEST and y.max() <= LARGEST):
        return marks
    is_odd = ~(np.abs(y) <= LARGEST)
    odd = y[is_odd]
    signs = np.where(odd > 0, INFINITY, MINUS_INFINITY)
    marks[is_odd] = np.where(np.isnan(odd), NAN, signs)
    return marks


def _counts(marks: Marks) -> tuple[int, ...]:
    marked = marks[marks > 0] if marks.any() else marks[:0]
    return tuple(np.bincount(marked, minlength=len(MARK_NAMES)).tolist())


def numbers(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column as floats; times become seconds since 1970.

    Raises
    ------
    InvalidArgument
        If the frame has no such column, or its values are not numbers.
    """
    return _floats(column_of(frame, name), name)


def column_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column; raise `InvalidArgument` if the frame has no such column."""
    if name not in frame.columns:
        raise InvalidArgument(f"The frame has no column {name!r}.")
    return frame.get_column(name)


def _floats(cells: pl.Series, name: str) -> pl.Series:
    dtype = cells.dtype
    if dtype == pl.Float64():
        return cells
    if dtype.is_numeric() or dtype in (pl.Boolean(), pl.Null()):
        return cells.cast(pl.Float64)
    if isinstance(dtype, (pl.Datetime, pl.Date)):
        return cells.cast(pl.Datetime("us")).cast(pl.Int64) / 1e6
    raise InvalidArgument(f"The values of {name!r} are of type {dtype}, not numbers.")


def labels_of(series: Sequence[Series]) -> list[str]:
    """Return the legend's labels of series: run, key or both, as needed to tell them apart.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame()
    >>> labels_of([Series(frame, "loss", run="a"), Series(frame, "loss", run="b")])
    ['a', 'b']
    >>> labels_of([Series(frame, "loss", run="a"), Series(frame, "acc", run="a")])
    ['loss', 'acc']
    """
    has_runs = len({one.run for one in series}) > 1
    has_keys = len({one.key for one in series}) > 1
    labels = []
    for one in series:
        parts = [one.run] if has_runs else []
        if has_keys or not has_runs:
            parts.append(one.key)
        labels.append(shown(" · ".join(parts)))
    return labels
