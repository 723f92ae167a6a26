"""Questions about catalogs of 100,000 runs and more, which are simulated: no run is pulled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packed import Sizes
from benchmarks.report import Line
from benchmarks.simulate import simulate_catalog, simulate_stats
from runlake.lake.packed.place import STATS, PackedPlace

ROUNDS = 9
MOST_BYTES = 25
# Each question is a process of its own, so that its peak of memory is its own.
_PRELUDE = """
import json, os, resource, sys, time
import runlake
lake = runlake.Lake(sys.argv[1], offline=True)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def measure(read):
    before = peak()
    wall, cpu = [], []
    for _ in range(int(sys.argv[2])):
        started, used = time.perf_counter(), time.process_time()
        count = read()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    print(json.dumps({"wall": wall, "cpu": cpu, "count": count, "mb": peak() - before}))
"""
FILTER = {"config.lr": {"$gt": 0.01}, "state": "finished"}
SELECT = f"measure(lambda: len(lake.where({FILTER})))"
PAGE = """
measure(lambda: lake.where({"project": "project07"}).runs(
    order="-created_at", limit=50, columns=["run_id", "name", "state", "created_at"]).height)
"""


N_KEYS = 200
BEST = """
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.read import PackedRead
from runlake.lake.packed.table import open_tables
from runlake.lake.packed.view import PackedView
from runlake.values import Projection, Question
with open_tables(PackedPlace(lake.path)) as tables:
    view = PackedView.at(tables, tables.snapshot_ids())
numbers = {directory: version.number for directory, version in view.runs.items()}
read = PackedRead(view, Question(Projection(("k007",))), numbers)
measure(lambda: read.known_values("k007", "min").height)
"""


@dataclass(frozen=True)
class Asked:
    """Times of a question, in a process of its own, and the growth of its memory.

    Parameters
    ----------
    wall, cpu : tuple of float
        Seconds per round.
    count : int
        What the question returned.
    megabytes : float
        Growth of the peak of memory.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    count: int
    megabytes: float

    @property
    def median(self) -> float:
        """Median of the seconds by the clock."""
        return sorted(self.wall)[len(self.wall) // 2]

    def __str__(self) -> str:
        return (
            f"{self.median * 1e3:,.0f} ms ({min(self.wall) * 1e3:,.0f} at best), CPU "
            f"{min(self.cpu) * 1e3:,.0f} ms, +{self.megabytes:,.0f} MB"
        )

    def line(self, work: str, most_ms: float, most_mb: float = 0.0) -> Line:
        """Return a line with the limits of time and of memory."""
        goal = f"<= {most_ms:g} ms" + (f", {most_mb:g} MB" if most_mb else "")
        is_met = self.median <= most_ms / 1e3 and (not most_mb or self.megabytes <= most_mb)
        return Line(work, str(self), "", "", goal, is_met)


def ask(script: str, root: Path, rounds: int = ROUNDS) -> Asked:
    """Measure a question about the lake in a directory."""
    command = [sys.executable, "-c", _PRELUDE + script, str(root), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Asked(tuple(found["wall"]), tuple(found["cpu"]), found["count"], found["mb"])


def lines(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Ask a catalog, and the statistics of its runs."""
    root = folder / "catalog"
    if not root.exists():
        simulate_catalog(root / "runlake", sizes.catalog)
        simulate_stats(root / "runlake", N_KEYS)
    runs = f"{sizes.catalog:,} runs"
    found = ask(SELECT, root)
    yield found.line(f"filter on config and state, {found.count:,} of {runs}", 300, 100)
    found = ask(PAGE, root)
    yield found.line(f"page of {found.count} of a project, {runs}", 20)
    stats = PackedPlace(root / "runlake").data(STATS).glob("*.parquet")
    n_bytes = sum(path.stat().st_size for path in stats) / (sizes.catalog * N_KEYS)
    found = ask(BEST, root)
    yield found.line(f"best value of a key of {found.count:,} runs, from statistics", 20)
    work = f"statistics of {runs} x {N_KEYS} keys of random values"
    shown = f"{n_bytes:.1f} bytes per run and key"
    yield Line(work, shown, "", "", f"<= {MOST_BYTES} bytes", n_bytes <= MOST_BYTES)


def million(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """Ask a larger catalog."""
    root = folder / "million"
    if not root.exists():
        simulate_catalog(root / "runlake", sizes.million)
    runs = f"{sizes.million:,} runs"
    found = ask(SELECT, root, 3)
    yield found.line(f"filter on config and state, {found.count:,} of {runs}", 2_000, 200)
    found = ask(PAGE, root)
    yield found.line(f"page of {found.count} of a project, {runs}", 20)
