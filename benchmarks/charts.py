"""Measures charts: from cached runs to HTML text, and the size of the HTML."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
import polars as pl
from tests.server_process import running_server

from benchmarks import peers
from benchmarks.data import log_runs
from benchmarks.download import served_plainly, write_exports
from benchmarks.report import Line
from benchmarks.turns import Side, take_turns

NAMES = ("plots",)
N_FILES, N_ROWS, N_KEYS = 8, 250_000, 5
N_RUNS, N_STEPS = 300, 10_000
N_POINTS, N_SERIES = 2_000, 3
MAX_BYTES = 120_000
ROUNDS = 9


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure a long run, many runs, and one chart's HTML."""
    if "plots" not in wanted:
        return
    yield _size()
    yield _long_run(folder / "long")
    yield _many_runs(folder / "many")


def _long_run(folder: Path) -> Line:
    write_exports(folder / "exports", N_FILES, N_ROWS, N_KEYS)
    with served_plainly(folder / "exports") as offer:
        side = Side(peers.RUNLAKE_PLOT, offer.server, folder / "ours", offer.path, {"key": "key1"})
        read, drawn = take_turns(side, rounds=ROUNDS)
    goal = 2 * read.median + 0.03
    return Line(
        f"run.plot of one key of {N_FILES * N_ROWS:,} steps, to HTML text",
        str(drawn),
        f"run.frame of the key: {read}",
        f"{drawn.median / read.median:.2f}",
        "<= 2x + 30 ms",
        drawn.median <= goal,
    )


def _many_runs(folder: Path) -> Line:
    with running_server(folder / "server", export_rows=50_000) as server:
        project = log_runs(server, "plots", N_RUNS, N_STEPS)
        arguments = {"keys": ["key001"], "by": ["state"]}
        side = Side(peers.PLOT_OF_RUNS, server, folder / "ours", project, arguments)
        aligned, drawn = take_turns(side, rounds=ROUNDS)
    # Of each round: the machine may be slower in the next one.
    pairs = zip(aligned.seconds, drawn.seconds, strict=True)
    more = statistics.median(plot - align for align, plot in pairs)
    return Line(
        f"runs.plot(by=) of {N_RUNS:,} runs x {N_STEPS:,} steps, to HTML text",
        str(drawn),
        f"runs.align: {aligned}",
        f"{more * 1e3:+.1f} ms",
        "<= +50 ms",
        more <= 0.05,
    )


def _size() -> Line:
    from runlake.charts.chart import Chart

    values = np.random.default_rng(0).random((N_SERIES, 20 * N_POINTS))
    columns = {f"key{place}": series for place, series in enumerate(values)}
    frame = pl.DataFrame({"_step": range(values.shape[1]), **columns})
    shown = Chart.of_frame(frame, list(columns))._repr_html_()
    n_bytes = len(shown.encode())
    return Line(
        f"HTML of a notebook chart of {N_POINTS:,} points x {N_SERIES} series",
        f"{n_bytes / 1e3:,.1f} kB",
        "",
        "",
        f"< {MAX_BYTES / 1e3:g} kB",
        n_bytes < MAX_BYTES,
    )
