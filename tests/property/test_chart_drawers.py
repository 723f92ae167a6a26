"""No drawer loses the first point, the last point, or a mark, whatever the values are."""

from functools import cache

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chart_payloads import decoded
from tests.thorough import n_examples

from runlake.charts import html
from runlake.charts.chart import Chart
from runlake.charts.curves import INFINITY, MINUS_INFINITY, NAN
from runlake.charts.series import Axis, Series
from runlake.charts.sparkline import static_chart

SIGNS = {NAN: "\u00d7", INFINITY: "▲", MINUS_INFINITY: "▼"}

values = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1.7e308]),
    st.floats(-10, 10),
    st.none(),
)
columns = st.lists(values, min_size=1, max_size=60)


@st.composite
def charts(draw):
    column = draw(columns)
    # Longer than a sample of few points, so that the sample is part of the property.
    repeats = draw(st.sampled_from([1, 1, 12]))
    cells = column * repeats
    steps = np.cumsum(draw(st.lists(st.integers(1, 10**9), min_size=1, max_size=5)) * len(cells))
    frame = pl.DataFrame(
        {"_step": steps[: len(cells)], "loss": pl.Series(cells, dtype=pl.Float64), "acc": 1.0}
    )
    names = draw(st.sampled_from([["loss"], ["loss", "acc"]]))
    scale = draw(st.sampled_from(["linear", "log"]))
    smooth = draw(st.sampled_from([None, 0.9, 7]))
    series = tuple(Series(frame, name) for name in names)
    return Chart(series, y=Axis(scale=scale), smooth=smooth, points=400)


@cache
def matplotlib_is_ready():
    """Load matplotlib before the deadline of an example counts."""
    Chart.of_frame(pl.DataFrame({"_step": [0], "loss": [1.0]}), "loss").to_matplotlib()
    return True


@settings(max_examples=n_examples(12, 300), deadline=None)
@given(charts())
def test_no_drawer_loses_a_mark_or_an_end(chart):
    frame = chart.series[0].frame
    points = frame.filter(pl.col("loss").is_not_null())
    curve = chart.curves[0]
    assert curve.n_points == points.height
    if points.is_empty():
        assert curve.x.size == 0
        return
    ends = [points["_step"][0], points["_step"][-1]]
    assert [curve.x[0], curve.x[-1]] == ends
    odd = points.filter(~pl.col("loss").is_finite())
    assert (curve.marks > 0).any() or odd.is_empty()

    payload = html.payload_of(chart.drawing)
    drawn = payload["curves"][0]
    np.testing.assert_array_equal(decoded(payload["buffers"][drawn["x"]]), curve.x)
    marks = (
        decoded(payload["buffers"][drawn["marks"]]) if "marks" in drawn else np.zeros(len(curve.x))
    )
    np.testing.assert_array_equal(marks, curve.marks)

    text = chart.text()
    lines = text.splitlines()
    kinds = set(curve.marks[curve.marks > 0].tolist())
    for kind in kinds:
        assert any(SIGNS[kind] in line for line in lines[1:-2]), text
    assert static_chart(chart.drawing).count('class="marks"') == bool(kinds)

    check_matplotlib(chart)
    check_plotly(chart)


def check_matplotlib(chart):
    assert matplotlib_is_ready()
    (axes,) = chart.to_matplotlib().axes
    lines = {line.get_gid(): line for line in axes.get_lines()}
    for place, curve in enumerate(chart.curves):
        np.testing.assert_array_equal(lines[f"curve {place}"].get_xdata(), curve.x)
        np.testing.assert_array_equal(lines[f"curve {place}"].get_ydata(), curve.line)
        for kind in np.unique(curve.marks[curve.marks > 0]):
            marked = lines[f"marks {place} {kind}"].get_xdata()
            np.testing.assert_array_equal(marked, curve.x[curve.marks == kind])


def check_plotly(chart):
    traces = chart.to_plotly().data
    for place, curve in enumerate(chart.curves):
        own = [trace for trace in traces if trace.legendgroup == str(place)]
        (line,) = [trace for trace in own if trace.name == curve.label]
        np.testing.assert_array_equal(np.asarray(line.x, dtype=float), curve.x)
        np.testing.assert_array_equal(np.asarray(line.y, dtype=float), curve.line)
        marked = [x for trace in own if ": " in (trace.name or "") for x in trace.x]
        assert set(curve.x[curve.marks > 0]) <= set(marked)
