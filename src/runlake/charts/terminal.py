"""Draw a chart with characters, for a terminal, with plotext."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from runlake.charts.curves import INFINITY, NAN, UNMARKED, Curve
from runlake.charts.drawing import Drawing
from runlake.charts.series import Axis
from runlake.charts.ticks import log_text, log_ticks, round_ticks, tick_text, time_texts
from runlake.errors import MissingExtra
from runlake.history.runs.align import Floats

MIN_WIDTH, MIN_HEIGHT = 24, 6
# One curve is drawn with dots of an eighth of a character, several with letters.
SINGLE = "braille"
LETTERS = "abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ0123456789"
EDGE = "."
MARKS = {NAN: "\u00d7", INFINITY: "▲"}
BELOW = "▼"
COLUMNS_PER_TICK, LINES_PER_TICK = 12, 4
# Space for marks above and below the curves, as a share of their height.
PADDING = 0.12

# plotext has one figure for the whole process.
_figure_lock = Lock()


def draw_text(drawing: Drawing, width: int, height: int) -> str:
    """Return a chart as text; see `Chart.text`."""
    try:
        import plotext
    except ImportError:
        raise MissingExtra(
            "Charts in the terminal need plotext. Install it with: pip install 'runlake[cli]'.",
            extra="cli",
        ) from None
    size = (max(width, MIN_WIDTH), max(height, MIN_HEIGHT))
    plane = _plane(drawing)
    with _figure_lock:
        figure = plotext.figure
        figure.clear()
        figure.plot_size(*size)
        figure.theme("colorless")
        for curve, letter in zip(drawing.curves, _letters(drawing), strict=True):
            _draw_curve(figure, curve, letter, plane)
        # Marks are drawn last: nothing hides them.
        for curve in drawing.curves:
            _draw_marks(figure, curve, plane)
        _set_axis(figure, "x", drawing.x, plane.x, size[0] // COLUMNS_PER_TICK)
        _set_axis(figure, "y", drawing.y, plane.y, size[1] // LINES_PER_TICK + 1)
        picture = plotext.uncolorize(str(figure.build()))
        figure.clear()
    lines = [line.rstrip() for line in picture.splitlines() if line.strip()]
    # All names are outside of the picture: plotext would interpret or cut them.
    below = [f"{letter} {curve.label}" for curve, letter in _legend(drawing)]
    axis = drawing.x.label.rjust(size[0]) if drawing.x.label else ""
    return "\n".join([drawing.heading, *lines, axis, *below, drawing.notes])


def _letters(drawing: Drawing) -> list[str]:
    if len(drawing.curves) == 1:
        return [SINGLE]
    return [LETTERS[place % len(LETTERS)] for place in range(len(drawing.curves))]


def _legend(drawing: Drawing) -> list[tuple[Curve, str]]:
    is_alone = len(drawing.curves) == 1
    return [] if is_alone else list(zip(drawing.curves, _letters(drawing), strict=True))


@dataclass(frozen=True, slots=True)
class _Plane:
    """The range that each axis shows; the ends of a log axis are exponents of ten."""

    x: tuple[float, float]
    y: tuple[float, float]
    is_log_x: bool
    is_log_y: bool

    def across(self, values: Floats) -> Floats:
        return _exponents(values) if self.is_log_x else values

    def up(self, values: Floats) -> Floats:
        return _exponents(values) if self.is_log_y else values


def _plane(drawing: Drawing) -> _Plane:
    is_log_x, is_log_y = drawing.x.is_log, drawing.y.is_log
    sides = [side for curve in drawing.curves for side in (*curve.sides, curve.line)]
    heights = [_exponents(side) for side in sides] if is_log_y else sides
    # Without a positive value there is no log axis.
    if is_log_y and not any(np.isfinite(one).any() for one in heights):
        heights, is_log_y = sides, False
    across = [_exponents(curve.x) if is_log_x else curve.x for curve in drawing.curves]
    low, high = _span(heights)
    low, high = _fixed(drawing.y, low, high, is_log=is_log_y)
    kinds = {kind for curve in drawing.curves for kind in np.unique(curve.marks).tolist()}
    pad = (high - low) * PADDING
    is_below = bool(kinds - {UNMARKED, INFINITY}) or (is_log_y and _has_below(drawing))
    return _Plane(
        _span(across),
        (low - pad if is_below else low, high + pad if INFINITY in kinds else high),
        is_log_x,
        is_log_y,
    )


def _fixed(axis: Axis, low: float, high: float, *, is_log: bool) -> tuple[float, float]:
    ends = [low, high]
    for at, end in enumerate((axis.low, axis.high)):
        if end is not None and (end > 0 or not is_log):
            ends[at] = float(np.log10(end)) if is_log else end
    return (ends[0], ends[1]) if ends[0] < ends[1] else (low, high)


def _has_below(drawing: Drawing) -> bool:
    return any((curve.y <= 0).any() for curve in drawing.curves)


def _exponents(values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where(values > 0, values, np.nan))


def _span(arrays: Sequence[Floats]) -> tuple[float, float]:
    finite = [one for array in arrays if (one := array[np.isfinite(array)]).size]
    if not finite:
        return 0.0, 1.0
    low = float(min(one.min() for one in finite))
    high = float(max(one.max() for one in finite))
    if low < high:
        return low, high
    apart = abs(low) / 2 or 0.5
    return low - apart, high + apart


def _draw_curve(figure: Any, curve: Curve, letter: str, plane: _Plane) -> None:
    x = plane.across(curve.x)
    if curve.low is not None:
        for side in curve.sides:
            _draw_line(figure, x, plane.up(side), EDGE)
    _draw_line(figure, x, plane.up(curve.line), letter)


def _draw_line(figure: Any, x: Floats, y: Floats, marker: str) -> None:
    # plotext ends the process at NaN: it gets only the pieces between them.
    pieces = list(_pieces(y))
    single = [piece.start for piece in pieces if piece.stop - piece.start == 1]
    if single:
        figure.draw(figure.signal(x[single].tolist(), y[single].tolist(), marker=marker))
    for piece in pieces:
        if piece.stop - piece.start > 1:
            signal = figure.signal(x[piece].tolist(), y[piece].tolist(), marker=marker)
            signal.lines()
            figure.draw(signal)


def _pieces(y: Floats) -> Iterator[slice]:
    known = np.isfinite(y).nonzero()[0]
    if known.size:
        for piece in np.split(known, (np.diff(known) > 1).nonzero()[0] + 1):
            yield slice(int(piece[0]), int(piece[-1]) + 1)


def _draw_marks(figure: Any, curve: Curve, plane: _Plane) -> None:
    marks = curve.marks.astype(np.int64)
    if plane.is_log_y:
        marks = np.where((marks == UNMARKED) & (curve.y <= 0), -1, marks)
    x = plane.across(curve.x)
    for kind in np.unique(marks[marks != UNMARKED]).tolist():
        places = x[marks == kind].tolist()
        edge = plane.y[1] if kind == INFINITY else plane.y[0]
        sign = MARKS.get(kind, BELOW)
        figure.draw(figure.signal(places, [edge] * len(places), marker=sign))


def _set_axis(figure: Any, name: str, axis: Axis, ends: tuple[float, float], n_ticks: int) -> None:
    low, high = ends
    ruler = figure.ruler(name)
    ruler.lim(low, high)
    if axis.is_log:
        places = log_ticks(low, high, n_ticks)
        texts = [log_text(place) for place in places]
    else:
        places = round_ticks(low, high, n_ticks)
        texts = time_texts(places) if axis.is_time else [tick_text(place) for place in places]
    ruler.ticks(places, texts)
