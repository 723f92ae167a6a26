"""Measures how long other users of the embedded backend wait while one user keeps it busy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
from tests.fuzz.odd_requests import Sender
from tests.fuzz.test_server_requests import SEEDS_OF_A_WORLD, log_world
from tests.http_logging import LoggedRun
from tests.server_process import NO_TLS, RunningServer

from benchmarks.report import Line
from benchmarks.server_requests import (
    Spread,
    asking,
    line_of,
    meanwhile,
    memory_of,
    plain_line,
    timed,
    two_users,
)

N_ODD_REQUESTS = 3_000
N_RUNS, N_ROWS, N_KEYS = 20, 10_000, 10
PAGES_SECONDS = 20.0
ALONE_SECONDS = 3.0


def measure_odd_requests(folder: Path) -> list[Line]:
    """Send the requests of the fuzz test as one user, and ask as another one."""
    with two_users(folder / "odd") as (server, other):
        pid = server.process.pid
        sender = Sender(server, log_world(server, "fuzz-0"))
        before = memory_of(pid)
        peak = [before]

        def weigh() -> None:
            peak.append(memory_of(pid))
            time.sleep(0.05)

        with asking(other) as answers, meanwhile(weigh):
            sender.try_known()
            seed = 0
            while sender.n_requests < N_ODD_REQUESTS:
                if seed and not seed % SEEDS_OF_A_WORLD:
                    sender.world = log_world(server, f"fuzz-{seed}")
                sender.try_seed(seed)
                seed += 1
    work = f"{N_ODD_REQUESTS:,} odd requests"
    n_faults = len(sender.faults)
    return [
        Line(f"{work}: answers of 5xx", str(n_faults), "", "", "0", n_faults == 0),
        line_of(f"{work}: requests of another user meanwhile", Spread(answers), 100),
        plain_line(f"{work}: growth of memory", max(peak) - before, "MB", 300),
    ]


def measure_pages(folder: Path) -> list[Line]:
    """Load pages and their data as two visitors, and ask the API as another user."""
    with two_users(folder / "pages") as (server, other):
        for run_id in range(N_RUNS):
            _log(server, f"run{run_id}")
        with asking(other) as alone:
            time.sleep(ALONE_SECONDS)
        visits = [_visits(server, first) for first in (0, N_RUNS // 2)]
        loaded: list[float] = []
        acts = [lambda visit=visit: loaded.append(timed(partial(next, visit))) for visit in visits]
        with asking(other) as answers, meanwhile(*acts):
            time.sleep(PAGES_SECONDS)
    work = f"pages of {N_RUNS} runs of {N_ROWS:,} rows"
    return [
        Line(f"{work}: pages and their data, two visitors", str(Spread(loaded)), "", "", "", None),
        line_of(f"{work}: API requests of another user without visitors", Spread(alone), 100),
        line_of(f"{work}: API requests of another user meanwhile", Spread(answers), 100),
    ]


def _log(server: RunningServer, run_id: str) -> None:
    run = LoggedRun(server, run_id, "seen")
    for start in range(0, N_ROWS, 2_000):
        run.log(
            *(
                {"_step": step, **{f"k{key}": math.sin(step / (key + 9)) for key in range(N_KEYS)}}
                for step in range(start, start + 2_000)
            )
        )
    run.finish()


def _visits(server: RunningServer, first: int) -> Iterator[None]:
    """Load one page or its data at each step, as a browser that is logged in."""
    project = f"/{server.entity}/seen"
    with httpx.Client(
        base_url=server.base_url, verify=NO_TLS, trust_env=False, timeout=120
    ) as browser:
        browser.post("/-/login", data={"key": server.api_key})
        yield
        while True:
            for number in range(N_RUNS):
                run = f"{project}/runs/run{(first + number) % N_RUNS}"
                for path in (
                    f"{project}/workspace",
                    f"{project}/charts.json?key=k{number % N_KEYS}",
                    run,
                    f"{run}/contents.json",
                    f"{run}/history.json",
                    f"{run}/history.parquet",
                    f"{project}/table",
                ):
                    browser.get(path, follow_redirects=True).raise_for_status()
                    yield
