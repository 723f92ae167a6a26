"""Colours, dash patterns and labels of curves."""

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
# Lengths of dashes and gaps, which distinguish curves with the same colour.
DASHES: tuple[tuple[int, ...], ...] = ((), (7, 4), (2, 3), (9, 3, 2, 3))


def color_of(position: int) -> str:
    """Return the colour of the curve at a position in the chart, counted from 0."""
    return COLORS[position % len(COLORS)]


def dash_of(position: int) -> tuple[int, ...]:
    """Return the lengths of dashes and gaps of the curve at a position; empty for a solid line."""
    return DASHES[position // len(COLORS) % len(DASHES)]


def shown(text: str) -> str:
    """Return text on one line, without control characters, shortened to `MAX_LABEL`."""
    return shortened(one_line(text), MAX_LABEL)
