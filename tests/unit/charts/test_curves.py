"""Curves have the points that show a chart's shape, in every form that rows can have."""

import numpy as np
import polars as pl
import pytest

from runlake.charts.chart import Chart
from runlake.charts.curves import INFINITY, MINUS_INFINITY, NAN
from runlake.charts.html import payload_of
from runlake.charts.series import Axis, Series
from runlake.charts.smoothing import check_smooth
from runlake.errors import InvalidArgument
from runlake.history.runs.align import window_mean

NOTHING = float("nan")
FLOATS = {"_timestamp": pl.Float64, "loss": pl.Float64}


def curve_of(values, steps=None, **how):
    rows = {"_step": range(len(values)) if steps is None else steps, "loss": values}
    frame = pl.DataFrame(rows, strict=False)
    return Chart((Series(frame, "loss"),), **how).curves[0]


def test_a_row_without_the_key_is_no_point_and_no_gap():
    curve = curve_of([1.0, None, 3.0])
    assert curve.x.tolist() == [0, 2]
    assert curve.y.tolist() == [1, 3]
    assert not curve.marks.any()


def test_nan_and_infinities_interrupt_the_line_and_are_marked():
    curve = curve_of([1.0, NOTHING, 2.0, np.inf, -np.inf, 1e305])
    assert curve.marks.tolist() == [0, NAN, 0, INFINITY, MINUS_INFINITY, INFINITY]
    assert np.isfinite(curve.line).tolist() == [True, False, True, False, False, False]


def test_a_sample_keeps_the_first_and_last_point_and_every_stretch_of_nan():
    values = np.sin(np.arange(50_000) / 500)
    values[20_000:40_000] = np.nan
    values[45_000] = np.nan
    curve = curve_of(values, points=200)
    assert len(curve.x) <= 200
    assert (curve.x[0], curve.x[-1]) == (0, 49_999)
    assert 45_000 in curve.x
    marked = curve.x[curve.marks == NAN]
    assert marked.min() == 20_000
    assert curve.n_points == 50_000


def test_keys_of_one_frame_are_sampled_together():
    frame = pl.DataFrame({"_step": range(9_000), "a": np.arange(9_000.0), "b": np.zeros(9_000)})
    one, other = Chart((Series(frame, "a"), Series(frame, "b")), points=100).curves
    assert one.x.tolist() == other.x.tolist()


def test_points_are_in_the_order_of_the_axis():
    frame = pl.DataFrame({"epoch": [2.0, 1.0, None, 1.0, NOTHING], "loss": [1, 2, 3, 4, 5]})
    curve = Chart.of_frame(frame, "loss", x="epoch").curves[0]
    assert list(zip(curve.x.tolist(), curve.y.tolist(), strict=True)) == [(1, 2), (1, 4), (2, 1)]


def test_a_log_axis_of_x_leaves_out_what_is_not_above_0():
    frame = pl.DataFrame({"_step": [0, 1, 10], "loss": [1.0, 2.0, 3.0]})
    chart = Chart((Series(frame, "loss"),), x=Axis("_step", "log"))
    assert chart.curves[0].x.tolist() == [1, 10]


def test_a_narrower_range_has_finer_points():
    frame = pl.DataFrame({"_step": range(10_000), "loss": np.random.default_rng(0).random(10_000)})
    chart = Chart((Series(frame, "loss"),), points=100)
    near = chart.within(100, 199)
    assert near.curves[0].x.tolist() == list(range(100, 200))
    assert near.remarks[0] == "100 points"
    assert chart.remarks[0] == "100 of 10,000 points"


def test_values_of_many_types_are_numbers():
    days = pl.Series(["2026-01-01"]).str.to_date()
    for cells in ([True], [3], pl.Series([3], dtype=pl.UInt8), days):
        assert curve_of(cells).y.size == 1
    with pytest.raises(InvalidArgument, match="not numbers"):
        _ = curve_of(["a"]).y


def test_an_empty_frame_is_an_empty_curve():
    assert curve_of([]).x.size == 0
    assert Chart((Series(pl.DataFrame({"_step": [], "loss": []}), "loss"),)).text()


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "0.9", True, float("nan"), float("inf"), 2.5])
def test_wrong_smoothing_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="smooth"):
        check_smooth(wrong)


def reference_average(values, weight):
    """The debiased average as W&B documents it, one value after the other."""
    last, n_seen, found = 0.0, 0, []
    for value in values:
        if not np.isfinite(value):
            found.append(value)
            continue
        last = last * weight + (1 - weight) * value
        n_seen += 1
        found.append(last / (1 - weight**n_seen))
    return found


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.999])
def test_smoothing_is_the_average_of_the_web_app(weight):
    values = np.random.default_rng(1).normal(size=300)
    values[[7, 8, 100]] = [np.nan, np.inf, -np.inf]
    found = curve_of(values, smooth=weight).y
    assert found == pytest.approx(reference_average(values, weight), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("n_points", [2, 3, 10, 1_000])
def test_a_window_is_the_mean_of_the_points_around_each_point(n_points):
    values = np.random.default_rng(2).normal(size=60)
    values[10] = np.nan
    before, after = n_points // 2, (n_points - 1) // 2
    expected = [
        np.nanmean(values[max(0, at - before) : at + after + 1]) if at != 10 else np.nan
        for at in range(60)
    ]
    assert window_mean(values, n_points) == pytest.approx(expected, nan_ok=True)


def test_values_before_smoothing_are_kept_for_the_picture():
    curve = curve_of([1.0, None, 3.0, NOTHING], smooth=0.5)
    assert curve.raw.tolist()[:2] == [1, 3]
    assert curve.marks.tolist() == [0, 0, NAN]


def test_points_at_an_x_beyond_all_axes_are_left_out():
    curve = curve_of([1.0, 2.0, 3.0, 4.0], [-1.7e308, 0.0, 1.0, np.inf])
    assert curve.x.tolist() == [0, 1]


@pytest.mark.parametrize("n_points", [7, 10**18])
def test_a_window_longer_than_the_curve_has_all_points(n_points):
    assert curve_of([1.0, 2.0, 6.0], smooth=n_points).y.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("seconds", "has_dates"),
    [([1.7e9, 1.8e9], True), ([], True), ([1.7e12, 1.8e12], False), ([-1e200, 0.0], False)],
)
def test_dates_are_shown_where_a_calendar_has_them(seconds, has_dates):
    frame = pl.DataFrame({"_timestamp": seconds, "loss": seconds}, schema_overrides=FLOATS)
    drawing = Chart.of_frame(frame, "loss", x="_timestamp").drawing
    assert drawing.has_dates is has_dates
    assert payload_of(drawing)["x"]["time"] is has_dates
