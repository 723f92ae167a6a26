"""Curves on one x axis, against a plain reference."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.runs.align import at_points, common_grid, make_curve, smoothed, summarize

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


def reference(runs, grid, method):
    """Return mean, std, median, n, n_nan and n_missing per point."""
    rows = []
    for at in grid:
        values = [reference_value(run, at, method) for run in runs]
        numbers = [v for v in values if v is not None and not math.isnan(v)]
        rows.append(
            (
                statistics.fmean(numbers) if numbers else math.nan,
                statistics.stdev(numbers) if len(numbers) > 1 else math.nan,
                statistics.median(numbers) if numbers else math.nan,
                len(numbers),
                sum(v is not None and math.isnan(v) for v in values),
                values.count(None),
            )
        )
    return rows


@given(st.lists(POINTS, min_size=1, max_size=5), st.sampled_from(["asof", "linear"]))
def test_statistics_are_those_of_a_plain_reference(runs, method):
    curves = [
        make_curve(np.array([x for x, _ in run], float), np.array([y for _, y in run], float))
        for run in runs
    ]
    grid = common_grid(curves, None)
    assert grid.tolist() == sorted({x for run in runs for x, _ in run})
    found = summarize(curves, grid, method, ["mean", "std", "median"])
    names = ("mean", "std", "median", "n", "n_nan", "n_missing")
    rows = list(zip(*(found[name].tolist() for name in names), strict=True))
    expected = reference([list(dict(run).items()) for run in runs], grid.tolist(), method)
    assert [list(row) for row in rows] == [pytest.approx(row, nan_ok=True) for row in expected]


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
