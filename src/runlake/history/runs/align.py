"""Compute the curves of many runs at common points of an x axis, and statistics over the curves.

The module does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from runlake.errors import InvalidArgument
from runlake.values import check_count

Floats = npt.NDArray[np.float64]
Method = Literal["asof", "linear"]

METHODS = ("asof", "linear")
# The columns of the statistic "ci95".
CI95 = ("ci95_low", "ci95_high")
# Maximum number of cells in memory at once: a block of points, for all runs of a group.
BLOCK_CELLS = 4_000_000
N_RESAMPLES = 1_000
MAX_POINTS = 10_000_000  # of a grid; its statistics are in memory at once
SEED = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of the curve of one run.

    Parameters
    ----------
    x : array of float64
        Ascending, without NaN.
    y : array of float64
        One value per x; may contain NaN.
    """

    x: Floats
    y: Floats


def make_curve(x: Floats, y: Floats, smoothing: float | None = None) -> Curve:
    """Return the curve of a run, ascending by x; of several points with equal x the last is kept.

    Parameters
    ----------
    x, y : array of float64
        Equally long. Points whose x is NaN are left out.
    smoothing : float, optional
        A number below 1 is the weight of an exponential moving average (0 means no smoothing). A
        number of at least 1 is a number of points: each value is replaced by the mean of so many
        points around it.

    Examples
    --------
    >>> make_curve(np.array([1.0, 0.0, 1.0]), np.array([5.0, 6.0, 7.0])).y.tolist()
    [6.0, 7.0]
    """
    if np.isnan(x).any():
        known = ~np.isnan(x)
        x, y = x[known], y[known]
    if x.size > 1 and not (x[1:] > x[:-1]).all():
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        is_last = np.append(x[1:] != x[:-1], True)
        x, y = x[is_last], y[is_last]
    return Curve(x, smooth_values(y, smoothing) if smoothing else y)


def smooth_values(values: Floats, smoothing: float) -> Floats:
    """Return smoothed values; non-finite values stay as they are and do not count for the others.

    Parameters
    ----------
    values : array of float64
        The values of a curve, in the order of its x axis.
    smoothing : float
        A number below 1 is the weight for `smoothed`; any other number is the number of points for
        `window_mean`.
    """
    return smoothed(values, smoothing) if smoothing < 1 else window_mean(values, int(smoothing))


def smoothed(values: Floats, weight: float) -> Floats:
    """Return the exponential moving average without the bias towards 0 at its start.

    W&B's charts use the same average: each value counts ``weight`` times as much as its successor.

    Parameters
    ----------
    values : array of float64
        NaN stays NaN and does not count.
    weight : float
        From 0 to below 1.

    Examples
    --------
    >>> smoothed(np.array([1.0, 2.0, np.nan, 2.0]), 0.5).round(3).tolist()
    [1.0, 1.667, nan, 1.857]
    """
    import polars as pl

    is_finite = np.isfinite(values)
    numbers = pl.Series(np.where(is_finite, values, np.nan)).fill_nan(None)
    found = numbers.ewm_mean(alpha=1 - weight, adjust=True, ignore_nulls=True)
    return np.where(is_finite, found.to_numpy(), values)


def window_mean(values: Floats, n_points: int) -> Floats:
    """Return the mean of the points around each point; at the ends the window is shorter.

    Parameters
    ----------
    values : array of float64
        Non-finite values stay as they are and do not count.
    n_points : int
        Number of points of the window. If the number is even, the window has one more point before
        its center than after it.

    Examples
    --------
    >>> window_mean(np.array([0.0, 3.0, 6.0, 9.0]), 3).tolist()
    [1.5, 3.0, 6.0, 7.5]
    """
    import polars as pl

    if not values.size:
        return values
    is_finite = np.isfinite(values)
    # A longer window would have the same points, and polars ends the process if a window is too
    # long for its memory.
    n_points = min(n_points, 2 * values.size + 1)
    after = (n_points - 1) // 2
    numbers = pl.Series(np.where(is_finite, values, np.nan)).fill_nan(None)
    # A window of polars ends at its point: move the result back, and fill the end.
    padded = numbers.extend_constant(None, after)
    means = padded.rolling_mean(n_points, min_samples=1)[after:]
    return np.where(is_finite, means.to_numpy(), values)


