"""``make bench``: measure everything, print the tables and write ``docs/benchmarks.md``.

``make bench ROWS="sql frames"`` measures only these rows and only prints them. What was measured is
printed with the seconds that it took.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.server_process import running_server

from benchmarks import cards, charts, download, frames, lake, lake_disk, many_runs, reading, rows
from benchmarks.growth import curves
from benchmarks.plot import Curve
from benchmarks.report import Line, as_markdown, growth_table, summary, write_document

GROWTH = "growth"
Found = TypeVar("Found", Line, Curve)
Measure = Callable[[Path, frozenset[str]], Iterable[Line]]
GROUPS: dict[tuple[str, ...], Measure] = {
    rows.NAMES: rows.lines,
    frames.NAMES: frames.lines,
    reading.NAMES: reading.lines,
    many_runs.NAMES: many_runs.lines,
    charts.NAMES: charts.lines,
    download.NAMES: download.lines,
    lake.NAMES: lake.lines,
    lake_disk.NAMES: lake_disk.lines,
    cards.NAMES: cards.lines,
}
NAMES = [*(name for names in GROUPS for name in names), GROWTH]


def main() -> None:
    """Measure all rows, or those named on the command line."""
    wanted = frozenset(sys.argv[1:] or NAMES)
    unknown = wanted.difference(NAMES)
    if unknown:
        sys.exit(f"There are no rows named {', '.join(sorted(unknown))}; there are: {NAMES}.")
    lines: list[Line] = []
    grown: list[Curve] = []
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as name:
        folder = Path(name)
        for names, measure in GROUPS.items():
            if wanted.intersection(names):
                found = list(_timed(", ".join(names), measure(folder / names[0], wanted)))
                print(as_markdown(found), flush=True)
                lines += found
        if GROWTH in wanted:
            with running_server(folder / "server", export_rows=50_000) as server:
                grown = list(_timed(GROWTH, curves(folder / GROWTH, server)))
            print(growth_table(grown))
    if not sys.argv[1:]:
        write_document(lines, grown)
    print(summary(lines, grown))


def _timed(group: str, found: Iterable[Found]) -> Iterator[Found]:
    """Yield lines or curves, and print how many seconds each of them and the group took."""
    started = last = time.monotonic()
    for one in found:
        now = time.monotonic()
        print(f"{now - last:6.1f} s  {one.work}", flush=True)
        last = now
        yield one
    print(f"{time.monotonic() - started:6.1f} s  in all: {group}", flush=True)


if __name__ == "__main__":
    main()
