"""Draw a chart as a picture for papers (PNG, SVG, PDF), with matplotlib."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runlake.charts.curves import INFINITY, NAN, UNMARKED, Curve
from runlake.charts.drawing import Drawing
from runlake.charts.names import color_of, dash_of
from runlake.charts.series import Axis
from runlake.errors import MissingExtra
from runlake.errors.screen import shortened
from runlake.history.runs.align import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (6.4, 4.0)
DOTS_PER_INCH = 150
LINE_WIDTH = 1.2
LEGEND_COLUMNS = 3
SMALL = "small"
MAX_TITLE = 70
# Without these settings, files have a date in them, and equal charts would give different bytes.
DATES: Any = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
# Symbols of matplotlib, and the edge at which they stand.
MARKS = {NAN: ("x", 0.015), INFINITY: ("^", 0.985)}
BELOW = ("v", 0.015)


def make_figure(drawing: Drawing) -> Figure:
    """Return a chart as a figure of matplotlib; see `Chart.to_matplotlib`.

    The artists have ids: ``curve 0`` is the line of the first series, and ``marks 0 1`` are the
    NaN marks (kind 1) of this series. The elements of an SVG file have the same ids.
    """
    figure_class = _figure_class()
    figure = figure_class(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    lines = [_draw_curve(axes, curve, place) for place, curve in enumerate(drawing.curves)]
    _set_scale(axes, drawing)
    for place, curve in enumerate(drawing.curves):
        _draw_marks(axes, curve, place, is_log=drawing.y.is_log)
    axes.grid(alpha=0.3)
    _write(axes.set_title("", fontsize="medium"), shortened(drawing.heading, MAX_TITLE))
    _write(axes.set_xlabel(""), drawing.x.label)
    _write(figure.supxlabel("", fontsize=SMALL, color="0.4"), drawing.notes)
    if len(lines) > 1:
        _add_legend(figure, lines, drawing)
    return figure


def save_figure(drawing: Drawing, path: Path) -> None:
    """Write a chart as PNG, SVG or PDF; the file's extension chooses the format."""
    # First, because this raises MissingExtra if matplotlib is not installed.
    figure = make_figure(drawing)
    import matplotlib as mpl

    # Text stays text in SVG, and the same chart gives the same bytes.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "runlake"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A font may lack characters of a name: the picture shows boxes in their place.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(path, metadata=DATES.get(path.suffix.lower(), {}))


def _figure_class() -> type[Figure]:
    # Not pyplot, which would keep every figure in memory until it is closed.
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra(
            "Pictures of charts need matplotlib. Install it with: pip install 'runlake[plot]'.",
            extra="plot",
        ) from None
    return Figure


def _write(artist: Any, text: str) -> None:
    """Set the text of an artist unchanged: a dollar sign in a name begins no formula."""
    artist.set_parse_math(False)
    artist.set_text(text)


def _draw_curve(axes: Axes, curve: Curve, place: int) -> Any:
    color = color_of(place)
    dash = dash_of(place)
    style: Any = (0, dash) if dash else "-"
    x: Any = curve.x
    if curve.low is not None:
        low, high = curve.sides
        band = axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
        band.set_gid(f"band {place}")
    if curve.faint is not None:
        axes.plot(x, curve.faint, color=color, alpha=0.25, linewidth=LINE_WIDTH / 2)
    # Points without a neighbour have no line.
    symbol = "o" if _has_single(curve.line) else None
    (line,) = axes.plot(
        x, curve.line, color=color, linestyle=style, linewidth=LINE_WIDTH, marker=symbol
    )
    line.set_markersize(2.5)
    if symbol is not None:
        line.set_markevery(_single(curve.line).nonzero()[0].tolist())
    line.set_gid(f"curve {place}")
    return line


def _single(line: Floats) -> Any:
    known = np.isfinite(line)
    padded = np.pad(known, 1)
    return known & ~padded[:-2] & ~padded[2:]


def _has_single(line: Floats) -> bool:
    return bool(_single(line).any())


def _draw_marks(axes: Axes, curve: Curve, place: int, *, is_log: bool) -> None:
    marks = curve.marks.astype(np.int64)
    if is_log:
        marks = np.where((marks == UNMARKED) & (curve.y <= 0), -1, marks)
    for kind in np.unique(marks[marks != UNMARKED]).tolist():
        symbol, height = MARKS.get(kind, BELOW)
        places = curve.x[marks == kind]
        (drawn,) = axes.plot(
            places,
            np.full(len(places), height),
            linestyle="",
            marker=symbol,
            markersize=5,
            color=color_of(place),
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
        drawn.set_gid(f"marks {place} {kind}")


def _set_scale(axes: Axes, drawing: Drawing) -> None:
    for axis, name in ((drawing.x, "x"), (drawing.y, "y")):
        has_positive = name == "x" or any((curve.line > 0).any() for curve in drawing.curves)
        if axis.is_log and has_positive:
            getattr(axes, f"set_{name}scale")("log", nonpositive="mask")
    _set_range(axes, drawing.y)
    if drawing.has_dates:
        _show_times(axes)


def _set_range(axes: Axes, axis: Axis) -> None:
    low, high = axes.get_ylim()
    low = low if axis.low is None else axis.low
    high = high if axis.high is None else axis.high
    is_shown = not axis.is_log or low > 0
    if low < high and is_shown and (axis.low, axis.high) != (None, None):
        axes.set_ylim(low, high)


def _show_times(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from runlake.charts.ticks import time_texts

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda moment, _: time_texts([moment, moment + (high - low)])[0])
    )


def _add_legend(figure: Figure, lines: list[Any], drawing: Drawing) -> None:
    # Names are set afterwards: matplotlib leaves out those that begin with an underscore.
    legend = figure.legend(
        lines,
        [str(place) for place in range(len(lines))],
        loc="outside right upper" if len(lines) > LEGEND_COLUMNS else "outside upper center",
        ncols=1 if len(lines) > LEGEND_COLUMNS else len(lines),
        fontsize=SMALL,
        frameon=False,
    )
    for text, curve in zip(legend.get_texts(), drawing.curves, strict=True):
        _write(text, curve.label)