def common_grid(curves: Sequence[Curve], grid: int | Sequence[float] | None) -> Floats:
    """Return the points of the x axis at which the curves of a group are compared.

    Parameters
    ----------
    curves : sequence of Curve
        The curves of a group.
    grid : int, sequence of float, or None
        An int is a number of points at equal distances from the lowest to the highest x. A sequence
        contains the points. None means every x at which any curve has a point. Infinite x of the
        curves do not count.

    Returns
    -------
    array of float64
        The points, ascending, each once.
    """
    # An interval with an infinite end cannot be divided.
    filled = [x for curve in curves if (x := curve.x[np.isfinite(curve.x)]).size]
    if grid is not None and not isinstance(grid, int):
        return np.unique(np.asarray(grid, dtype=np.float64))
    if not filled:
        return np.empty(0)
    if isinstance(grid, int):
        low, high = min(x[0] for x in filled), max(x[-1] for x in filled)
        return np.linspace(low, high, grid) if low < high else np.array([low])
    longest = max(filled, key=len)
    others = [x for x in filled if x.size != longest.size or not np.array_equal(x, longest)]
    return np.unique(np.concatenate([longest, *others])) if others else longest


def at_points(curve: Curve, points: Floats, method: Method) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the values of a curve at points of the x axis, and a mask of the points with a value.

    Parameters
    ----------
    curve : Curve
        The curve.
    points : array of float64
        Ascending.
    method : {"asof", "linear"}
        "asof" takes the value at the highest x that is not above the point; "linear" interpolates.

    Returns
    -------
    tuple of array of float64 and array of bool
        The values, and for each point whether the curve has a value. A curve has no value below its
        first x and above its last x.

    Examples
    --------
    >>> curve = Curve(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    >>> at_points(curve, np.array([1.0, 3.0]), "linear")
    (array([ 2., nan]), array([ True, False]))
    """
    if curve.x.size == points.size and np.array_equal(curve.x, points):
        return curve.y, np.ones(points.size, dtype=bool)
    values = np.full(points.size, np.nan)
    has = np.zeros(points.size, dtype=bool)
    if not curve.x.size:
        return values, has
    first, stop = np.searchsorted(points, curve.x[0]), np.searchsorted(points, curve.x[-1], "right")
    inside = points[first:stop]
    has[first:stop] = True
    if method == "linear":
        # numpy interpolates between a number and NaN also at the number itself.
        found = np.interp(inside, curve.x, curve.y)
        exact = np.searchsorted(curve.x, inside)
        is_exact = curve.x[np.minimum(exact, curve.x.size - 1)] == inside
        values[first:stop] = np.where(is_exact, curve.y[exact.clip(max=curve.x.size - 1)], found)
    else:
        values[first:stop] = curve.y[np.searchsorted(curve.x, inside, "right") - 1]
    return values, has


def summarize(
    curves: Sequence[Curve], points: Floats, method: Method, stats: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return statistics over curves at each point of the x axis.

    Parameters
    ----------
    curves : sequence of Curve
        The curves of a group.
    points : array of float64
        The common axis, ascending.
    method : {"asof", "linear"}
        As for `at_points`.
    stats : sequence of str
        Names from `STATS`.

    Returns
    -------
    dict of str to array
        By name: the statistics in the order of ``stats``, then three counts of curves: ``n``
        (curves with a number at the point), ``n_nan`` (curves with NaN) and ``n_missing`` (curves
        without a value). Only numbers count in the statistics. A statistic is NaN at points where
        no curve has a number; "std" and "sem" are also NaN where only one curve has a number.
    """
    n_points = max(1, BLOCK_CELLS // max(1, len(curves)))
    blocks = [
        _summarized(curves, points[start : start + n_points], method, stats)
        for start in range(0, max(1, points.size), n_points)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _summarized(
    curves: Sequence[Curve], points: Floats, method: Method, stats: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    cells = np.empty((len(curves), points.size))
    has = np.empty((len(curves), points.size), dtype=bool)
    for row, curve in enumerate(curves):
        cells[row], has[row] = at_points(curve, points, method)
    is_nan = np.isnan(cells)
    n_missing = len(curves) - has.sum(axis=0)
    n_nan = is_nan.sum(axis=0) - n_missing
    numbers = _Numbers(cells, is_nan)
    found: dict[str, npt.NDArray[Any]] = {}
    for name in stats:
        if name == "ci95":
            found.update(zip(CI95, numbers.interval(), strict=True))
        elif name != "n":
            found[name] = STATS[name](numbers)
    return {**found, "n": numbers.n, "n_nan": n_nan, "n_missing": n_missing}


class _Numbers:
    """The values of several curves at common points of the x axis, and statistics of these values.

    ``cells`` has a row per curve and a column per point; it is NaN where a curve has no number.
    """

    def __init__(self, cells: Floats, is_nan: npt.NDArray[np.bool_]) -> None:
        self.cells = cells
        self.is_nan = is_nan
        self.has_nan = bool(is_nan.any())
        self.n = cells.shape[0] - is_nan.sum(axis=0)

    def mean(self) -> Floats:
        cells = np.where(self.is_nan, 0, self.cells) if self.has_nan else self.cells
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(cells.sum(axis=0) / self.n)

    def std(self) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = self.cells - self.mean()
            if self.has_nan:
                apart = np.where(self.is_nan, 0, apart)
            squares = np.einsum("ij,ij->j", apart, apart) / (self.n - 1)
            return np.asarray(np.sqrt(np.where(self.n > 1, squares, np.nan)))

    @cached_property
    def _ordered(self) -> Floats:
        return np.sort(self.cells, axis=0)

    def quantile(self, share: float) -> Floats:
        """Return a quantile over the curves at each point, interpolated linearly.

        ``share`` says which quantile: 0 is the lowest value, 0.5 the median, 1 the highest value.
        """
        if not self.cells.shape[0]:
            return np.full(self.cells.shape[1], np.nan)
        # NaN sorts last. numpy's quantile is NaN next to an infinity.
        ordered = self._ordered
        place = np.maximum(self.n - 1, 0) * share
        low = np.floor(place).astype(int)
        high = np.ceil(place).astype(int)
        columns = np.arange(ordered.shape[1])
        below, above = ordered[low, columns], ordered[high, columns]
        part = place - low
        with np.errstate(invalid="ignore", over="ignore"):
            between = below + (above - below) * part
            # Every value between a number and an infinity is that infinity.
            beside = below * (1 - part) + above * part
        between = np.where(np.isinf(below) | np.isinf(above), beside, between)
        return np.asarray(np.where(below == above, below, between))

    def interval(self) -> tuple[Floats, Floats]:
        """Return the low and high bounds of the mean's 95 % confidence interval at each point.

        The bounds contain 95 % of the means of resampled curves. The seed is fixed, so that every
        call returns the same bounds.
        """
        n_curves, n_points = self.cells.shape
        if not n_curves:
            return np.full(n_points, np.nan), np.full(n_points, np.nan)
        random = np.random.default_rng(SEED)
        draws = random.multinomial(n_curves, np.full(n_curves, 1 / n_curves), N_RESAMPLES)
        weights = draws.astype(np.float64)
        low, high = np.empty(n_points), np.empty(n_points)
        step = max(1, BLOCK_CELLS // N_RESAMPLES)
        for start in range(0, n_points, step):
            block = slice(start, start + step)
            is_nan = self.is_nan[:, block]
            cells = np.where(is_nan, 0, self.cells[:, block])
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                totals = weights @ np.where(np.isinf(cells), 0, cells)
                # 0 times infinity is NaN: a run that was not drawn must not count.
                for infinity in (np.inf, -np.inf):
                    if (found := cells == infinity).any():
                        totals += np.where(weights @ found > 0, infinity, 0)
                means = totals / (weights @ (~is_nan).astype(np.float64))
            numbers = _Numbers(means, np.isnan(means))
            low[block], high[block] = numbers.quantile(0.025), numbers.quantile(0.975)
        return low, high


def _extreme(numbers: _Numbers, *, is_low: bool) -> Floats:
    if not numbers.cells.shape[0]:
        return np.full(numbers.cells.shape[1], np.nan)
    reduce = np.fmin.reduce if is_low else np.fmax.reduce
    return np.asarray(reduce(numbers.cells))


STATS: Mapping[str, Callable[[_Numbers], Floats]] = {
    "mean": _Numbers.mean,
    "std": _Numbers.std,
    "sem": lambda numbers: numbers.std() / np.sqrt(np.maximum(numbers.n, 1)),
    "median": lambda numbers: numbers.quantile(0.5),
    "min": lambda numbers: _extreme(numbers, is_low=True),
    "max": lambda numbers: _extreme(numbers, is_low=False),
    "q10": lambda numbers: numbers.quantile(0.1),
    "q90": lambda numbers: numbers.quantile(0.9),
}
STAT_NAMES = (*STATS, "ci95", "n")


def checked_grid(grid: object) -> int | list[float] | None:
    """Check and return the argument ``grid`` of `Runs.align`.

    Raises
    ------
    InvalidArgument
        If the argument is neither None, nor an integer from 1 to `MAX_POINTS`, nor a non-empty
        sequence of finite numbers.
    """
    if grid is None:
        return None
    if isinstance(grid, (int, np.integer)):
        n_points = check_count(int(grid) if not isinstance(grid, bool) else grid, "grid")
        if n_points > MAX_POINTS:
            raise InvalidArgument(f"grid must be {MAX_POINTS:,} points or fewer, not {n_points!r}.")
        return n_points
    try:
        given = np.asarray(grid)
        points = given.astype(np.float64) if given.dtype.kind in "iuf" else np.empty((0, 0))
    except (TypeError, ValueError, OverflowError):
        points = np.empty((0, 0))
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise InvalidArgument(
            f"grid must be a number of points, a list of finite numbers, or None, not {grid!r}."
        )
    return [float(point) for point in points]
