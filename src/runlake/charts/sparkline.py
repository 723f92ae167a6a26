"""Draw curves as small SVG pictures, without a script, axes or labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from runlake.charts.curves import INFINITY, Curve, make_curves
from runlake.charts.drawing import Drawing
from runlake.charts.names import color_of
from runlake.charts.series import Axis, Series
from runlake.history.runs.align import Floats
from runlake.values import STEP

N_POINTS = 120
MARGIN = 2.0


def sparkline(
    frame: pl.DataFrame, key: str, *, x: str = STEP, width: int = 120, height: int = 24
) -> str:
    """Return a small picture of one column as a line, in the colour of the surrounding text.

    Parameters
    ----------
    frame : polars.DataFrame
        Has a column of numbers for the key and a column for the x axis.
    key, x : str
        Names of the columns.
    width, height : int
        Size in pixels.

    Returns
    -------
    str
        An ``svg`` element. A point that is NaN or infinite is a short line at the edge.

    Raises
    ------
    InvalidArgument
        If a column is missing or its values are not numbers.
    """
    curves = make_curves([Series(frame, key, x)], Axis(x), None, N_POINTS)
    return _svg(curves, ["currentColor"], width, height, is_log=False)


def static_chart(drawing: Drawing, width: int = 800, height: int = 280) -> str:
    """Return the curves of a chart as an ``svg`` element, without axes."""
    colors = [color_of(place) for place in range(len(drawing.curves))]
    return _svg(drawing.curves, colors, width, height, is_log=drawing.y.is_log)


def _svg(
    curves: Sequence[Curve], colors: Sequence[str], width: int, height: int, *, is_log: bool
) -> str:
    lines = [_scaled(curve.line, is_log=is_log) for curve in curves]
    to_x = _scale([curve.x for curve in curves], MARGIN, width - MARGIN)
    to_y = _scale(lines, height - MARGIN, MARGIN)
    parts = []
    for curve, line, color in zip(curves, lines, colors, strict=True):
        places = to_x(curve.x)
        parts.append(f'<path d="{_path(places, to_y(line))}" stroke="{color}"/>')
        marked = curve.marks.nonzero()[0]
        ticks = "".join(
            f"M{places[at]:.1f} {0 if curve.marks[at] == INFINITY else height - 5}v5"
            for at in marked
        )
        if ticks:
            parts.append(f'<path class="marks" d="{ticks}" stroke="{color}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" fill="none" stroke-width="1.25" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def _scaled(line: Floats, *, is_log: bool) -> Floats:
    if not is_log:
        return line
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where(line > 0, line, np.nan))


class _scale:  # noqa: N801 - used as a function
    """Converts values to pixels; the finite values of the given arrays fill the range of pixels."""

    def __init__(self, arrays: Sequence[Floats], start: float, stop: float) -> None:
        finite = [array[np.isfinite(array)] for array in arrays]
        ends = [(one.min(), one.max()) for one in finite if one.size]
        self.low = min((low for low, _ in ends), default=0.0)
        high = max((high for _, high in ends), default=0.0)
        # Halves, because the difference of two large numbers is infinite.
        self.half = high / 2 - self.low / 2
        self.start, self.stop = start, stop

    def __call__(self, values: Floats) -> Floats:
        if not self.half > 0:
            return np.where(np.isfinite(values), (self.start + self.stop) / 2, np.nan)
        share = (values / 2 - self.low / 2) / self.half
        return np.asarray(self.start + share * (self.stop - self.start))


def _path(x: Floats, y: Floats) -> str:
    """Return SVG path data of a line with gaps at NaN; a single point becomes a short line."""
    known = np.isfinite(y).nonzero()[0]
    pieces = np.split(known, (np.diff(known) > 1).nonzero()[0] + 1) if known.size else []
    parts = []
    for piece in pieces:
        points = zip(x[piece].tolist(), y[piece].tolist(), strict=True)
        line = "L".join([f"{left:.1f} {top:.1f}" for left, top in points])
        parts.append(f"M{line}{'h1' if piece.size == 1 else ''}")
    return "".join(parts)
