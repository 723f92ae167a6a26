"""Draws a chart as a plotly figure, which users can change further."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runlake.charts.curves import INFINITY, MARK_NAMES, NAN, UNMARKED, Curve
from runlake.charts.drawing import Drawing
from runlake.charts.names import COLORS, color_of
from runlake.charts.series import Axis
from runlake.errors import MissingExtra

if TYPE_CHECKING:
    import plotly.graph_objects

MARKS = {NAN: "x", INFINITY: "triangle-up"}
BELOW = "triangle-down"
DASHES = ("solid", "dash", "dot", "dashdot")
MILLISECONDS = 1_000


def make_figure(drawing: Drawing) -> plotly.graph_objects.Figure:
    """Return a chart as a figure of plotly; see `Chart.to_plotly`.

    The marks of NaN and infinities are traces on a hidden second y axis from 0 to 1.
    """
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtra(
            "to_plotly() needs plotly. Install it with: pip install 'runlake[plotly]'.",
            extra="plotly",
        ) from None
    traces = [
        trace
        for place, curve in enumerate(drawing.curves)
        for trace in (*_bands(drawing, curve, place), *_marks(drawing, curve, place))
    ]
    across = _axis(drawing.x, has_dates=drawing.has_dates)
    figure = go.Figure(data=[go.Scatter(**trace) for trace in traces])
    figure.update_layout(
        title={"text": _text(drawing.heading), "subtitle": {"text": _text(drawing.notes)}},
        xaxis={"title": {"text": _text(drawing.x.label)}, **across},
        yaxis=_axis(drawing.y),
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    return figure


def _text(name: str) -> str:
    """Escape a name, because plotly interprets markup in text."""
    return html.escape(name)


def _axis(axis: Axis, *, has_dates: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "log" if axis.is_log else "date" if has_dates else "linear"}
    if axis.key == "":
        ends = [_place(end, axis) for end in (axis.low, axis.high)]
        # Plotly chooses an end that is None, so that all points on this side are shown.
        if ends != [None, None]:
            found["range"] = ends
    return found


def _place(end: float | None, axis: Axis) -> float | None:
    """Return an end of a range as plotly writes it; None if there is none on a log axis."""
    if end is None or not axis.is_log:
        return end
    return math.log10(end) if end > 0 else None


def _across(drawing: Drawing, curve: Curve) -> Any:
    return curve.x * MILLISECONDS if drawing.has_dates else curve.x


def _bands(drawing: Drawing, curve: Curve, place: int) -> list[dict[str, Any]]:
    """Return the plotly traces of a curve: band edges, values before smoothing, and the line."""
    color = color_of(place)
    group = {"x": _across(drawing, curve), "legendgroup": str(place), "mode": "lines"}
    hidden = {**group, "showlegend": False, "hoverinfo": "skip"}
    traces: list[dict[str, Any]] = []
    if curve.low is not None:
        low, high = curve.sides
        edge = {**hidden, "line": {"width": 0}}
        traces.append({**edge, "y": low})
        traces.append({**edge, "y": high, "fill": "tonexty", "fillcolor": _faint(color)})
    if curve.faint is not None:
        traces.append(
            {**hidden, "y": curve.faint, "line": {"color": color, "width": 1}, "opacity": 0.25}
        )
    style = DASHES[place // len(COLORS) % len(DASHES)]
    is_short = len(curve.x) == 1 or np.isnan(curve.line).any()
    traces.append(
        {
            **group,
            "y": curve.line,
            "name": _text(curve.label),
            "mode": "lines+markers" if is_short else "lines",
            "marker": {"size": 3},
            "line": {"color": color, "width": 1.5, "dash": style},
            "connectgaps": False,
        }
    )
    return traces


def _faint(color: str) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _marks(drawing: Drawing, curve: Curve, place: int) -> list[dict[str, Any]]:
    marks = curve.marks.astype(np.int64)
    if drawing.y.is_log:
        marks = np.where((marks == UNMARKED) & (curve.y <= 0), -1, marks)
    traces = []
    for kind in np.unique(marks[marks != UNMARKED]).tolist():
        places = _across(drawing, curve)[marks == kind]
        name = MARK_NAMES[kind] if kind > 0 else "0 or less"
        traces.append(
            {
                "x": places,
                "y": np.full(len(places), 0.99 if kind == INFINITY else 0.01),
                "yaxis": "y2",
                "mode": "markers",
                "name": f"{_text(curve.label)}: {name}",
                "legendgroup": str(place),
                "showlegend": False,
                "marker": {"symbol": MARKS.get(kind, BELOW), "color": color_of(place), "size": 8},
                "cliponaxis": False,
            }
        )
    return traces
