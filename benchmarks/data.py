"""The runs that benchmarks read, logged to the embedded backend over its own protocol."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.http_logging import UPSERT, LoggedRun, wrapped
from tests.server_process import NO_TLS, RunningServer, running_server, wait_until

from runlake.server.app import Backend, open_backend
from runlake.server.exports.parquet_files import ROW_GROUP_ROWS
from runlake.server.runs.runs import Limits

ROWS_PER_REQUEST = 5_000
LOGGED_PER_FILE = 10
STATE_SECONDS = 300.0
URL_SECONDS = 3600.0


@dataclass(frozen=True)
class Shape:
    """A run to log: number of steps, number of keys, and the share of keys in each row."""

    name: str
    n_steps: int
    n_keys: int
    filled: float = 1.0

    def lines(self) -> Iterator[str]:
        """Yield the history lines, one per step."""
        every = max(1, round(1 / self.filled))
        for step in range(self.n_steps):
            row: dict[str, float] = {"_step": step, "_timestamp": 1.7e9 + step, "_runtime": step}
            for key in range(self.n_keys):
                if (key + step) % every == 0:
                    row[f"key{key:03d}"] = math.exp(-step / self.n_steps) + key
            yield json.dumps(row)

    def table(self, start: int, stop: int, *, is_vendors: bool = False) -> pa.Table:
        """Return the rows of a range of steps as a table; the vendor stores integers as doubles."""
        steps = np.arange(start, stop)
        every = max(1, round(1 / self.filled))
        whole = steps.astype(float) if is_vendors else steps
        columns = {"_step": whole, "_timestamp": 1.7e9 + steps, "_runtime": steps.astype(float)}
        curve = np.exp(-steps / self.n_steps)
        for key in range(self.n_keys):
            columns[f"key{key:03d}"] = pa.array(curve + key, mask=(key + steps) % every != 0)
        return pa.table(columns)


def log_runs(server: RunningServer, project: str, n_runs: int, n_steps: int) -> str:
    """Log finished runs of three keys and return the path of their project."""
    lines = list(Shape("", n_steps, 3).lines())
    with _client(server) as http:
        for index in range(n_runs):
            _log(http, server, project, f"run{index:04}", lines)
    return f"{server.entity}/{project}"


def log_configured(server: RunningServer, project: str, n_runs: int, steps: Sequence[int]) -> str:
    """Log finished runs of one key, with config and summary; return the path of their project."""
    lines = [json.dumps({"_step": step, "key001": 0.5}) for step in steps]
    with _client(server) as http:
        for index in range(n_runs):
            _log(http, server, project, f"run{index:04}", lines, _config(index), _summary(index))
    return f"{server.entity}/{project}"


def add_configured(folder: Path, server: RunningServer, project: str, n_runs: int) -> str:
    """Add the same runs without rows to the folder of a server, faster than they can be logged."""
    limits = Limits(None, STATE_SECONDS)
    backend = open_backend(folder, server.storage_url, limits=limits, url_expiry=URL_SECONDS)
    with backend.database.transaction():
        for index in range(n_runs):
            given = {"name": f"run{index:04}", "modelName": project, "state": "finished"}
            given |= {"config": _config(index), "summaryMetrics": json.dumps(_summary(index))}
            backend.runs.upsert(server.entity, given)
    return f"{server.entity}/{project}"


def _config(index: int) -> str:
    net = {"depth": index % 3, "width": 64}
    return wrapped(lr=10.0 ** -(index % 4), seed=index, net=net)


def _summary(index: int) -> dict[str, object]:
    return {"key001": 0.5, "_runtime": index}


def _client(server: RunningServer) -> httpx.Client:
    return httpx.Client(
        base_url=server.base_url,
        auth=("api", server.api_key),
        verify=NO_TLS,
        trust_env=False,
        timeout=120,
    )


def _log(
    http: httpx.Client,
    server: RunningServer,
    project: str,
    run_id: str,
    lines: Sequence[str],
    config: str | None = None,
    summary: Mapping[str, object] | None = None,
) -> None:
    """Log a finished run of few rows with two requests."""
    names = {"name": run_id, "project": project, "entity": server.entity, "program": "bench"}
    variables = names if config is None else names | {"config": config}
    http.post("/graphql", json={"query": UPSERT, "variables": variables}).raise_for_status()
    files: dict[str, object] = {"wandb-history.jsonl": {"offset": 0, "content": lines}}
    if summary is not None:
        files["wandb-summary.json"] = {"offset": 0, "content": [json.dumps(summary)]}
    body = {"files": files, "complete": True, "exitcode": 0}
    path = f"{server.entity}/{project}/{run_id}"
    http.post(f"/files/{path}/file_stream", json=body).raise_for_status()


@contextlib.contextmanager
def served_runs(folder: Path, n_runs: int, n_steps: int) -> Iterator[tuple[RunningServer, str]]:
    """Serve finished runs with configs, one export each; yield the server and the project's path.

    As in `served`, only the first and the last step are logged; then the exports are replaced.
    """
    with running_server(folder, export_rows=n_steps) as server:
        project = log_configured(server, "many", n_runs, (0, n_steps - 1))
        limits = Limits(n_steps, STATE_SECONDS)
        backend = open_backend(folder, server.storage_url, limits=limits, url_expiry=URL_SECONDS)
        layout = Layout(n_steps)
        for index in range(n_runs):
            found = backend.runs.find(server.entity, "many", f"run{index:04}")
            assert found is not None
            run_id = found["id"]
            wait_until(partial(_has_export, backend, run_id), 120)
            table = Shape("", n_steps, 3).table(0, n_steps)
            loss = pa.array(np.exp(-np.arange(n_steps) / n_steps) + index / n_runs)
            place = table.column_names.index("key001")
            table = table.set_column(place, "key001", loss)
            (name,) = backend.runs.export_objects(run_id)
            backend.storage.write(name, partial(_write, table=table, layout=layout))
        yield server, project


@contextlib.contextmanager
def served_shapes(folder: Path, n_runs: int, shape: Shape) -> Iterator[tuple[RunningServer, str]]:
    """Serve finished runs with configs and summaries, one export each, whose curves differ.

    As in `served`, only the first and the last step are logged; then the exports are replaced.
    Yield the server and the project's path.
    """
    with running_server(folder, export_rows=shape.n_steps) as server:
        keys = [f"key{key:03d}" for key in range(shape.n_keys)]
        for index in range(n_runs):
            run = LoggedRun(server, f"{shape.name}{index:04}", "pages")
            run.configure(lr=10.0 ** -(index % 4), seed=index, net={"depth": index % 3})
            ends = (0, shape.n_steps - 1)
            run.log(*({"_step": step, **dict.fromkeys(keys, 0.5)} for step in ends))
            run.summarize({"_runtime": index, **dict.fromkeys(keys, index / n_runs)}).finish()
        limits = Limits(shape.n_steps, STATE_SECONDS)
        backend = open_backend(folder, server.storage_url, limits=limits, url_expiry=URL_SECONDS)
        layout = Layout(shape.n_steps)
        whole = shape.table(0, shape.n_steps)
        for index in range(n_runs):
            found = backend.runs.find(server.entity, "pages", f"{shape.name}{index:04}")
            assert found is not None
            run_id = found["id"]
            wait_until(partial(_has_export, backend, run_id), 300)
            noise = np.random.default_rng(index).normal(index / n_runs, 0.02, shape.n_steps)
            table = whole
            for key in keys:
                place = table.column_names.index(key)
                curve = table.column(place).to_numpy() + noise
                table = table.set_column(place, key, pa.array(curve))
            (name,) = backend.runs.export_objects(run_id)
            backend.storage.write(name, partial(_write, table=table, layout=layout))
        yield server, f"{server.entity}/pages"


def _has_export(backend: Backend, run_id: int) -> bool:
    return len(backend.runs.export_objects(run_id)) == 1


def log_run(
    server: RunningServer, shape: Shape, project: str = "bench", *, is_finished: bool = True
) -> str:
    """Log a run and return its path."""
    path = f"{server.entity}/{project}/{shape.name}"
    names = {"name": shape.name, "project": project, "entity": server.entity, "program": "bench"}
    with _client(server) as http:
        http.post("/graphql", json={"query": UPSERT, "variables": names}).raise_for_status()
        stream = f"/files/{path}/file_stream"
        waiting: list[str] = []
        n_sent = 0
        for line in shape.lines():
            waiting.append(line)
            if len(waiting) == ROWS_PER_REQUEST:
                part = {"offset": n_sent, "content": waiting}
                http.post(stream, json={"files": {"wandb-history.jsonl": part}}).raise_for_status()
                n_sent += len(waiting)
                waiting = []
        part = {"offset": n_sent, "content": waiting}
        body: dict[str, object] = {"files": {"wandb-history.jsonl": part}}
        if is_finished:
            body |= {"complete": True, "exitcode": 0}
        http.post(stream, json=body).raise_for_status()
    return path


@dataclass(frozen=True)
class Layout:
    """Layout of the exports of a run: rows per file, and whether it is the vendor's.

    The vendor writes few large files with ``_step`` and all numbers as doubles; `runlake serve`
    writes many small files with steps and whole numbers as integers.
    """

    rows_per_file: int
    is_vendors: bool = False

    def name(self, n_rows: int) -> str:
        """Describe the layout for a run of ``n_rows`` rows."""
        n_files = -(-n_rows // self.rows_per_file)
        writer = "vendor's layout" if self.is_vendors else "`runlake serve`'s"
        return f"{n_files} file{'s' * (n_files > 1)}, {writer}"


@contextlib.contextmanager
def served(folder: Path, layout: Layout, shape: Shape) -> Iterator[tuple[RunningServer, str]]:
    """Serve a finished run whose exports have a layout; yield the server and the run's path.

    To log millions of rows takes minutes. So only some steps of each export are logged, its first
    and last among them; then the exported files are replaced by files with all rows.
    """
    with running_server(folder, export_rows=LOGGED_PER_FILE) as server:
        starts = range(0, shape.n_steps, layout.rows_per_file)
        spans = [(start, min(start + layout.rows_per_file, shape.n_steps)) for start in starts]
        run = LoggedRun(server, shape.name, "bench")
        for start, stop in spans:
            steps = np.linspace(start, stop - 1, LOGGED_PER_FILE).astype(int).tolist()
            run.log(*({"_step": step, "key000": 0.5} for step in steps))
        run.finish()
        limits = Limits(LOGGED_PER_FILE, STATE_SECONDS)
        backend = open_backend(folder, server.storage_url, limits=limits, url_expiry=URL_SECONDS)
        found = backend.runs.find(*run.path.split("/"))
        assert found is not None
        run_id = found["id"]
        wait_until(lambda: len(backend.runs.export_objects(run_id)) == len(spans), 120)
        names = backend.runs.export_objects(run_id)
        for name, (start, stop) in zip(names, spans, strict=True):
            table = shape.table(start, stop, is_vendors=layout.is_vendors)
            backend.storage.write(name, partial(_write, table=table, layout=layout))
        yield server, run.path


def _write(file: Path, table: pa.Table, layout: Layout) -> None:
    if layout.is_vendors:
        pq.write_table(table, file, compression="snappy")
    else:
        pq.write_table(
            table,
            file,
            row_group_size=ROW_GROUP_ROWS,
            compression="snappy",
            write_page_checksum=True,
        )
