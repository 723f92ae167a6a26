"""Draws a curve as a small inline SVG, with a gap and a mark at each value that is not finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from runlake.notebook.cells import number_text
from runlake.notebook.markup import brief, element

WIDTH, HEIGHT, MARGIN = 140, 22, 2
MAX_POINTS = 100


@dataclass(frozen=True, slots=True)
class Curve:
    """The sampled points of one key.

    Parameters
    ----------
    key : str
        The key.
    steps : sequence of float
        The steps, ascending.
    values : sequence of float
        The value at each step; may be NaN or infinite.
    """

    key: str
    steps: Sequence[float]
    values: Sequence[float]

    @property
    def last(self) -> str:
        """The last value as text; empty if the curve has no points."""
        return number_text(self.values[-1]) if self.values else ""


def sparkline(curve: Curve) -> Element:
    """Return a curve as an SVG element of fixed size; a value that is not finite is a red mark.

    Parameters
    ----------
    curve : Curve
        The points. If there are more than `MAX_POINTS`, only this number is drawn: the first, the
        last, and points at equal distances between the two.
    """
    points = _thinned(list(zip(curve.steps, curve.values, strict=False)))
    finite = [value for _, value in points if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    first, last = (points[0][0], points[-1][0]) if points else (0, 0)

    def place(step: float, value: float) -> str:
        return f"{_scaled(step, first, last, WIDTH)} {_scaled(value, high, low, HEIGHT)}"

    marks = [
        f"M{_scaled(step, first, last, WIDTH)} {MARGIN}v{HEIGHT - 2 * MARGIN}"
        for step, value in points
        if not math.isfinite(value)
    ]
    lines, dots = [], []
    for stretch in _stretches(points):
        # A path of a single point draws nothing.
        if len(stretch) == 1:
            x, y = place(*stretch[0]).split()
            dots.append(element("circle", cx=x, cy=y, r="1.5"))
        else:
            lines.append("M" + "L".join(place(*point) for point in stretch))
    label = f"{brief(curve.key)}: {number_text(low)} to {number_text(high)}"
    label += f", {len(marks)} not finite" if marks else ""
    drawn = element(
        "svg",
        element("title", label),
        width=str(WIDTH),
        height=str(HEIGHT),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
    )
    if lines:
        drawn.append(element("path", d="".join(lines)))
    drawn.extend(dots)
    if marks:
        drawn.append(element("path", d="".join(marks), class_="odd"))
    return drawn


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MAX_POINTS:
        return points
    places = {round(index * (len(points) - 1) / (MAX_POINTS - 1)) for index in range(MAX_POINTS)}
    return [points[place] for place in sorted(places)]


def _scaled(value: float, low: float, high: float, size: int) -> str:
    # Halves: the difference of two finite numbers may be infinite.
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span else 0.5
    return f"{MARGIN + share * (size - 2 * MARGIN):.1f}".removesuffix(".0")


def _stretches(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Yield the pieces of the curve between points that are not finite."""
    stretch: list[tuple[float, float]] = []
    for point in points:
        if math.isfinite(point[1]):
            stretch.append(point)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch
