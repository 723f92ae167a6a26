"""Measures first rows, live rows, samples, bytes sent, memory, interrupts and imports."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.server_process import RunningServer, running_server

from benchmarks import peers
from benchmarks.data import Layout, Shape, log_run, served
from benchmarks.download import needed_bytes, served_plainly, write_exports
from benchmarks.report import Line
from benchmarks.slow_network import delayed
from benchmarks.turns import Side, take_turns

DENSE = Shape("dense", 200_000, 10)
WIDE = Shape("wide", 4_000, 997)
LONG = Shape("long", 2_000_000, 10)
LIVE = Shape("live", 20_000, 5)
LAYOUT = Layout(50_000)
LATENCY = 0.02
MEGABYTE = 1 << 20
# Files, rows of each, keys, and seconds of a sample that are the goal.
SAMPLED = ((100, 500_000, 1, math.inf), (1, 2_000, 20_000, 3.0))


NAMES = ("keys", "live", "imports", "first", "wire", "interrupt", "memory", "samples")


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the rows of these names."""
    with running_server(folder / "server", export_rows=50_000) as server:
        yield from Reading(server, folder).lines(wanted)


class Reading:
    """Measures reads of one server; the folder holds a cache for runlake and one for the SDK."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def lines(self, wanted: AbstractSet[str]) -> Iterator[Line]:
        """Measure the rows of these names."""
        if "keys" in wanted:
            yield self.key_of_many()
        if "live" in wanted:
            yield self.live_rows()
        if "imports" in wanted:
            yield self.imports()
        if "first" in wanted:
            with self._serving(DENSE) as path:
                yield self.first_row(path, 13)
        if wanted & {"first", "wire"}:
            yield from self._wide(wanted)
        if wanted & {"interrupt", "memory"}:
            with self._serving(LONG) as path:
                if "interrupt" in wanted:
                    yield self.interrupt(path)
                if "memory" in wanted:
                    yield self.memory(path)
        if "samples" in wanted:
            yield from self.sample()

    def _wide(self, wanted: AbstractSet[str]) -> Iterator[Line]:
        with self._serving(WIDE) as path:
            if "first" in wanted:
                yield self.first_row(path, 1_000)
                yield self.first_row_far(path, 1_000)
                yield self.first_decoded_row(path, 1_000)
            if "wire" in wanted:
                yield self.wire_bytes(path)

    @contextlib.contextmanager
    def _serving(self, shape: Shape) -> Iterator[str]:
        """Serve a run of a shape with a server of its own and yield the run's path."""
        before = self._server
        with served(self._folder / shape.name, LAYOUT, shape) as (self._server, path):
            yield path
        self._server = before

    def first_row(self, path: str, n_keys: int, server: RunningServer | None = None) -> Line:
        """Measure the time to the first row of a warm scan, minus that of a bare request."""
        line, over = self._first_row(peers.FIRST_ROW, path, n_keys, server or self._server)
        return replace(line, goal="<= +15 ms", is_met=over <= 15)

    def first_decoded_row(self, path: str, n_keys: int) -> Line:
        """Measure the same if the first slice is not in memory, as in the first scan of a run."""
        line, _ = self._first_row(peers.FIRST_DECODED_ROW, path, n_keys, self._server)
        return replace(line, work=f"{line.work}, not in memory")

    def _first_row(
        self, script: str, path: str, n_keys: int, server: RunningServer
    ) -> tuple[Line, float]:
        """Return a line without a goal, and the milliseconds over those of a bare request."""
        side = replace(self._side(script, path), server=server)
        ours, trip = take_turns(side, rounds=41)
        over = (ours.median - trip.median) * 1e3
        name = f"first row of a warm scan, {n_keys:,} keys"
        return Line(name, str(ours), f"request: {trip}", f"+{over:.1f} ms", "", None), over

    def first_row_far(self, path: str, n_keys: int) -> Line:
        """Measure the same over a network with latency."""
        with self._far() as far:
            line = self.first_row(path, n_keys, far)
        return replace(line, work=f"{line.work}, {LATENCY * 1e3:.0f} ms of latency")

    def key_of_many(self) -> Line:
        """Compare one key of a wide export with one of a narrow export of as many rows."""
        with contextlib.ExitStack() as stack:
            sides = []
            for n_keys in (10_000, 13):
                folder = self._folder / f"keys{n_keys}"
                write_exports(folder / "exports", 1, 2_000, n_keys - 1)
                offer = stack.enter_context(served_plainly(folder / "exports"))
                keys = {"keys": ["key7"]}
                sides.append(
                    Side(peers.RUNLAKE_ROWS, offer.server, folder / "ours", offer.path, keys)
                )
            wide, narrow = take_turns(*sides, rounds=15)
        assert wide.count == narrow.count == 2_000
        ratio = wide.median / narrow.median
        work = "rows, 1 of 10,000 keys, second read"
        return Line(work, str(wide), f"1 of 13 keys: {narrow}", f"{ratio:.1f}", "<= 3", ratio <= 3)

    def wire_bytes(self, path: str) -> Line:
        """Count the bytes of a cold scan of one key, at the server."""
        cold = replace(
            self._side(peers.RUNLAKE_ROWS, path, keys=["key007"]), folder=self._folder / "cold"
        )
        with self._server.counted() as requests:
            take_turns(cold, rounds=1)
        n_bytes = sum(one["bytes_sent"] for one in requests if one["range"])
        (file,) = cold.folder.rglob("*.parquet")
        needed = needed_bytes(file, {"_step", "key007"})
        ratio = n_bytes / needed
        work = f"cold, 1 of 1,000 keys of {file.stat().st_size / 1e6:.0f} MB: bytes on the wire"
        return Line(
            work, f"{n_bytes:,}", f"needed: {needed:,}", f"{ratio:.2f}x", "<= 1.1x", ratio <= 1.1
        )

    def live_rows(self) -> Line:
        """Compare rows of a run without exports, over a network with latency."""
        path = log_run(self._server, LIVE, is_finished=False)
        with self._far() as far:
            near = self._side(peers.RUNLAKE_ROWS, path)
            ours_side = replace(near, server=far)
            theirs_side = replace(self._side(peers.WANDB_UNCACHED_ROWS, path), server=far)
            ours, theirs = take_turns(ours_side, theirs_side)
            with self._server.counted() as requests:
                take_turns(ours_side, rounds=1)
        assert ours.count == theirs.count == LIVE.n_steps
        ratio = theirs.median / ours.median
        # One request for the run, then a warm-up round and a measured round.
        n_requests = (len(requests) - 1) / 2
        is_met = ratio >= 3 and n_requests <= LIVE.n_steps / 1_000 + 3
        name = f"live rows only: 20,000 x 8 keys, 20 ms of latency, {n_requests:.0f} requests"
        return Line(
            name, str(ours), f"wandb: {theirs}", f"{ratio:.1f}x", ">= 3x, <= 23 requests", is_met
        )

    def memory(self, path: str) -> Line:
        """Measure the peak memory of a scan of cached rows, minus an interpreter with polars."""
        (peak,) = take_turns(self._side(peers.MEMORY, path), rounds=1, is_warmed=False)
        size = peak.count / MEGABYTE
        name = "peak memory, rows of 2,000,000 x 13, over an interpreter with polars"
        return Line(name, f"{size:.0f} MB", "", "", "<= 250 MB", size <= 250)

    def sample(self) -> Iterator[Line]:
        """Measure time and peak memory of a sample of a long run and of one of a wide run."""
        for n_files, n_rows, n_keys, goal in SAMPLED:
            folder = self._folder / f"sampled{n_keys}"
            write_exports(folder / "exports", n_files, n_rows, n_keys)
            with served_plainly(folder / "exports") as offer:
                keys = None if n_keys > 1 else ["key0"]
                side = Side(peers.SAMPLE, offer.server, folder, offer.path, {"keys": keys})
                (ours,) = take_turns(side, rounds=3)
                (peak,) = take_turns(
                    replace(side, script=peers.SAMPLE_MEMORY), rounds=1, is_warmed=False
                )
            shutil.rmtree(folder)
            assert ours.count == 500
            size = peak.count / MEGABYTE
            asked = "one key" if keys else "all keys"
            work = f"history(500), {asked}, of {n_files * n_rows:,} rows x {n_keys + 1:,} keys"
            is_met = size <= 300 if keys else ours.median < goal
            wanted = "<= 300 MB over an interpreter with polars" if keys else f"< {goal:g} s"
            yield Line(work, str(ours), "", f"{size:.0f} MB", wanted, is_met)

    def interrupt(self, path: str) -> Line:
        """Measure how long a scan takes to end after Ctrl-C."""
        (taken,) = take_turns(self._side(peers.INTERRUPT, path))
        worst = max(taken.seconds) * 1e3
        name = "Ctrl-C in a scan, the slowest of five"
        return Line(name, f"{worst:.0f} ms", "", "", "<= 200 ms", worst <= 200)

    def imports(self) -> Line:
        """Compare the import times, minus the start of the interpreter."""
        side = self._side(peers.IMPORTS, "-", modules=["sys", "runlake", "wandb"])
        bare, ours, theirs = take_turns(side)
        cost = ours.median - bare.median
        ratio = (theirs.median - bare.median) / max(1e-6, cost)
        is_met = ratio >= 6 and cost <= 0.1
        name = f"import; the interpreter's start is {bare.median * 1e3:.0f} ms of each"
        shown = f"{ratio:.0f}x, {cost * 1e3:.1f} ms"
        return Line(name, str(ours), f"wandb: {theirs}", shown, ">= 6x and <= 100 ms", is_met)

    @contextlib.contextmanager
    def _far(self) -> Iterator[RunningServer]:
        with delayed(urlsplit(self._server.base_url).port or 0, LATENCY) as port:
            yield replace(self._server, base_url=f"http://127.0.0.1:{port}")

    def _side(self, script: str, path: str, **arguments: object) -> Side:
        folder = self._folder / ("sdk" if "import wandb" in script else "ours")
        return Side(script, self._server, folder, path, arguments)
