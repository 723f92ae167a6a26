"""Results: a table on the terminal, and the last one in the documentation."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from benchmarks.plot import Curve, draw

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = DOCUMENT.with_suffix(".svg")
PACKAGES = ("runlake", "wandb", "polars", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Line:
    """One comparison: what runlake took, what the peer took, and the goal."""

    work: str
    ours: str
    peer: str
    ratio: str
    goal: str
    is_met: bool

    def cells(self) -> tuple[str, ...]:
        """Return the columns as text."""
        verdict = "met" if self.is_met else "missed"
        return (self.work, self.ours, self.peer, self.ratio, self.goal, verdict)


HEADER = ("work", "runlake", "peer", "ratio", "goal", "")


def as_markdown(lines: list[Line]) -> str:
    """Return the lines as a Markdown table whose columns also line up on a terminal."""
    rows = [HEADER, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _growth_table(grown: list[Curve]) -> str:
    rows = [
        f"| {c.work} | {c.by} | {', '.join(f'{n:,}: {s * 1e3:,.1f} ms' for n, s in c.points)} "
        f"| {c.slope:.2f} |"
        for c in grown
    ]
    return "\n".join(["| work | by | time | slope |", "|---|---|---|---|", *rows])


def write_document(lines: list[Line], grown: list[Curve]) -> None:
    """Replace the page, and its picture, with the last results."""
    panels = [list(same) for _, same in groupby(grown, lambda curve: curve.by)]
    PICTURE.write_text(draw(panels))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    DOCUMENT.write_text(
        f"""# Benchmarks

Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {platform.system()},
Python {platform.python_version()}; {packages}.

Every line is measured side by side in one run. All read the same embedded backend over loopback;
each side runs in a process of its own, reads once to warm its cache, then five times (the SDK's row
scans three times). Shown are the median and, in brackets, the fastest and the slowest round. The
times of runlake include its one GraphQL request per scan.

{as_markdown(lines)}

Cold pulls are measured turn by turn, each into an empty directory, and the ratio is the median of
the turns'. curl runs once per file, all at once; it neither checks nor flushes. "As a script"
counts the interpreter's start, the imports and the SDK's service.

"peer" is `scan_history` of the wandb SDK unless the line names another. The goals are those of the
project's design; a line that says "missed" is a defect to work on.

## Growth

Runs that are on disk: rows of 6 keys in files of 250,000, 2,000 rows in one file, and projects of
runs of 100 rows. Each read asks the backend once whether they are current, which takes 1 to 2 ms. A
slope of 1 is linear in what the axis counts, 0 flat; it is that between the two largest sizes.

![Time by rows, by keys and by runs](benchmarks.svg)

{_growth_table(grown)}
"""
    )
