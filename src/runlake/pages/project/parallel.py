"""Computes the picture of parallel coordinates: an axis per column, and a line per run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runlake.notebook.cells import is_number
from runlake.pages.project.cells import shown_value
from runlake.pages.project.colors import color_of_run
from runlake.pages.project.columns import entries, numeric_entries
from runlake.pages.project.listing import CONFIG, RunRow

MAX_AXES, MAX_LINES, MAX_WORDS = 12, 1_000, 24
N_CONFIG = 5
WIDTH_PER_AXIS, TOP, BOTTOM, MARGIN = 150, 46, 300, 70
# An axis is logarithmic if the largest value is at least this many times the least value.
LOG_RATIO = 100.0
MIN_FOR_LOG = 3
LABEL = 22


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, and its distance from the top of the picture in CSS pixels."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class AxisLine:
    """An axis of the picture.

    Parameters
    ----------
    name : str
        The column.
    label : str
        The name of the column, shortened.
    x : float
        Distance from the left of the picture in CSS pixels.
    ticks : tuple of Tick
        The labels of the axis.
    is_log : bool
        Whether the axis is logarithmic.
    """

    name: str
    label: str
    x: float
    ticks: tuple[Tick, ...]
    is_log: bool


@dataclass(frozen=True, slots=True)
class RunLine:
    """The line of a run, with a gap at each axis on which the run has no value.

    Parameters
    ----------
    row : RunRow
        The run.
    paths : tuple of str
        The pieces of the line between gaps, each as the ``points`` of a ``polyline`` element.
    color : str
        The colour of the run.
    text : str
        The name of the run, and the value on each axis.
    """

    row: RunRow
    paths: tuple[str, ...]
    color: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The axes and lines of the picture, and its width and height in CSS pixels."""

    axes: tuple[AxisLine, ...]
    lines: tuple[RunLine, ...]
    width: int
    height: int = BOTTOM + 24


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps the values of a column to positions on its axis, from 0 (bottom) to 1 (top)."""

    low: float
    high: float
    is_log: bool
    words: tuple[str, ...] = ()

    def place(self, value: Any) -> float | None:
        if self.words:
            text = shown_value(value)
            if text not in self.words:
                return None
            return (self.words.index(text) + 0.5) / len(self.words)
        if not is_number(value) or not math.isfinite(_float(value)):
            return None
        if self.high <= self.low:
            return 0.5
        if self.is_log and value <= 0:
            return None
        low, high, at = (
            math.log(one) if self.is_log else one for one in (self.low, self.high, _float(value))
        )
        return (at - low) / (high - low)

    def ticks(self) -> tuple[Tick, ...]:
        if self.words:
            return tuple(
                Tick(_y((at + 0.5) / len(self.words)), word[:LABEL])
                for at, word in enumerate(self.words)
            )
        ends = [self.low] if self.high <= self.low else [self.low, self.high]
        if self.high > self.low:
            middle = (
                # The sum of two large floats could overflow, so each is halved first.
                math.sqrt(self.low * self.high) if self.is_log else self.low / 2 + self.high / 2
            )
            ends.insert(1, middle)
        return tuple(Tick(_y(self.place(end) or 0.0), shown_value(end)) for end in ends)


def default_axes(rows: Sequence[RunRow]) -> list[str]:
    """Return the columns that become axes if the visitor chose none.

    These are config columns in which the runs differ, and one summary column with numbers.
    """
    differ = [
        name
        for name in entries(rows, CONFIG)
        if len({repr(row.values.get(name)) for row in rows}) > 1
    ]
    return [*differ[:N_CONFIG], *numeric_entries(rows)[:1]]


def picture_of(rows: Sequence[RunRow], names: Sequence[str]) -> Picture:
    """Return the picture that shows the given runs and columns.

    Parameters
    ----------
    rows : sequence of RunRow
        The runs. Each of the first `MAX_LINES` runs becomes a line.
    names : sequence of str
        Columns of config and summary. Each of the first `MAX_AXES` columns becomes an axis.
    """
    shown = list(names)[:MAX_AXES]
    columns = [[row.value(name) for row in rows] for name in shown]
    scales = [_scale(values) for values in columns]
    xs = [MARGIN + WIDTH_PER_AXIS * at for at in range(len(shown))]
    axes = tuple(
        AxisLine(name, _short(name), x, scale.ticks(), scale.is_log)
        for name, x, scale in zip(shown, xs, scales, strict=True)
    )
    lines = []
    for place, row in enumerate(rows[:MAX_LINES]):
        values = [column[place] for column in columns]
        points = [scale.place(value) for scale, value in zip(scales, values, strict=True)]
        said = ", ".join(
            f"{name} {shown_value(value)}" for name, value in zip(shown, values, strict=True)
        )
        text = f"{row.name}: {said}"
        lines.append(RunLine(row, _paths(xs, points), color_of_run(row.id), text))
    return Picture(axes, tuple(lines), 2 * MARGIN + WIDTH_PER_AXIS * max(0, len(shown) - 1))


def _scale(values: Sequence[Any]) -> _Scale:
    numbers = [_float(one) for one in values if is_number(one)]
    numbers = [one for one in numbers if math.isfinite(one)]
    others = [one for one in values if one is not None and not is_number(one)]
    # A few texts among numbers, such as "auto", do not make the axis one of words.
    if numbers and len(numbers) >= len(others):
        low, high = min(numbers), max(numbers)
        is_log = low > 0 and high / low >= LOG_RATIO and len(set(numbers)) >= MIN_FOR_LOG
        return _Scale(low, high, is_log)
    words = dict.fromkeys(shown_value(one) for one in values if one is not None)
    return _Scale(0.0, 1.0, is_log=False, words=tuple(sorted(words)[:MAX_WORDS]) or ("",))


def _paths(xs: Sequence[float], places: Sequence[float | None]) -> tuple[str, ...]:
    """Return the pieces of a line between gaps, each as the ``points`` of a ``polyline``."""
    parts: list[list[str]] = [[]]
    for x, place in zip(xs, places, strict=True):
        if place is None:
            parts.append([])
        else:
            parts[-1].append(f"{x:g},{_y(place):.1f}")
    return tuple(" ".join(part) for part in parts if part)


def _y(place: float) -> float:
    return round(BOTTOM - place * (BOTTOM - TOP), 1)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _short(name: str) -> str:
    text = name.partition(".")[2] or name
    return text if len(text) <= LABEL else f"...{text[-(LABEL - 3) :]}"
