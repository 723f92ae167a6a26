"""``make bench``: print the table, and keep it in ``docs/benchmarks.md``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.server_process import RunningServer, running_server

from benchmarks import download, peers
from benchmarks.data import log_runs
from benchmarks.growth import curves
from benchmarks.reading import Reading
from benchmarks.report import Line, as_markdown, write_document


def compare_histories(server: RunningServer, folder: Path, path: str) -> Line:
    """Compare samples of many runs with the SDK's."""
    arguments = {"keys": ["key001"], "format": "polars"}
    ours = peers.measure(peers.RUNLAKE_HISTORIES, server, folder / "ours", path, **arguments)
    theirs = peers.measure(
        peers.WANDB_HISTORIES, server, folder / "sdk", path, rounds=3, **arguments
    )
    assert ours.count == theirs.count, (ours.count, theirs.count)
    ratio = theirs.median / ours.median
    name = "histories of 200 runs x 1,000 steps, one key, polars"
    return Line(name, str(ours), str(theirs), f"{ratio:.0f}x", ">= 20x", ratio >= 20)


def imports(server: RunningServer, folder: Path) -> Line:
    """Compare the imports, less the start of the interpreter."""
    bare = peers.measure(peers.IMPORT, server, folder / "ours", "-", module="sys").median
    ours = peers.measure(peers.IMPORT, server, folder / "ours", "-", module="runlake")
    theirs = peers.measure(peers.IMPORT, server, folder / "ours", "-", module="wandb")
    ratio = (theirs.median - bare) / max(1e-6, ours.median - bare)
    cost = (ours.median - bare) * 1e3
    goal = ">= 6x and <= 100 ms"
    name = f"import; the interpreter's start is {bare * 1e3:.0f} ms of each"
    shown = f"{ratio:.0f}x, {cost:.1f} ms"
    return Line(name, str(ours), f"wandb: {theirs}", shown, goal, ratio >= 6 and cost <= 100)


def main() -> None:
    """Measure everything on one server."""
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as name:
        folder = Path(name)
        with running_server(folder / "server", export_rows=50_000) as server:
            lines = [
                *Reading(server, folder).lines(),
                compare_histories(server, folder, log_runs(server, "many", 200, 1_000)),
                imports(server, folder),
            ]
            grown = curves(folder / "growth", server)
        lines += download.lines(folder / "download")
    write_document(lines, grown)
    print(as_markdown(lines))


if __name__ == "__main__":
    main()
