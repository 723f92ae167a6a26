"""Compares rows with the SDK (with and without cached files), with polars and with a bare loop."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.data import Layout, Shape, served
from benchmarks.report import Line
from benchmarks.turns import Side, take_turns

DENSE = Shape("dense", 200_000, 10)
SPARSE = Shape("sparse", 20_000, 500, 0.02)
DEEP = Shape("deep", 2_000_000, 10)
SMALL_FILES = Layout(10_000)
DENSE_LAYOUTS = (Layout(100_000, is_vendors=True), SMALL_FILES)
DEEP_LAYOUTS = (Layout(500_000, is_vendors=True), SMALL_FILES)
# A round of the SDK takes 20 to 45 s.
ROUNDS = 3
SPARSE_ROUNDS = 2
UNCACHED_ROUNDS = 1
UNCACHED_ROWS = 10_000


NAMES = ("rows", "kept", "keyed", "sparse", "deep")


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the rows of these names."""
    for number, layout in enumerate(DENSE_LAYOUTS):
        # What users do with the rows costs the same whatever the layout.
        names = wanted - {"kept"} if number else wanted
        yield from _Rows(folder / f"dense{number}", layout, DENSE).dense(names)
    if "sparse" in wanted:
        yield from _Rows(folder / "sparse", SMALL_FILES, SPARSE).sparse()
    if "deep" in wanted:
        for number, layout in enumerate(DEEP_LAYOUTS):
            yield from _Rows(folder / f"deep{number}", layout, DEEP).deep()


class _Rows:
    """Measures scans of one run."""

    def __init__(self, folder: Path, layout: Layout, shape: Shape) -> None:
        self._folder = folder
        self._layout = layout
        self._shape = shape

    def dense(self, wanted: AbstractSet[str]) -> Iterator[Line]:
        """Measure all keys and a few keys; rows are discarded, or kept."""
        if not wanted & {"rows", "kept", "keyed"}:
            return
        work = self._work("rows, 200,000 steps x 13 keys")
        with served(self._folder / "server", self._layout, self._shape) as self._served:
            if "kept" in wanted:
                yield from self._kept(work, wanted)
            elif "rows" in wanted:
                yield self._against(work, peers.RUNLAKE_ROWS, peers.WANDB_ROWS, goal=55)
            if "rows" in wanted:
                yield self._against_bare_loop(work)
            if "keyed" in wanted:
                two = {"keys": ["key001", "key002"]}
                yield from self._keyed("rows, 2 of 13 keys", two, goal=45)

    def _against_bare_loop(self, work: str) -> Line:
        ours, loop, floor = take_turns(self._side(peers.ROWS_AND_BARE_LOOP), rounds=9)
        assert ours.count == loop.count == floor.count
        values = ours.count * (self._shape.n_keys + 3)
        ratio, speed = ours.median / loop.median, values / ours.median / 1e6
        return Line(
            f"{work}, {speed:.1f} M values/s",
            str(ours),
            f"bare loop over lists: {loop}",
            f"{ratio:.2f}",
            "<= 1.3",
            ratio <= 1.3,
            f"loop over arrays of numbers: {floor.median / loop.median:.2f}",
        )

    def _kept(self, work: str, wanted: AbstractSet[str]) -> Iterator[Line]:
        """Measure rows that are discarded and rows that are kept, all in the same rounds."""
        measured = take_turns(
            self._side(peers.RUNLAKE_KEPT_ROWS),
            self._side(peers.WANDB_KEPT_ROWS),
            self._side(peers.POLARS_ROWS),
            rounds=ROUNDS,
        )
        assert len({one.count for one in measured}) == 1, measured
        ours, kept, of_rows, to_pandas, theirs, their_kept, their_pandas, of_polars = measured
        if "rows" in wanted:
            yield Line.at_least(work, ours, theirs, 55, "wandb")
        for way, one, other, peer in (
            ("kept in a list", kept, their_kept, "wandb"),
            ("to pandas by way of rows", of_rows, their_pandas, "wandb"),
            ("`to_pandas` in place of rows", to_pandas, their_pandas, "wandb"),
            ("against `iter_rows(named=True)`", ours, of_polars, "polars"),
        ):
            yield Line.at_least(f"{work}, {way}", one, other, None, peer)

    def sparse(self) -> list[Line]:
        """Measure a run of many keys whose rows have few of them."""
        with served(self._folder / "server", self._layout, self._shape) as self._served:
            work = self._work("rows, 20,000 steps x 503 keys, 2 % filled")
            scripts = (peers.RUNLAKE_ROWS, peers.WANDB_ROWS, peers.POLARS_READ)
            ours, theirs, decoded = take_turns(*map(self._side, scripts), rounds=SPARSE_ROUNDS)
            assert ours.count == theirs.count == decoded.count, (ours, theirs, decoded)
            line = Line.at_least(work, ours, theirs, 200, "wandb")
            best = theirs.median / decoded.median
            return [replace(line, floor=f"decoded by polars, no rows made: {best:.0f}x")]

    def deep(self) -> list[Line]:
        """Measure 1,000 rows of one key at the end of a long run."""
        arguments = {"keys": ["key001"], "min_step": 1_990_000, "max_step": 1_991_000}
        with served(self._folder / "server", self._layout, self._shape) as self._served:
            work = "1,000 rows at step 1.99 M of 2 M, one key"
            ours, bare = take_turns(
                self._side(peers.RUNLAKE_ROWS, **arguments),
                self._side(peers.POLARS_RANGE, **arguments),
                rounds=15,
            )
            assert ours.count == bare.count == 1_000
            ratio = ours.median / bare.median
            return [
                *self._keyed(work, arguments, goal=6),
                Line(
                    self._work(work),
                    str(ours),
                    f"request and polars: {bare}",
                    f"{ratio:.2f}",
                    "<= 1.3",
                    ratio <= 1.3,
                ),
            ]

    def _keyed(self, work: str, arguments: dict[str, Any], goal: int) -> list[Line]:
        """Compare with the SDK's files cached, then without: it caches nothing of such a scan."""
        warm = self._work(f"{work}, SDK's files cached")
        uncached = dict(arguments)
        # Over all steps the SDK takes minutes.
        first = uncached.setdefault("min_step", 0)
        last = uncached.setdefault("max_step", UNCACHED_ROWS)
        cold = self._work(f"{work}, steps {first:,} to {last:,}, nothing cached by the SDK")
        return [
            self._against_cached(warm, goal, arguments),
            self._against(cold, peers.RUNLAKE_ROWS, peers.WANDB_UNCACHED_ROWS, **uncached),
        ]

    def _against_cached(self, work: str, goal: int, arguments: dict[str, Any]) -> Line:
        scripts = (peers.RUNLAKE_ROWS, peers.WANDB_ROWS, peers.NUMBERS_TO_ROWS)
        sides = [self._side(script, **arguments) for script in scripts]
        ours, theirs, floor = take_turns(*sides, rounds=ROUNDS)
        assert ours.count == theirs.count == floor.count, (work, ours, theirs, floor)
        line = Line.at_least(work, ours, theirs, goal, "wandb")
        best = theirs.median / floor.median
        return replace(line, floor=f"dicts of numbers in memory: {best:.0f}x")

    def _against(
        self, work: str, ours: str, theirs: str, *, goal: int | None = None, **arguments: object
    ) -> Line:
        is_cached = theirs != peers.WANDB_UNCACHED_ROWS
        one, other = take_turns(
            self._side(ours, **arguments),
            self._side(theirs, **arguments),
            rounds=ROUNDS if is_cached else UNCACHED_ROUNDS,
        )
        assert one.count == other.count, (work, one.count, other.count)
        return Line.at_least(work, one, other, goal, "wandb")

    def _work(self, work: str) -> str:
        return f"{work}; {self._layout.name(self._shape.n_steps)}"

    def _side(self, script: str, **arguments: object) -> Side:
        server, path = self._served
        # A folder of its own, in which nothing is cached; scans with keys put nothing there.
        kind = "uncached" if script == peers.WANDB_UNCACHED_ROWS else "sdk"
        folder = self._folder / (kind if script.lstrip().startswith("import wandb") else "ours")
        return Side(script, server, folder, path, arguments)
