"""Records the real backend's answers to every query of the client, to replay them."""

from __future__ import annotations

import http.server
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, RunningServer, running_server

import runlake

API_KEY = "0123456789abcdef0123456789abcdef01234567"
HOST = "http://player.example"  # stands for whoever plays
PASSED_ON = ("content-type", "etag", "last-modified", "content-range", "x-goog-hash", "location")
TABLE = {"columns": ["q", "a"], "data": [[1, "x"], [2, None]], "ncols": 2, "nrows": 2}
Read = Callable[[runlake.Api, str], Any]


def _run(api: runlake.Api, path: str) -> runlake.Run:
    return api.run(path)


def _fields(api: runlake.Api, path: str) -> None:
    run = _run(api, path)
    _ = (run.config, dict(run.summary), run.rawconfig, run.state, run.tags, run.created_at)
    _ = (run.metrics(), run.system_metrics, run.lastHistoryStep, run.url, repr(run), run.name)
    _ = (run.history_keys, run.json_config, run.sweep_name, getattr(run, "user", None))


def _files(api: runlake.Api, path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file in _run(api, path).files():
            _ = (repr(file), file.size, file.md5, file.url, file.name)
            file.download(folder, replace=True)


def _list(api: runlake.Api, path: str) -> None:
    runs = api.runs(path.rpartition("/")[0])
    for run in runs:
        _ = (run.config, dict(run.summary), repr(run))
    _ = (len(runs), runs.frame())


def _artifact(api: runlake.Api, path: str) -> None:
    artifact = api.artifact(f"{path.rpartition('/')[0]}/set:v0")
    _ = (artifact.metadata, artifact.aliases, artifact.size, artifact.created_at, artifact.digest)
    _ = (artifact.logged_by(), list(artifact.used_by()), list(artifact.files()), repr(artifact))
    with tempfile.TemporaryDirectory() as folder:
        artifact.download(folder)


def _artifact_lists(api: runlake.Api, path: str) -> None:
    project = path.rpartition("/")[0]
    for kind in api.artifact_types(project):
        for collection in kind.collections():
            _ = (repr(collection), collection.aliases)
    _ = [repr(version) for version in api.artifacts("dataset", f"{project}/set")]
    _ = [repr(artifact) for artifact in _run(api, path).logged_artifacts()]


def _projects(api: runlake.Api, path: str) -> None:
    for project in api.projects(path.partition("/")[0]):
        _ = (repr(project), project.url, [repr(sweep) for sweep in project.sweeps()])
    _ = (repr(api.viewer), api.default_entity)


READERS: dict[str, Read] = {
    "rows": lambda api, path: sum(1 for _ in _run(api, path).beta_scan_history()),
    "rows of keys": lambda api, path: list(_run(api, path).beta_scan_history(keys=["loss"])),
    "frame": lambda api, path: _run(api, path).frame(),
    "arrow": lambda api, path: sum(batch.num_rows for batch in _run(api, path).arrow()),
    "sql": lambda api, path: _run(api, path).sql("FROM history").fetchall(),
    "scan_history": lambda api, path: sum(1 for _ in _run(api, path).scan_history()),
    "history": lambda api, path: _run(api, path).history(samples=20, pandas=False),
    "history of keys": lambda api, path: _run(api, path).history(keys=["loss"], pandas=False),
    "keys": lambda api, path: _run(api, path).keys(),
    "best": lambda api, path: _run(api, path).best("loss"),
    "tail": lambda api, path: _run(api, path).frame(tail=5),
    "explain": lambda api, path: str(_run(api, path).explain()),
    "follow": lambda api, path: list(islice(_run(api, path).follow(poll=0.1), 5)),
    "pull": lambda api, path: _run(api, path).pull(),
    "fields": _fields,
    "files": _files,
    "metadata": lambda api, path: _run(api, path).metadata,
    "console": lambda api, path: [str(line) for line in _run(api, path).console_logs()],
    "runs": _list,
    "histories": lambda api, path: api.runs(path.rpartition("/")[0]).histories(format="polars"),
    "scan of runs": lambda api, path: api.runs(path.rpartition("/")[0]).scan(["loss"]).collect(),
    "artifact": _artifact,
    "artifact lists": _artifact_lists,
    "table": lambda api, path: _run(api, path).table("table"),
    "projects": _projects,
}


def log_world(server: RunningServer, folder: Path) -> str:
    """Log a run with every kind of data, and return its path."""
    logged = LoggedRun(server, "run", "fuzz")
    rows = steps(0, 250, text="x", nested={"a": [1, {"b": None}]}, count=1)
    logged.log(*rows)
    kind = {"_type": "table-file", "path": "media/table/t.table.json", "ncols": 2, "nrows": 2}
    logged.summarize({"loss": 0.5, "a": {"b": 2}, "table": kind, "text": "x"})
    lines = [f"2026-01-01T00:00:0{n} line {n}" for n in range(5)]
    logged.stream({"files": {"output.log": {"offset": 0, "content": lines}}})
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    run = api.run(logged.path)
    run.config["lr"] = 0.1
    run.config["layers"] = [1, 2, {"a": None}]
    run.tags = ["a", "b"]
    run.update()
    for name, content in (
        ("wandb-metadata.json", '{"host": "h", "args": ["a"]}'),
        ("media/table/t.table.json", json.dumps(TABLE)),
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        run.upload_file(str(file), str(folder))
    log_artifact(logged, "set", {"a.txt": b"a" * 100, "b/c.txt": b"c"})
    LoggedRun(server, "other", "fuzz").log(*steps(0, 3)).finish()
    logged.close()
    return logged.path


class Recorder:
    """Forwards requests to the backend and its storage, and records the answers."""

    def __init__(self, server: RunningServer, http_client: httpx.Client) -> None:
        self._server = server
        self._http = http_client
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []

    def answer(self, handler: http.server.BaseHTTPRequestHandler, own_url: str) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        name = name_of(handler.command, handler.path, body)
        is_api = handler.command == "POST"
        base = self._server.base_url if is_api else self._server.storage_url
        path = handler.path
        if path.startswith("/api-origin"):
            base, path = self._server.base_url, path.removeprefix("/api-origin")
        asked = {
            key: value
            for key, value in handler.headers.items()
            if key.lower() in {"range", "if-range", "content-type"}
        }
        auth = ("api", self._server.api_key) if base == self._server.base_url else None
        found = self._http.request(
            handler.command, base + path, content=body, headers=asked, auth=auth
        )
        content = found.content
        for origin, place in (
            (self._server.base_url, f"{HOST}/api-origin"),
            (self._server.storage_url, HOST),
        ):
            content = content.replace(origin.encode(), place.encode())
        headers = {key: found.headers[key] for key in PASSED_ON if key in found.headers}
        self.asked.append(name)
        self.answers[name] = {
            "status": found.status_code,
            "headers": headers,
            "content": content.hex(),
        }
        send(handler, found.status_code, headers, content.replace(HOST.encode(), own_url.encode()))


def name_of(method: str, path: str, body: bytes) -> str:
    """Return the key of a request: its operation and variables, or its path."""
    if method == "POST" and path == "/graphql":
        asked = json.loads(body)
        variables = json.dumps(asked.get("variables") or {}, sort_keys=True)
        return f"{asked.get('operationName')} {variables}"
    return f"{method} {urlsplit(path).path}"


def send(
    handler: http.server.BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    content: bytes,
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in headers:
        handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


class Handler(http.server.BaseHTTPRequestHandler):
    """Asks whoever owns the server for the answer."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.owner.answer(self, server.url)

    def do_POST(self) -> None:
        self.do_GET()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing about a client that closes its connection."""


@contextmanager
def serving(owner: Any) -> Iterator[str]:
    """Serve the answers of an object; yield the URL."""
    server = _Server(("127.0.0.1", 0), Handler)
    server.owner = owner  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.url  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def record(folder: Path, place: Path, readers: Iterable[str] = tuple(READERS)) -> None:
    """Log a world to a backend of its own, read it in some ways, and write what was answered."""
    with (
        running_server(folder / "backend", export_rows=100) as server,
        httpx.Client(verify=NO_TLS, trust_env=False) as http_client,
    ):
        path = log_world(server, folder)
        recorder = Recorder(server, http_client)
        asked: dict[str, list[str]] = {}
        with serving(recorder) as url:
            for name in readers:
                recorder.asked = []
                settings = {"base_url": url, "cache_dir": str(folder / "cache" / name)}
                READERS[name](runlake.Api(settings, api_key=API_KEY), path)
                asked[name] = recorder.asked
        place.write_text(json.dumps({"path": path, "asked": asked, "answers": recorder.answers}))
