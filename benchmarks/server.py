"""Measures the embedded backend at size: requests during exports, lists, logging, memory.

``python -m benchmarks.server`` takes some minutes and writes ``docs/benchmarks-server.md``;
``python -m benchmarks.server wide lists`` only prints some of its groups.
``python -m benchmarks.server soak`` logs for ten minutes, or for the given number of seconds, and
writes how latency and memory change into a section of its own.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tests.http_logging import LoggedRun
from tests.server_process import RunningServer, run_script, running_server, wait_until

from benchmarks.report import Line, as_markdown, write_server_document, write_server_soak
from benchmarks.server_others import measure_odd_requests, measure_pages
from benchmarks.server_requests import (
    RUN,
    Spread,
    ask_graphql,
    asking,
    cpu_seconds,
    line_of,
    meanwhile,
    memory_of,
    open_client,
    plain_line,
    post,
    repeated,
    timed,
    two_users,
)
from runlake.server.app import Backend, open_backend
from runlake.server.data_directory.custody import CHECKPOINT_SECONDS
from runlake.server.runs.export_sizes import MAX_LIVE_ROWS
from runlake.server.runs.runs import Limits
from runlake.server.store.database import FREE_PAGES

MAX_BODY = 1_000_000
MB = 1 << 20
N_RUNS, N_ROWS = 10_000, 1_000_000
N_CLIENTS = 8
N_SDK_ROWS = 2_000
SOAK_SECONDS = 600.0
RUNS = """
query Runs(
  $entity: String, $project: String!, $order: String, $filters: JSONString, $after: String
) {
  project(name: $project, entityName: $entity) {
    runs(order: $order, filters: $filters, first: 50, after: $after) {
      edges { node { id name displayName state createdAt heartbeatAt tags } }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""
PAGE = """
query Page(
  $entity: String!, $project: String!, $name: String!, $low: Int64!, $high: Int64!, $n: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { history(minStep: $low, maxStep: $high, samples: $n) }
  }
}
"""
ASKS = {
    "newest first": {"order": "-created_at"},
    "filtered by config": {"filters": '{"config.lr.value": {"$gt": 0.9}}'},
    "filtered by state and tag": {"filters": '{"$and": [{"state": "finished"}, {"tags": "t7"}]}'},
    "filtered by a name's pattern": {"filters": '{"displayName": {"$regex": "-99"}}'},
    "ordered by a summary value": {"order": "-summary_metrics.loss"},
    "ordered by a config value": {"order": "+config.lr.value"},
}
LOGGING = """
import random, resource, sys, time, wandb
n_rows, mode = int(sys.argv[1]), sys.argv[2]
settings = wandb.Settings(x_disable_stats=True, console="off")
run = wandb.init(project="bench", mode=mode, settings=settings)
start = time.monotonic()
for step in range(n_rows):
    run.log({f"k{i}": random.random() for i in range(10)})
run.finish()
usage = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(time.monotonic() - start, sum(one.ru_utime + one.ru_stime for one in usage))
"""


def _wide(folder: Path) -> list[Line]:
    found: list[Line] = []
    for n_keys, n_bytes in ((500, 96 * MB), (5_000, 96 * MB)):
        with two_users(folder / f"wide-{n_keys}") as (server, other):
            found += _wide_run(server, other, n_keys, n_bytes)
    return found


def _listed(folder: Path) -> list[Line]:
    with _prepared(folder / "lists", _add_runs) as server:
        return _lists(server)


def _rows(folder: Path) -> list[Line]:
    with _prepared(folder / "rows", _add_rows) as server:
        return [*_pages(server), *_sizes(folder / "rows")]


def _logged(folder: Path) -> list[Line]:
    with running_server(folder / "sdk") as server:
        return _sdk_logging(server, folder / "sdk")


def _wide_run(server: RunningServer, other: RunningServer, n_keys: int, n_bytes: int) -> list[Line]:
    """Log a wide run with requests as long as the SDK's, and ask as another user meanwhile."""
    run = LoggedRun(server, f"wide-{n_keys}", "bench")
    sent: list[float] = []
    peak = [0.0]

    def weigh() -> None:
        peak.append(memory_of(server.process.pid))
        time.sleep(0.1)

    with open_client(server) as http, asking(other) as answers, meanwhile(weigh):
        for body in _bodies(n_keys, n_bytes):
            sent.append(timed(partial(post, http, run.path, body)))  # noqa: PERF401
        run.finish()
        ask_graphql(http, server, RUN, name=f"wide-{n_keys}", keys=["_step"])
    name = f"{n_keys:,} keys, {n_bytes // MB} MB of lines"
    return [
        line_of(f"requests that log {name}", Spread(sent), 300),
        line_of(f"requests of another user meanwhile, {n_keys:,} keys", Spread(answers), 100),
        plain_line(
            f"peak memory of the server and its exports, {n_keys:,} keys", max(peak), "MB", 600
        ),
    ]


def _sizes(data_dir: Path) -> list[Line]:
    """Compare the database with the exports, once all exported lines are compressed."""

    def is_done() -> bool:
        with closing(sqlite3.connect(data_dir / "runlake.sqlite", timeout=60)) as database:
            (n_rows,) = database.execute("SELECT count(*) FROM lines").fetchone()
            (n_free,) = database.execute("PRAGMA freelist_count").fetchone()
        return int(n_rows) < MAX_LIVE_ROWS and int(n_free) <= FREE_PAGES

    wait_until(is_done, 600)
    # The file is cut at the next checkpoint.
    time.sleep(2 * CHECKPOINT_SECONDS)
    exports = sum(file.stat().st_size for file in data_dir.glob("storage/exports/*/*")) / MB
    database = data_dir.joinpath("runlake.sqlite").stat().st_size / MB
    work = f"the database beside {exports:.0f} MB of exports of {N_ROWS:,} rows"
    return [Line(work, f"{database:.0f} MB", "", f"{database / exports:.1f}x", "", None)]


def _bodies(n_keys: int, n_bytes: int) -> Iterator[bytes]:
    """Yield requests of at most 1 MB with rows of ``n_keys`` numbers."""
    step, offset, total = 0, 0, 0
    line = json.dumps({f"key{at:04d}": random.random() for at in range(n_keys)})[1:]
    n_lines = max(1, MAX_BODY // (len(json.dumps(line)) + 20))
    while total < n_bytes:
        batch = [f'{{"_step": {step + at}, {line}' for at in range(n_lines)]
        body = {"files": {"wandb-history.jsonl": {"offset": offset, "content": batch}}}
        step, offset = step + n_lines, offset + n_lines
        total += n_lines * len(line)
        yield json.dumps(body).encode()


def _lists(server: RunningServer) -> list[Line]:
    """List, filter and order the runs of a project of 10,000 runs."""
    found = []
    with open_client(server) as http:
        for name, asked in ASKS.items():
            asks = [partial(ask_graphql, http, server, RUNS, **asked)] * 100
            spread = repeated(server, asks)
            found.append(line_of(f"a page of 50 of {N_RUNS:,} runs, {name}", spread, 20, 60))
    return found


def _pages(server: RunningServer) -> list[Line]:
    """Read pages of rows, and the exports, of a run of 1,000,000 rows."""
    with open_client(server) as http:
        lows = [random.randrange(N_ROWS - 10_000) for _ in range(100)]
        spans = [{"name": "long", "low": low, "high": low + 10_000, "n": 100} for low in lows]
        pages = repeated(
            server, [partial(ask_graphql, http, server, PAGE, **span) for span in spans]
        )
        ask = partial(ask_graphql, http, server, RUN, name="long", keys=["_step"])
        runs = repeated(server, [ask] * 100)
    name = f"of a run of {N_ROWS:,} rows"
    return [
        line_of(f"a page of 100 rows {name}", pages, 20, 60),
        line_of(f"the exports and live steps {name}", runs, 20, 60),
    ]


def _sdk_logging(server: RunningServer, folder: Path) -> list[Line]:
    """Log from eight processes with the SDK at once, to the server and only to files."""
    offline, of_offline = _log_from_sdks(server, folder / "offline", "offline")
    before = cpu_seconds(server.process.pid)
    rate, of_sdk = _log_from_sdks(server, folder / "online", "online")
    of_server = (cpu_seconds(server.process.pid) - before) / (N_CLIENTS * N_SDK_ROWS)
    work = f"{N_CLIENTS} SDK runs that log rows of 10 keys at once"
    return [
        Line(
            f"{work}: rows per second",
            f"{rate:,.0f}",
            "",
            "",
            ">= 30,000",
            rate >= 30_000,
            f"SDK without a server (offline): {offline:,.0f}",
        ),
        Line(
            f"{work}: CPU per row of the server",
            f"{1e6 * of_server:.0f} us",
            f"SDK: {1e6 * of_sdk:.0f} us",
            f"{of_sdk / of_server:.0f}x",
            "",
            None,
            f"SDK offline: {1e6 * of_offline:.0f} us",
        ),
    ]


def _log_from_sdks(server: RunningServer, folder: Path, mode: str) -> tuple[float, float]:
    """Return the rows per second of all processes, and the SDK's CPU seconds per row."""

    def log(number: int) -> list[float]:
        printed = run_script(LOGGING, server, folder / str(number), N_SDK_ROWS, mode)
        return [float(text) for text in printed.split()]

    with ThreadPoolExecutor(N_CLIENTS) as pool:
        results = list(pool.map(log, range(N_CLIENTS)))
    total = N_CLIENTS * N_SDK_ROWS
    return total / max(seconds for seconds, _ in results), sum(cpu for _, cpu in results) / total


def soak(folder: Path, seconds: float) -> list[Line]:
    """Log for a while, and compare latency and memory of the beginning and the end."""
    with running_server(folder) as server, open_client(server) as http:
        # The process that writes exports starts with the first export: it is no growth.
        LoggedRun(server, "first", "bench").log(*({"_step": at} for at in range(9_000))).finish()
        ask_graphql(http, server, RUN, name="first", keys=["_step"])
        runs = [LoggedRun(server, f"soak-{at}", "bench") for at in range(N_CLIENTS)]
        times: list[float] = []
        memory: list[float] = []
        end = time.monotonic() + seconds
        offset = 0
        while time.monotonic() < end:
            rows = [{"_step": offset + at, "a": at / 3, "b": at} for at in range(100)]
            content = [json.dumps(row) for row in rows]
            body = {"files": {"wandb-history.jsonl": {"offset": offset, "content": content}}}
            encoded = json.dumps(body).encode()
            times += [timed(partial(post, http, run.path, encoded)) for run in runs]
            memory.append(memory_of(server.process.pid))
            offset += 100
            time.sleep(0.02)
    part = max(len(times) // 5, 100)
    early, late = Spread(times[:part]), Spread(times[-part:])
    growth = memory[-1] - memory[len(memory) // 5]
    work = f"logging for {seconds:g} s, {N_CLIENTS} runs, {N_CLIENTS * offset:,} rows"
    return [
        Line(f"{work}: requests of the first fifth", str(early), "", "", "", None),
        Line(
            f"{work}: requests of the last fifth",
            str(late),
            "",
            f"{late.at(50) / early.at(50):.2f}x",
            "<= 1.2x",
            late.at(50) <= 1.2 * early.at(50),
        ),
        plain_line(f"{work}: growth of memory after the first fifth", growth, "MB", 50),
    ]


@contextmanager
def _prepared(folder: Path, add: Callable[[Backend, str], None]) -> Iterator[RunningServer]:
    """Serve a directory into which ``add`` wrote without HTTP."""
    with running_server(folder) as server:
        add(_backend(folder, server), server.entity)
        yield server


def _backend(folder: Path, server: RunningServer) -> Backend:
    return open_backend(folder, server.storage_url, limits=Limits(), url_expiry=3600.0)


def _add_runs(backend: Backend, entity: str) -> None:
    with backend.database.transaction():
        for at in range(N_RUNS):
            given = {
                "name": f"run{at}",
                "modelName": "bench",
                "host": "h",
                "displayName": f"swift-{at}",
                "tags": [f"t{at % 10}"],
                "config": json.dumps(
                    {f"c{n}": {"value": n} for n in range(20)} | {"lr": {"value": at / N_RUNS}}
                ),
                "summaryMetrics": json.dumps(
                    {f"s{n}": n / 7 for n in range(50)} | {"loss": at * 7919 % N_RUNS}
                ),
                "state": "finished" if at % 3 else "failed",
            }
            backend.runs.upsert(entity, given)


def _add_rows(backend: Backend, entity: str) -> None:
    run, _ = backend.runs.upsert(entity, {"name": "long", "modelName": "bench", "host": "h"})
    for start in range(0, N_ROWS, 50_000):
        content = [
            f'{{"_step": {step}, "x": 0.5, "y": 1}}' for step in range(start, start + 50_000)
        ]
        body = {"files": {"wandb-history.jsonl": {"offset": start, "content": content}}}
        backend.runs.stream(run, body)


GROUPS: dict[str, Callable[[Path], list[Line]]] = {
    "wide": _wide,
    "lists": _listed,
    "rows": _rows,
    "sdk": _logged,
    "odd": measure_odd_requests,
    "pages": measure_pages,
}


def main() -> None:
    """Measure all groups, or those that are named, or the soak."""
    asked = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as name:
        if asked[:1] == ["soak"]:
            found = soak(Path(name), float(asked[1]) if len(asked) > 1 else SOAK_SECONDS)
        else:
            found = [line for group in asked or GROUPS for line in GROUPS[group](Path(name))]
    if not asked:
        write_server_document(found)
    elif asked == ["soak"]:
        write_server_soak(found)
    print(as_markdown(found), flush=True)


if __name__ == "__main__":
    main()
