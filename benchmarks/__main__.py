"""``make bench``: print the table, and keep it in ``docs/benchmarks.md``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.server_process import RunningServer, running_server

from benchmarks import peers
from benchmarks.data import Shape, log_run, log_runs
from benchmarks.report import Line, as_markdown, write_document

DENSE = Shape("dense", 200_000, 10)
SPARSE = Shape("sparse", 20_000, 500, 0.02)


def compare_rows(
    server: RunningServer, folder: Path, path: str, work: str, goal: int, **arguments: object
) -> Line:
    """Compare a warm row scan with the SDK's."""
    ours = peers.measure(peers.RUNLAKE_ROWS, server, folder / "ours", path, **arguments)
    theirs = peers.measure(peers.WANDB_ROWS, server, folder / "sdk", path, rounds=3, **arguments)
    assert ours.count == theirs.count, (ours.count, theirs.count)
    ratio = theirs.median / ours.median
    return Line(work, str(ours), str(theirs), f"{ratio:.0f}x", f">= {goal}x", ratio >= goal)


def compare_frames(server: RunningServer, folder: Path, path: str) -> Line:
    """Compare a frame of all keys with polars on the same files."""
    ours = peers.measure(peers.RUNLAKE_FRAME, server, folder / "ours", path)
    trip = peers.measure(peers.ROUND_TRIP, server, folder / "ours", path)
    bare = peers.measure(peers.POLARS_FRAME, server, folder / "ours", path)
    assert ours.count == bare.count
    ratio = max(0.0, ours.median - trip.median) / bare.median
    name = "frame of all keys, less the round trip"
    return Line(name, str(ours), f"polars: {bare}", f"{ratio:.2f}", "<= 1.2", ratio <= 1.2)


def first_row(server: RunningServer, folder: Path, path: str) -> Line:
    """Measure how long a warm scan takes to its first row, over a bare request."""
    ours = peers.measure(peers.FIRST_ROW, server, folder / "ours", path)
    trip = peers.measure(peers.ROUND_TRIP, server, folder / "ours", path)
    over = (ours.median - trip.median) * 1e3
    name = "first row of a warm scan"
    return Line(name, str(ours), f"request: {trip}", f"+{over:.1f} ms", "<= +15 ms", over <= 15)


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
            dense, sparse = log_run(server, DENSE), log_run(server, SPARSE)
            many = log_runs(server, "many", 200, 1_000)
            two = {"keys": ["key001", "key002"]}
            lines = [
                compare_rows(server, folder, dense, "rows, 200,000 steps x 13 keys", 50),
                compare_rows(server, folder, dense, "rows, 2 of 13 keys", 40, **two),
                compare_rows(
                    server, folder, sparse, "rows, 20,000 steps x 503 keys, 2 % filled", 200
                ),
                compare_frames(server, folder, dense),
                compare_histories(server, folder, many),
                first_row(server, folder, dense),
                imports(server, folder),
            ]
    write_document(lines)
    print(as_markdown(lines))


if __name__ == "__main__":
    main()
