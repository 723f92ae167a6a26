"""Draws curves on logarithmic axes as SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 460, 440, 56
LEGEND = 184  # for a line per curve, above the axes
Points = tuple[tuple[int, float], ...]
COLOURS = (
    *("#1b6ca8", "#c8553d", "#3c8d5a", "#8a4fb0", "#b58900", "#2aa198", "#d33682", "#586e75"),
    *("#6c71c4", "#859900", "#cb4b16"),
)
STEEPEST = 1.1
# Memory that is bounded by a batch may differ by this much between the two largest sizes: the
# allocators of Arrow and polars return pages late.
BATCH_MEGABYTES = 64.0
STYLE = "font-family='sans-serif' font-size='11' fill='#555'"


@dataclass(frozen=True)
class Curve:
    """Seconds and peak memory (MB) of one kind of read, by size.

    The floor is the slope of what no reader can do without, measured beside it.
    """

    work: str
    by: str
    points: Points
    megabytes: Points
    is_bounded: bool
    floor: str = ""

    @property
    def slope(self) -> float:
        """The slope between the two largest sizes: 1 is linear, 0 is flat."""
        (x1, y1), (x2, y2) = self.points[-2:]
        return math.log(y2 / y1) / math.log(x2 / x1)

    @property
    def is_met(self) -> bool:
        """Whether the time grows linearly, and the memory does not grow where it is bounded."""
        (_, before), (_, peak) = self.megabytes[-2:]
        return self.slope <= STEEPEST and (not self.is_bounded or peak - before <= BATCH_MEGABYTES)


def draw(panels: Sequence[Sequence[Curve]]) -> str:
    """Return one picture with the panels next to each other."""
    parts = [
        f"<g transform='translate({index * WIDTH},0)'>{_panel(curves)}</g>"
        for index, curves in enumerate(panels)
    ]
    size = f"width='{WIDTH * len(panels)}' height='{HEIGHT}'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' {size}>"
        f"<rect width='100%' height='100%' fill='white'/>{''.join(parts)}</svg>\n"
    )


def _panel(curves: Sequence[Curve]) -> str:
    xs = [math.log10(x) for curve in curves for x, _ in curve.points]
    ys = [math.log10(y) for curve in curves for _, y in curve.points]
    left, right, low, high = min(xs), max(xs), math.floor(min(ys)), math.ceil(max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) * (WIDTH - 2 * MARGIN)
        up = (y - low) / (high - low) * (HEIGHT - MARGIN - LEGEND)
        return MARGIN + across, HEIGHT - MARGIN - up

    parts = []
    for exponent in range(low, high + 1):
        x, y = place(left, exponent)
        parts.append(
            f"<line x1='{x}' y1='{y:.0f}' x2='{WIDTH - MARGIN}' y2='{y:.0f}' stroke='#ddd'/>"
        )
        label = f"{10.0**exponent * 1e3:g} ms"
        parts.append(f"<text x='{x - 4}' y='{y + 4:.0f}' text-anchor='end' {STYLE}>{label}</text>")
    for exponent in range(round(left), round(right) + 1):
        x, y = place(exponent, low)
        label = f"{10**exponent:,}"
        parts.append(f"<text x='{x:.0f}' y='{y + 16}' text-anchor='middle' {STYLE}>{label}</text>")
    middle = f"x='{WIDTH / 2}' y='{HEIGHT - 12}' text-anchor='middle'"
    parts.append(f"<text {middle} {STYLE}>{curves[0].by}</text>")
    for index, (curve, colour) in enumerate(zip(curves, COLOURS, strict=False)):
        spots = [place(math.log10(x), math.log10(y)) for x, y in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2'/>")
        name = f"{curve.work}: slope {curve.slope:.2f}"
        style = f"font-family='sans-serif' font-size='11' fill='{colour}'"
        parts.append(f"<text x='{MARGIN + 8}' y='{18 + 14 * index}' {style}>{name}</text>")
    return "".join(parts)
