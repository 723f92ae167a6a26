"""How rows and frames compare: with the SDK on the same backend, with polars on the same files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from tests.server_process import RunningServer

from benchmarks import peers
from benchmarks.data import Shape, log_run
from benchmarks.download import served_plainly, write_exports
from benchmarks.report import Line
from benchmarks.slow_network import delayed

DENSE = Shape("dense", 200_000, 10)
SPARSE = Shape("sparse", 20_000, 500, 0.02)
WIDE = Shape("wide", 4_000, 997)
DEEP = Shape("deep", 2_000_000, 10)
LIVE = Shape("live", 20_000, 5)
LATENCY = 0.02
MEGABYTE = 1 << 20


def needed_bytes(file: Path, columns: set[str]) -> int:
    """Return the length of the chunks of some columns, and of the footer."""
    metadata = pq.read_metadata(file)
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    wanted = sum(c.total_compressed_size for c in chunks if c.path_in_schema in columns)
    # Behind the footer stand its length and the magic number, 4 bytes each (Parquet format).
    return wanted + metadata.serialized_size + 8


class Reading:
    """Measures reads of one server; a cache for runlake and one for the SDK are in a folder."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._server = server
        self._ours = folder / "ours"
        self._sdk = folder / "sdk"

    def lines(self) -> list[Line]:
        """Measure all."""
        dense, sparse, deep = (log_run(self._server, one) for one in (DENSE, SPARSE, DEEP))
        wide = log_run(self._server, WIDE)
        two = {"keys": ["key001", "key002"]}
        return [
            self.rows(dense, "rows, 200,000 steps x 13 keys", 50),
            self.values(dense, 200_000 * 13),
            self.rows(dense, "rows, 2 of 13 keys", 40, **two),
            self.rows(sparse, "rows, 20,000 steps x 503 keys, 2 % filled", 200),
            *self.deep_range(deep),
            self.frame(dense),
            self.first_row(dense, 13),
            self.first_row(wide, 1_000),
            self.first_row_far(wide, 1_000),
            self.key_of_many(),
            self.wire_bytes(wide),
            self.live_rows(),
            self.memory(deep),
            self.interrupt(deep),
        ]

    def rows(self, path: str, work: str, goal: int, **arguments: object) -> Line:
        """Compare a warm row scan with the SDK's."""
        ours = self._measure(peers.RUNLAKE_ROWS, path, **arguments)
        theirs = self._measure_sdk(path, **arguments)
        assert ours.count == theirs.count, (ours.count, theirs.count)
        ratio = theirs.median / ours.median
        return Line(work, str(ours), str(theirs), f"{ratio:.0f}x", f">= {goal}x", ratio >= goal)

    def values(self, path: str, n_values: int) -> Line:
        """Count the values per second of a warm row scan, its request included."""
        ours = self._measure(peers.RUNLAKE_ROWS, path)
        speed = n_values / ours.median / 1e6
        name = "the same as values per second"
        return Line(name, str(ours), "", f"{speed:.1f} M/s", ">= 8 M/s", speed >= 8)

    def deep_range(self, path: str) -> list[Line]:
        """Compare 1,000 rows at the end of a long run with the SDK, and with polars."""
        arguments = {"keys": ["key001"], "min_step": 1_990_000, "max_step": 1_991_000}
        ours = self._measure(peers.RUNLAKE_ROWS, path, **arguments)
        theirs = self._measure_sdk(path, **arguments)
        bare = self._measure(peers.POLARS_RANGE, path, **arguments)
        trip = self._measure(peers.ROUND_TRIP, path)
        assert ours.count == theirs.count == bare.count == 1_000
        fold = theirs.median / ours.median
        ratio = max(0.0, ours.median - trip.median) / bare.median
        work = "1,000 rows at step 1.99 M of 2 M, one key"
        return [
            Line(work, str(ours), str(theirs), f"{fold:.0f}x", ">= 100x", fold >= 100),
            Line(
                f"{work}, less the round trip",
                str(ours),
                f"polars: {bare}",
                f"{ratio:.2f}",
                "<= 3",
                ratio <= 3,
            ),
        ]

    def frame(self, path: str) -> Line:
        """Compare a frame of all keys with polars on the same files."""
        ours = self._measure(peers.RUNLAKE_FRAME, path, rounds=15)
        both = self._measure(peers.TRIP_AND_POLARS_FRAME, path, rounds=15)
        bare = self._measure(peers.POLARS_FRAME, path, rounds=15)
        assert ours.count == bare.count == both.count
        ratio = 1 + (ours.median - both.median) / bare.median
        name = f"frame of all keys, against a request and polars ({both.median * 1e3:.1f} ms)"
        return Line(name, str(ours), f"polars: {bare}", f"{ratio:.2f}", "<= 1.2", ratio <= 1.2)

    def first_row(self, path: str, n_keys: int, server: RunningServer | None = None) -> Line:
        """Measure how long a warm scan takes to its first row, over a bare request."""
        server = server or self._server
        ours, trip = peers.measure_first_row(server, self._ours, path, rounds=41)
        over = (ours.median - trip.median) * 1e3
        name = f"first row of a warm scan, {n_keys:,} keys"
        return Line(name, str(ours), f"request: {trip}", f"+{over:.1f} ms", "<= +15 ms", over <= 15)

    def first_row_far(self, path: str, n_keys: int) -> Line:
        """Measure the same over a network with latency."""
        with self._far() as far:
            line = self.first_row(path, n_keys, far)
        return replace(line, work=f"{line.work}, {LATENCY * 1e3:.0f} ms of latency")

    def key_of_many(self) -> Line:
        """Compare one key of a wide export with one of a narrow export of as many rows."""
        taken = []
        for n_keys in (10_000, 13):
            folder = self._ours.with_name(f"keys{n_keys}")
            write_exports(folder, 1, 2_000, n_keys - 1)
            with served_plainly(folder) as offer:
                measured = peers.measure(
                    peers.RUNLAKE_ROWS,
                    offer.server,
                    self._ours,
                    offer.path,
                    rounds=15,
                    keys=["key7"],
                )
            assert measured.count == 2_000
            taken.append(measured)
        ratio = taken[0].median / taken[1].median
        work = "rows, 1 of 10,000 keys, second read"
        return Line(
            work, str(taken[0]), f"1 of 13 keys: {taken[1]}", f"{ratio:.1f}", "<= 3", ratio <= 3
        )

    def wire_bytes(self, path: str) -> Line:
        """Count the bytes of a cold scan of one key, at the server."""
        cold = self._ours.with_name("cold")
        with self._server.counted() as requests:
            peers.measure(peers.RUNLAKE_ROWS, self._server, cold, path, rounds=0, keys=["key007"])
        n_bytes = sum(one["bytes_sent"] for one in requests if one["range"])
        (file,) = cold.rglob("*.parquet")
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
            ours = peers.measure(peers.RUNLAKE_ROWS, far, self._ours, path)
            theirs = peers.measure(peers.WANDB_ROWS, far, self._sdk, path, rounds=3)
            with self._server.counted() as requests:
                peers.measure(peers.RUNLAKE_ROWS, far, self._ours, path, rounds=1)
        assert ours.count == theirs.count == LIVE.n_steps
        ratio = theirs.median / ours.median
        # One for the run, then a round that warms and a round that counts.
        n_requests = (len(requests) - 1) / 2
        is_met = ratio >= 3 and n_requests <= LIVE.n_steps / 1_000 + 3
        name = f"live rows only: 20,000 x 8 keys, 20 ms of latency, {n_requests:.0f} requests"
        return Line(name, str(ours), str(theirs), f"{ratio:.1f}x", ">= 3x, <= 23 requests", is_met)

    def memory(self, path: str) -> Line:
        """Measure the peak of a scan of many rows over an interpreter with polars."""
        peak = self._measure(peers.MEMORY, path).seconds[0] / MEGABYTE
        name = "peak memory, rows of 2,000,000 x 13, over an interpreter with polars"
        return Line(name, f"{peak:.0f} MB", "", "", "<= 250 MB", peak <= 250)

    def interrupt(self, path: str) -> Line:
        """Measure how long a scan takes to give in to Ctrl-C."""
        worst = self._measure(peers.INTERRUPT, path).seconds[-1] * 1e3
        name = "Ctrl-C in a scan, the slowest of five"
        return Line(name, f"{worst:.0f} ms", "", "", "<= 200 ms", worst <= 200)

    @contextlib.contextmanager
    def _far(self) -> Iterator[RunningServer]:
        with delayed(urlsplit(self._server.base_url).port or 0, LATENCY) as port:
            yield replace(self._server, base_url=f"http://127.0.0.1:{port}")

    def _measure(self, script: str, path: str, **arguments: object) -> peers.Measured:
        return peers.measure(script, self._server, self._ours, path, **arguments)  # type: ignore[arg-type]

    def _measure_sdk(self, path: str, **arguments: object) -> peers.Measured:
        return peers.measure(peers.WANDB_ROWS, self._server, self._sdk, path, rounds=3, **arguments)
