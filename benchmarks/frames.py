"""Compares frames and SQL with polars and DuckDB on the same files."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from benchmarks import peers
from benchmarks.download import Offer, served_plainly, write_exports
from benchmarks.report import Line
from benchmarks.turns import Side, take_turns

N_ROWS = 200_000
N_KEYS = 12
WIDE_ROWS, WIDE_KEYS = 2_000, 20_000
FILE_COUNTS = (1, 200, 1_000)
ROUNDS = 15
# Rounds of some milliseconds vary by a tenth.
SHORT_ROUNDS = 41
QUERY = "SELECT count(*) + min(key7) FROM {table}"
RUNLAKE_CODE = """
import sys, runlake
print(runlake.Api().run(sys.argv[1]).frame(["key7"]).height)
"""
POLARS_CODE = """
import sys, polars
print(polars.read_parquet(sys.argv[2:], columns=["_step", "key7"]).height)
"""
# What a reader needs that is made of these libraries: their imports, one request, and the file.
FLOOR_CODE = """
import os, sys
sys.modules["httpx._main"] = None  # httpx's command line imports packages of its own
import httpx, polars
with httpx.Client(base_url=os.environ["WANDB_BASE_URL"], verify=False, trust_env=False) as client:
    client.post("/graphql", json={"query": "query Viewer { viewer { id } }"})
print(polars.read_parquet(sys.argv[2:], columns=["_step", "key7"]).height)
"""


NAMES = ("frames", "sql", "script")


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure a run of one file, runs of many files, and a wide run."""
    if "script" in wanted:
        with _Frames(folder / "script", 1, N_ROWS, N_KEYS) as frames:
            yield frames.script()
    shapes = [(n_files, N_ROWS // n_files, N_KEYS) for n_files in FILE_COUNTS]
    for n_files, n_rows, n_keys in [*shapes, (1, WIDE_ROWS, WIDE_KEYS)]:
        is_wide = n_keys == WIDE_KEYS
        files = f"{n_files:,} file{'s' * (n_files > 1)}"
        work = f"{n_files * n_rows:,} rows x {n_keys + 1:,} keys in {files}"
        with _Frames(folder / f"{n_files}x{n_keys}", n_files, n_rows, n_keys) as frames:
            if "frames" in wanted:
                yield frames.frame(work, 1.25 if is_wide or n_files >= 1_000 else 1.2)
            if "sql" in wanted:
                yield frames.sql(work, 0.5 if is_wide else 0.7)


class _Frames:
    """Measures one run on a plain server, with a cache."""

    def __init__(self, folder: Path, n_files: int, n_rows: int, n_keys: int) -> None:
        self._folder = folder
        self._n_rounds = SHORT_ROUNDS if (n_files, n_keys) == (1, N_KEYS) else ROUNDS
        write_exports(folder / "exports", n_files, n_rows, n_keys)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        serving = served_plainly(self._folder / "exports")
        self._offer: Offer = self._stack.enter_context(serving)
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def frame(self, work: str, goal: float) -> Line:
        """Compare a frame of all keys with polars on the same files plus one request."""
        # One read per process and round: a second read right after another one finds its memory in
        # the processor's cache, and takes a quarter less time.
        scripts = (
            peers.RUNLAKE_FRAME,
            peers.POLARS_FRAME_ASKED,
            peers.POLARS_FRAME,
            peers.POLARS_FRAME_ASKED,
        )
        sides = map(self._side, scripts)
        ours, both, bare, again = take_turns(*sides, rounds=self._n_rounds)
        assert ours.count == both.count == bare.count == again.count
        ratio, best = (1 + (one.median - both.median) / bare.median for one in (ours, again))
        return Line(
            f"frame of all keys, {work}",
            str(ours),
            f"request and polars: {both}",
            f"{ratio:.2f}",
            f"<= {goal:g}",
            ratio <= goal,
            f"request and polars once more: {best:.2f}",
        )

    def sql(self, work: str, goal: float) -> Line:
        """Compare a query of one key with DuckDB on the same files plus one request."""
        # Bounds that are stated in a file may be wrong, and leave NaN out: runlake hides them from
        # DuckDB, which would answer this query with them alone.
        hidden = "SET disabled_optimizers = 'statistics_propagation'"
        ours, bare, floor = take_turns(
            self._side(peers.RUNLAKE_SQL, query=QUERY),
            self._side(peers.DUCKDB_SQL, query=QUERY),
            self._side(peers.DUCKDB_SQL, query=QUERY, setting=hidden),
            rounds=ROUNDS,
        )
        assert ours.count == bare.count == floor.count
        line = Line.at_least(f"SQL of one key, {work}", ours, bare, goal, "request and DuckDB")
        best = bare.median / floor.median
        return replace(line, floor=f"DuckDB without stated bounds of values: {best:.2f}x")

    def script(self) -> Line:
        """Compare a whole script, including the interpreter's start and the imports."""
        files = [str(one) for one in sorted((self._folder / "exports").iterdir())]
        codes = (RUNLAKE_CODE, POLARS_CODE, FLOOR_CODE)
        ours, bare, floor = take_turns(
            *(
                self._side(peers.AS_SCRIPT, code=code.replace("sys.argv[2:]", repr(files)))
                for code in codes
            ),
            rounds=ROUNDS,
        )
        assert ours.count == bare.count == floor.count == N_ROWS
        ratio = ours.median / bare.median
        return Line(
            f"script: imports, and one key of {N_ROWS:,} rows to a frame",
            str(ours),
            f"polars: {bare}",
            f"{ratio:.2f}",
            "<= 2",
            ratio <= 2,
            f"polars, httpx, a request: {floor.median / bare.median:.2f}",
        )

    def _side(self, script: str, **arguments: object) -> Side:
        return Side(script, self._offer.server, self._folder / "ours", self._offer.path, arguments)
