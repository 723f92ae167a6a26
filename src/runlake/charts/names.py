"""Names and colours of curves, and counts of points."""

from __future__ import annotations

from runlake.errors.screen import one_line, shortened

MAX_LABEL = 120
# Readable on white and on black.
COLORS = (
    "#3b82f6",
    "#f97316",
    "#10b981",
    "#ef4444",
    "#a855f7",
    "#b45309",
    "#ec4899",
    "#64748b",
    "#65a30d",
    "#06b6d4",
)
# Lengths of dashes and gaps: curves with the same colour differ by them.
DASHES: tuple[tuple[int, ...], ...] = ((), (7, 4), (2, 3), (9, 3, 2, 3))


def color_of(position: int) -> str:
    """Return the colour of a curve, by its position in the chart."""
    return COLORS[position % len(COLORS)]


def dash_of(position: int) -> tuple[int, ...]:
    """Return the dashes of a curve; empty for a solid line."""
    return DASHES[position // len(COLORS) % len(DASHES)]


def shown(text: str) -> str:
    """Return a name from a user on one line, without control characters, and not too long."""
    return shortened(one_line(text), MAX_LABEL)
