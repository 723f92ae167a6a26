"""Curves on one x axis, against a plain reference."""

import math
import statistics

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.runs.align import (
    METHODS,
    STAT_NAMES,
    at_points,
    common_grid,
    make_curve,
    smoothed,
    summarize,
)
from runlake.history.runs.aligned import Alignment, aligned_frame
from runlake.history.runs.run_rows import RunRows

NAMES = ("mean", "std", "sem", "median", "min", "max", "q10", "q90", "ci95_low", "ci95_high")
VALUES = st.one_of(st.integers(-5, 5).map(float), st.just(math.nan), st.just(0.25))
POINTS = st.lists(st.tuples(st.integers(0, 8).map(float), VALUES), max_size=8)


def reference_value(points, at, method):
    """Return the value of a run's points at x, None where the run has none."""
    known = dict(points)
    xs = sorted(known)
    if not xs or at < xs[0] or at > xs[-1]:
        return None
    before = max(x for x in xs if x <= at)
    behind = min(x for x in xs if x >= at)
    if method == "asof" or before == behind:
        return known[before]
    share = (at - before) / (behind - before)
    return known[before] + (known[behind] - known[before]) * share


def quantile(numbers, share):
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def interval(values):
    """Return the bounds of 95 % of the means of resampled runs; NaN counts in no mean."""
    draws = np.random.default_rng(0).multinomial(len(values), [1 / len(values)] * len(values), 1000)
    known = [(at, v) for at, v in enumerate(values) if v is not None and not math.isnan(v)]
    means = [
        sum(int(drawn[at]) * v for at, v in known) / n
        for drawn in draws
        if (n := sum(int(drawn[at]) for at, _ in known))
    ]
    return quantile(means, 0.025), quantile(means, 0.975)


def reference(runs, grid, method):
    """Return every statistic, n, n_nan and n_missing per point."""
    rows = []
    for at in grid:
        values = [reference_value(run, at, method) for run in runs]
        known = [v for v in values if v is not None and not math.isnan(v)]
        spread = statistics.stdev(known) if len(known) > 1 else math.nan
        row = dict.fromkeys(NAMES, math.nan) | {
            "n": len(known),
            "n_nan": sum(v is not None and math.isnan(v) for v in values),
            "n_missing": values.count(None),
        }
        if known:
            row |= {"mean": statistics.fmean(known), "std": spread}
            row |= {"sem": spread / math.sqrt(len(known)), "median": statistics.median(known)}
            row |= {"min": min(known), "max": max(known)}
            row |= {"q10": quantile(known, 0.1), "q90": quantile(known, 0.9)}
            row["ci95_low"], row["ci95_high"] = interval(values)
        rows.append(row)
    return rows


def points_of(runs, grid):
    """Return the points of the common axis."""
    xs = sorted({x for run in runs for x, _ in run})
    if grid is None or (isinstance(grid, int) and not xs):
        return xs
    if not isinstance(grid, int):
        return sorted(set(grid))
    return np.linspace(xs[0], xs[-1], grid).tolist() if len(xs) > 1 else xs


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), POINTS, POINTS), min_size=1, max_size=5),
    st.sampled_from(METHODS),
    st.one_of(st.none(), st.integers(1, 4), st.lists(st.floats(-1, 9, width=16), min_size=1)),
)
def test_aligned_curves_are_those_of_a_plain_reference(runs, method, grid):
    """Runs have a group, points of the key "loss", and points of the key "acc"."""
    parts = [
        {"x": [x for x, _ in loss + acc], "loss": [y for _, y in loss] + [None] * len(acc)}
        | {"acc": [None] * len(loss) + [y for _, y in acc]}
        for _, loss, acc in runs
    ]
    schema = {"x": pl.Float64, "loss": pl.Float64, "acc": pl.Float64}
    frames = [pl.DataFrame(part, schema=schema) for part in parts]
    rows = RunRows(pl.concat(frames), np.array([frame.height for frame in frames]))
    groups = pl.DataFrame({"group": [group for group, _, _ in runs]}, schema={"group": pl.String})
    alignment = Alignment(grid, method, STAT_NAMES, None)
    found = aligned_frame(rows, groups, "x", ["loss", "acc"], alignment).to_dicts()
    expected = []
    for group in dict.fromkeys(group for group, _, _ in runs):
        for at, key in enumerate(["loss", "acc"], start=1):
            own = [list(dict(run[at]).items()) for run in runs if run[0] == group]
            axis = points_of(own, grid)
            for x, row in zip(axis, reference(own, axis, method), strict=True):
                expected.append({"group": group, "key": key, "x": x, **row})
    assert found == [pytest.approx(row, nan_ok=True) for row in expected]


