"""Sends requests to the embedded backend, and measures times, processor time and memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
from tests.http_logging import LoggedRun
from tests.server_process import NO_TLS, RunningServer, running_server

from benchmarks.report import Line
from runlake.server.store.accounts import add_user
from runlake.server.store.database import Database

RUN = """
query Run($entity: String, $project: String, $name: String!, $keys: [String!]!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { state historyLineCount parquetHistory(liveKeys: $keys) { parquetUrls } }
  }
}
"""
# Pause of another user between two requests.
PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Spread:
    """Durations of requests, and the server's own CPU time per request."""

    seconds: list[float]
    cpu: float | None = None

    def at(self, percent: int) -> float:
        """Return a percentile."""
        return 1e3 * statistics.quantiles(self.seconds, n=100)[percent - 1]

    def __str__(self) -> str:
        cpu = "" if self.cpu is None else f", CPU {1e3 * self.cpu:.1f} ms"
        return f"p50 {self.at(50):.1f} ms, p99 {self.at(99):.1f} ms{cpu}"


def open_client(server: RunningServer) -> httpx.Client:
    return httpx.Client(
        base_url=server.base_url,
        auth=("api", server.api_key),
        verify=NO_TLS,
        trust_env=False,
        timeout=120,
    )


def ask_graphql(http: httpx.Client, server: RunningServer, query: str, **variables: object) -> None:
    body = {"query": query, "variables": {"entity": server.entity, "project": "bench", **variables}}
    answer = http.post("/graphql", json=body)
    if not answer.is_success or answer.json().get("errors"):
        raise RuntimeError(answer.text)


def post(http: httpx.Client, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    http.post(f"/files/{path}/file_stream", content=body, headers=headers).raise_for_status()


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@contextmanager
def meanwhile(*acts: Callable[[], object]) -> Iterator[None]:
    """Repeat each function in a thread of its own while the block runs."""
    over = threading.Event()

    def repeat(act: Callable[[], object]) -> None:
        while not over.is_set():
            act()

    with ThreadPoolExecutor(len(acts)) as pool:
        repeated = [pool.submit(repeat, act) for act in acts]
        try:
            yield
        finally:
            over.set()
    for one in repeated:
        one.result()


def memory_of(pid: int) -> float:
    """Return the memory of a process and its children in MB."""
    total = 0
    for process in [pid, *_children(pid)]:
        try:
            text = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in text.splitlines() if row.startswith("VmRSS"))
    return total / 1024


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        # The thread may have ended meanwhile.
        with contextlib.suppress(OSError):
            children += map(int, file.read_text().split())
    return children


def repeated(server: RunningServer, acts: Sequence[Callable[[], object]]) -> Spread:
    """Execute requests one after the other, after one that does not count."""
    acts[0]()
    before = cpu_seconds(server.process.pid)
    seconds = [timed(act) for act in acts]
    return Spread(seconds, (cpu_seconds(server.process.pid) - before) / len(acts))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def line_of(work: str, spread: Spread, *goals: float) -> Line:
    """Return a line with a goal for the 99th percentile, or for the median and the 99th."""
    percents = (99,) if len(goals) == 1 else (50, 99)
    pairs = list(zip(percents, goals, strict=True))
    goal = ", ".join(f"p{percent} < {most:g} ms" for percent, most in pairs)
    is_met = all(spread.at(percent) < most for percent, most in pairs)
    return Line(work, str(spread), "", "", goal, is_met)


def plain_line(work: str, value: float, unit: str, most: float) -> Line:
    return Line(work, f"{value:.0f} {unit}", "", "", f"< {most:g} {unit}", value < most)


@contextmanager
def two_users(folder: Path) -> Iterator[tuple[RunningServer, RunningServer]]:
    """Run a server; yield it as two users see it."""
    with running_server(folder) as server:
        key = add_user(Database(folder / "runlake.sqlite"), "other")
        yield server, replace(server, entity="other", api_key=key)


@contextmanager
def asking(other: RunningServer, run_id: str = "small") -> Iterator[list[float]]:
    """Ask as another user while the block runs; yield a list that gets the times in seconds."""
    LoggedRun(other, run_id, "bench").log(*({"_step": step, "x": 1.0} for step in range(200)))
    times: list[float] = []
    with open_client(other) as http:
        act = partial(ask_graphql, http, other, RUN, name=run_id, keys=["_step"])

        def ask_once() -> None:
            times.append(timed(act))
            time.sleep(PAUSE_SECONDS)

        act()
        with meanwhile(ask_once):
            yield times
