"""Measures reads of many runs: histories, configs and the table of all runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.server_process import RunningServer, running_server

from benchmarks import peers
from benchmarks.data import add_configured, log_runs, served_runs
from benchmarks.report import Line
from benchmarks.slow_network import delayed
from benchmarks.turns import Measured, Side, take_turns

NAMES = ("histories", "configs", "run-table", "scan-of-runs", "align", "best-of-runs")
LATENCY = 0.05
# A round of the SDK takes 10 s or more there.
FAR_ROUNDS = 2


def lines(folder: Path, wanted: AbstractSet[str] = frozenset(NAMES)) -> Iterator[Line]:
    """Measure the rows of these names."""
    with running_server(folder / "server", export_rows=50_000) as server:
        measured = _ManyRuns(server, folder)
        if "histories" in wanted:
            yield measured.warm("200 runs x 1,000 steps", log_runs(server, "many", 200, 1_000))
            yield measured.warm("1,000 runs x 100 steps", log_runs(server, "short", 1_000, 100))
        if "run-table" in wanted:
            project = add_configured(folder / "server", server, "table", 10_000)
            yield from measured.tables(project)
    if "scan-of-runs" in wanted:
        with served_runs(folder / "scanned", 2_000, 1_000) as (server, project):
            yield from _ManyRuns(server, folder / "scanned").rows(project)
    if "best-of-runs" in wanted:
        with served_runs(folder / "best", 1_000, 1_000) as (server, project):
            yield _ManyRuns(server, folder / "best").best(project)
    if "align" in wanted:
        with served_runs(folder / "aligned", 300, 10_000) as (server, project):
            yield _ManyRuns(server, folder / "aligned").align(project)
    if wanted.isdisjoint(("histories", "configs")):
        return
    with _far_server(folder / "far") as (server, far):
        project = log_runs(server, "many", 200, 1_000)
        distant = _ManyRuns(far, folder / "distant")
        if "histories" in wanted:
            yield _ManyRuns(server, folder / "near").cold("loopback", project, 1.5)
            yield distant.cold("50 ms of latency", project, 8)
        if "configs" in wanted:
            yield distant.configs(project)


@contextlib.contextmanager
def _far_server(folder: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Yield a server, and the same server behind a network with latency."""
    with running_server(folder, export_rows=50_000) as server:
        port = urlsplit(server.base_url).port
        assert port is not None
        with delayed(port, LATENCY) as far:
            yield server, replace(server, base_url=f"http://127.0.0.1:{far}")


class _ManyRuns:
    """Measures lists of runs of one server."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def warm(self, work: str, project: str) -> Line:
        """Compare samples of cached runs with the SDK's, which it reads from the server."""
        arguments = {"keys": ["key001"], "samples": 1_000}
        ours, pages, theirs = take_turns(
            self._side(peers.RUNLAKE_HISTORIES_AND_PAGES, project, **arguments),
            self._side(peers.WANDB_HISTORIES, project, **arguments),
        )
        assert ours.count == theirs.count, (ours.count, theirs.count)
        line = Line.at_least(f"histories of {work}, one key, warm", ours, theirs, 20, "wandb")
        best = theirs.median / pages.median
        return replace(line, floor=f"asking for the state of the runs alone: {best:.0f}x")

    def cold(self, network: str, project: str, goal: float) -> Line:
        """Compare samples of runs of which nothing is cached."""
        arguments = {"keys": ["key001"], "samples": 1_000, "is_cold": True}
        ours, theirs = take_turns(
            self._side(peers.RUNLAKE_HISTORIES, project, **arguments),
            self._side(peers.WANDB_HISTORIES, project, **arguments),
            rounds=FAR_ROUNDS,
        )
        assert ours.count == theirs.count, (ours.count, theirs.count)
        work = f"histories of 200 runs x 1,000 steps, one key, nothing cached, {network}"
        return Line.at_least(work, ours, theirs, goal, "wandb")

    def configs(self, project: str) -> Line:
        """Compare a loop over the configs of listed runs."""
        ours, theirs = take_turns(
            self._side(peers.RUNLAKE_CONFIGS, project),
            self._side(peers.WANDB_CONFIGS, project),
            rounds=FAR_ROUNDS,
        )
        assert ours.count == theirs.count
        line = Line.at_least("", ours, theirs, None, "wandb")
        is_met = ours.median <= 0.6
        work = "configs of 200 listed runs, 50 ms of latency"
        return replace(line, work=work, goal="<= 0.6 s", is_met=is_met)

    def tables(self, project: str) -> Iterator[Line]:
        """Measure tables of all runs of a large project, and the requests for them alone."""
        whole, flat, pages = take_turns(self._side(peers.RUNLAKE_RUN_TABLES, project), rounds=3)
        assert whole.count == flat.count == pages.count == 10_000
        floor = f"the requests alone: {pages}"
        for call, ours, seconds in (("frame", whole, 2.0), ("frame(flat=True)", flat, 2.5)):
            is_met = ours.median <= seconds
            work = f"Runs.{call} of 10,000 runs"
            yield Line(work, str(ours), "", "", f"<= {seconds:g} s", is_met, floor)

    def rows(self, project: str) -> Iterator[Line]:
        """Compare a scan of all runs with bare polars, and measure a scan of ten of them."""
        ours, ten, bare, asked = take_turns(
            self._side(peers.RUNLAKE_RUN_ROWS, project),
            self._side(peers.POLARS_RUN_ROWS, project),
        )
        assert ours.count == bare.count == asked.count == 200 * ten.count
        work = "Runs.scan of 2,000 runs x 1,000 steps, one key and config.lr"
        floor = f"asking for the state of the runs, then polars: {asked.median / bare.median:.2f}"
        yield replace(_at_most(work, ours, bare, 1.5), floor=floor)
        is_met = ten.median <= 0.06
        yield Line("the same of 10 runs, by filter", str(ten), "", "", "<= 60 ms", is_met)

    def align(self, project: str) -> Line:
        """Compare aligned curves with bare polars."""
        ours, bare = take_turns(
            self._side(peers.RUNLAKE_ALIGN, project), self._side(peers.POLARS_ALIGN, project)
        )
        assert ours.count == bare.count, (ours.count, bare.count)
        work = "Runs.align of 300 runs x 10,000 steps, mean and std per group"
        return _at_most(work, ours, bare, 3)

    def best(self, project: str) -> Line:
        """Measure the best value of each run, beside bare polars."""
        ours, bare = take_turns(
            self._side(peers.RUNLAKE_BEST, project), self._side(peers.POLARS_BEST, project)
        )
        assert ours.count == bare.count, (ours.count, bare.count)
        work = "Runs.best of 1,000 runs x 1,000 steps, warm"
        is_met = ours.median <= 0.3
        return replace(_at_most(work, ours, bare, 0), goal="<= 0.3 s", is_met=is_met)

    def _side(self, script: str, path: str, **arguments: object) -> Side:
        folder = self._folder / ("sdk" if "import wandb" in script else "ours")
        return Side(script, self._server, folder, path, arguments)


def _at_most(work: str, ours: Measured, theirs: Measured, most: float) -> Line:
    """Return a line with the ratio of runlake's time to that of bare polars, and its limit."""
    ratio = ours.median / theirs.median
    is_met = ratio <= most
    return Line(work, str(ours), f"polars: {theirs}", f"{ratio:.2f}", f"<= {most:g}", is_met)