def test_a_curve_is_not_continued_beyond_its_ends():
    curve = make_curve(np.array([1.0, 3.0]), np.array([5.0, 7.0]))
    values, has = at_points(curve, np.array([0.0, 1.0, 2.0, 3.0, 4.0]), "asof")
    assert has.tolist() == [False, True, True, True, False]
    assert values[1:4].tolist() == [5.0, 5.0, 7.0]


def test_points_of_the_axis_are_those_asked_for():
    curves = [make_curve(np.array([0.0, 4.0]), np.zeros(2)), make_curve(np.empty(0), np.empty(0))]
    assert common_grid(curves, 3).tolist() == [0.0, 2.0, 4.0]
    assert common_grid(curves, [3, 1, 3]).tolist() == [1.0, 3.0]
    assert common_grid(curves[1:], 3).size == 0


def test_smoothing_is_that_of_the_charts():
    values, last, weight = [], 0.0, 0.0
    for value in (3.0, 1.0, 4.0):
        last, weight = last * 0.6 + value * 0.4, weight * 0.6 + 0.4
        values.append(last / weight)
    assert smoothed(np.array([3.0, 1.0, 4.0]), 0.6).tolist() == pytest.approx(values)


def test_the_interval_of_the_mean_holds_it_and_is_the_same_each_time():
    random = np.random.default_rng(1)
    curves = [make_curve(np.arange(4.0), random.normal(size=4)) for _ in range(30)]
    first = summarize(curves, np.arange(4.0), "asof", ["mean", "ci95"])
    again = summarize(curves, np.arange(4.0), "asof", ["ci95"])
    assert (first["ci95_low"] < first["mean"]).all()
    assert (first["mean"] < first["ci95_high"]).all()
    assert first["ci95_low"].tolist() == again["ci95_low"].tolist()


def test_quantiles_ignore_nan_and_missing_runs():
    curves = [make_curve(np.array([0.0]), np.array([y])) for y in (1.0, 2.0, math.nan, 4.0)]
    curves.append(make_curve(np.empty(0), np.empty(0)))
    found = summarize(curves, np.array([0.0]), "asof", ["median", "q10", "q90", "min", "max"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "median": [2.0],
        "q10": [pytest.approx(1.2)],
        "q90": [pytest.approx(3.6)],
        "min": [1.0],
        "max": [4.0],
        "n": [3],
        "n_nan": [1],
        "n_missing": [1],
    }


def test_infinite_values_count_as_numbers_of_their_own():
    curves = [make_curve(np.array([0.0]), np.array([y])) for y in (3.0, 4.0, math.inf)]
    found = summarize(curves, np.array([0.0]), "asof", ["median", "q10", "max", "ci95"])
    assert found["median"].tolist() == [4.0]
    assert found["q10"].tolist() == [pytest.approx(3.2)]
    assert found["ci95_high"].tolist() == [math.inf]
    assert found["ci95_low"].tolist() >= [3.0]
    assert smoothed(np.array([1.0, math.inf, 1.0]), 0.5).tolist() == [1.0, math.inf, 1.0]


def test_an_infinite_x_is_no_point_of_a_grid():
    curve = make_curve(np.array([0.0, 4.0, math.inf]), np.zeros(3))
    assert common_grid([curve], 3).tolist() == [0.0, 2.0, 4.0]
