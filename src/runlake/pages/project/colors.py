"""Colours of runs: in the tables and charts of projects, a run has one colour everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from runlake.charts.names import DASHES

# Colours of similar lightness, which are readable on white and on black.
PALETTE = (
    "#d9487d",
    "#0a8fb0",
    "#a07a00",
    "#7a6ce0",
    "#3f9142",
    "#d4582f",
    "#2b86d9",
    "#b9589f",
    "#688c16",
    "#0c9687",
    "#c06a12",
    "#9a62c7",
    "#e0465b",
    "#4f7bdc",
    "#239465",
    "#8a8200",
    "#c852b8",
    "#1f8ec7",
    "#b5711f",
    "#5f74c9",
    "#cf5168",
    "#4c8f57",
    "#8b68b0",
    "#a8684a",
)


def color_of_run(name: str) -> str:
    """Return the colour of the run with the given id; an id has the same colour everywhere.

    Examples
    --------
    >>> color_of_run("a1") == color_of_run("a1")
    True
    """
    # A lone surrogate, which JSON allows, cannot be encoded as UTF-8.
    return PALETTE[crc32(name.encode("utf-8", "backslashreplace")) % len(PALETTE)]


def looks_of(names: Iterable[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the colour and the dash pattern of each run's curve, for the run ids ``names``.

    Runs of the same colour get different dash patterns, until all patterns are used.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    counts: dict[str, int] = {}
    for name in names:
        color = color_of_run(name)
        n_before = counts.get(color, 0)
        counts[color] = n_before + 1
        found.append((color, DASHES[n_before % len(DASHES)]))
    return found
