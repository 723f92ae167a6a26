"""``make bench``: measure everything, print the tables and write ``docs/benchmarks.md``.

``python -m benchmarks rows frames`` measures only these groups and only prints them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.server_process import running_server

from benchmarks import download, frames, rows
from benchmarks.growth import curves
from benchmarks.plot import Curve
from benchmarks.reading import Reading
from benchmarks.report import Line, as_markdown, growth_table, write_document


def _reading(folder: Path) -> list[Line]:
    with running_server(folder / "server", export_rows=50_000) as server:
        return Reading(server, folder).lines()


def _growth(folder: Path) -> list[Curve]:
    with running_server(folder / "server", export_rows=50_000) as server:
        return curves(folder / "exports", server)


GROUPS: dict[str, Callable[[Path], list[Line]]] = {
    "rows": rows.lines,
    "frames": lambda folder: list(frames.lines(folder)),
    "reading": _reading,
    "download": download.lines,
}


def main() -> None:
    """Measure all groups, or those named on the command line."""
    wanted = sys.argv[1:] or [*GROUPS, "growth"]
    lines: list[Line] = []
    grown: list[Curve] = []
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as name:
        folder = Path(name)
        for group, measure in GROUPS.items():
            if group in wanted:
                found = measure(folder / group)
                print(as_markdown(found), flush=True)
                lines += found
        if "growth" in wanted:
            grown = _growth(folder / "growth")
    if not sys.argv[1:]:
        write_document(lines, grown)
    print(growth_table(grown))


if __name__ == "__main__":
    main()
