"""Compares the configs and summaries of runs, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from runlake.pages.project.cells import shown_value
from runlake.pages.project.listing import CONFIG, SUMMARY, RunRow

PARTS = (CONFIG, SUMMARY)
MAX_COMPARED = 50
MAX_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the comparison: one run's value of a config or summary entry.

    Parameters
    ----------
    text : str
        The value as the page shows it.
    is_missing : bool
        True if the run does not have the entry.
    differs : bool
        True if the value differs from the value of the first run.
    """

    text: str
    is_missing: bool
    differs: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the comparison: a config or summary entry with the value of each run.

    Parameters
    ----------
    part, path : str
        "config" or "summary", and the dotted path of the entry.
    values : tuple
        The value of each run as JSON text; None for a run without the entry.
    cells : tuple of Cell
        The value of each run as the page shows it.
    """

    part: str
    path: str
    values: tuple[str | None, ...]
    cells: tuple[Cell, ...]

    @property
    def is_equal(self) -> bool:
        """True if all runs have the same value. NaN equals NaN, and 1 equals 1.0."""
        return not any(cell.differs for cell in self.cells)


def compared(rows: Sequence[RunRow], *, shows_equal: bool) -> list[Line]:
    """Return a `Line` for each config or summary entry in which the runs differ.

    Parameters
    ----------
    rows : sequence of RunRow
        The runs to compare. Each run is compared with the first run.
    shows_equal : bool
        Also return a line for each entry that has the same value in all runs.
    """
    lines = []
    for part in PARTS:
        paths = dict.fromkeys(
            name for row in rows for name in row.values if name.startswith(f"{part}.")
        )
        lines += [_line(rows, part, name) for name in sorted(paths)]
    return [line for line in lines if shows_equal or not line.is_equal]


def frame_of(rows: Sequence[RunRow], lines: Sequence[Line]) -> pl.DataFrame:
    """Return a comparison as a frame: ``part``, ``path``, and a JSON string column per run id."""
    columns = {
        "part": [line.part for line in lines],
        "path": [line.path for line in lines],
    }
    texts: dict[str, list[str | None]] = dict(columns)  # type: ignore[arg-type]
    for place, row in enumerate(rows):
        name = row.id if row.id not in columns else f"run {row.id}"
        texts[name] = [line.values[place] for line in lines]
    return pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String()))


def _line(rows: Sequence[RunRow], part: str, name: str) -> Line:
    has = [name in row.values for row in rows]
    values = tuple(
        _text(row.values[name]) if known else None for row, known in zip(rows, has, strict=True)
    )
    cells = tuple(
        Cell(shown_value(row.values.get(name)), not known, value != values[0])
        for row, known, value in zip(rows, has, values, strict=True)
    )
    return Line(part, name.partition(".")[2], values, cells)


def _text(value: Any) -> str:
    is_whole = isinstance(value, float) and value.is_integer()
    text = json.dumps(int(value) if is_whole else value, default=str, sort_keys=True)
    return text.encode("utf-8", "backslashreplace").decode()
