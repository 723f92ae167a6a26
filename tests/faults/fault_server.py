"""A backend and its storage hosts over real sockets, with injected faults.

The server listens on three ports, so three origins: the API, the storage, and a mirror that only
redirects lead to. Without faults it is a plain fast file server, with HEAD, ranges and conditions.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import io
import json
import re
import selectors
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.faults.fault_script import Fault, Seen, StoredObject

RUN_PATH = "team/project/run"
LINK_BYTES = 1 << 16  # written at once if the bandwidth is limited
API_KEY = "0123456789abcdef0123456789abcdef01234567"


class FaultServer:
    """Serves one run whose exports and live rows can be changed at any time."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.exports: list[str] = []
        self.live_rows: list[dict[str, Any]] = []
        self.lists_live_steps = True
        self.run: dict[str, Any] = {"state": "finished", "heartbeatAt": "2026-01-01T00:00:00"}
        self.history_keys: dict[str, Any] = {"lastStep": -1, "keys": {}}
        self.latency = 0.0
        # Of all bodies together; 0 is no limit.
        self.bytes_per_second = 0.0
        # The greatest number of objects that were requested and not yet answered at one time.
        self.most_at_once = 0
        self.signature = 0
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self.is_up = True
        self._has_hung_up = threading.Event()
        self._waker, self._woken = socket.socketpair()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        # What becomes of every request for the last bytes of an object (``bytes=-N``).
        self.suffix_fault: Fault | None = None
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._lock = threading.Lock()
        self._n_asked = 0
        self._link_is_free_at = 0.0
        self._origins = {name: _Listener(self, name) for name in ("api", "storage", "mirror")}
        self.base_url, self.storage_url, self.mirror_url = (
            f"http://127.0.0.1:{listener.server_port}" for listener in self._origins.values()
        )

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._waker.close()
        self._accepting.join()
        self._woken.close()
        for listener in self._origins.values():
            listener.server_close()

    def hang_up(self) -> None:
        """Stop answering at the address of the API, also on open connections."""
        self.is_up = False
        self._waker.send(b"x")
        self._has_hung_up.wait()
        self._origins["api"].server_close()

    def _accept(self) -> None:
        """Accept connections at all ports until the server closes; other threads answer them.

        `serve_forever` of each port would look every few milliseconds whether it should end.
        """
        with selectors.DefaultSelector() as selector:
            for listener in self._origins.values():
                selector.register(listener, selectors.EVENT_READ, listener)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self.closing.is_set():
                for key, _ in selector.select():
                    if key.data is not None:
                        key.data.accept()
                    elif not self.is_up and not self._has_hung_up.is_set():
                        self._woken.recv(1)
                        selector.unregister(self._origins["api"])
                        self._has_hung_up.set()

    def store(self, name: str, content: bytes | Path, *tells: str, age: float = 0.0) -> None:
        """Put an object, or replace it by another version."""
        tells_of = frozenset(tells or ("etag", "date"))
        self.objects[name] = StoredObject(content, tells_of, 1.7e9 - age)

    def offer(self, **exports: bytes | Path) -> None:
        """Make these the exports of the run, in place of all others (a compaction)."""
        for name, content in exports.items():
            self.store(name, content)
        self.exports = list(exports)
        rows = [_count_rows(content) for content in exports.values()]
        self.run["historyLineCount"] = sum(count for count, _ in rows) + len(self.live_rows)
        last = [step for _, step in rows] + [row["_step"] for row in self.live_rows]
        self.history_keys["lastStep"] = max(last, default=-1)

    def fail(self, name: str, *faults: Fault | int) -> None:
        """Set the faults of the next answers for a name; "graphql" is the API."""
        with self._lock:
            self._faults[name] += [Fault(f) if isinstance(f, int) else f for f in faults]

    def url(self, name: str) -> str:
        """Return a new signed URL of an object."""
        self.signature += 1
        return f"{self.storage_url}/exports/{name}?signature=secret{self.signature}"

    def count(self, name: str) -> int:
        """Return how many requests for an object arrived at the storage or its mirror."""
        return sum(seen.path == f"/exports/{name}" for seen in self.seen)

    def n_bytes(self, name: str) -> int:
        """Return how many bytes of an object were sent, without those of refusals."""
        path = f"/exports/{name}"
        return sum(seen.n_bytes for seen in self.seen if seen.path == path and seen.status < 300)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count a request for an object while it waits."""
        with self._lock:
            self._n_asked += 1
            self.most_at_once = max(self.most_at_once, self._n_asked)
        try:
            yield
        finally:
            with self._lock:
                self._n_asked -= 1

    def occupy_link(self, n_bytes: int) -> None:
        """Wait as long as bytes take on a link with the bandwidth that all bodies share."""
        with self._lock:
            start = max(self._link_is_free_at, time.monotonic())
            self._link_is_free_at = start + n_bytes / self.bytes_per_second
            end = self._link_is_free_at
        time.sleep(max(0.0, end - time.monotonic()))

    def next_fault(self, name: str) -> Fault:
        with self._lock:
            faults = self._faults[name]
            return faults.pop(0) if faults else Fault()

    def answer(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Answer any GraphQL query about the run with the fields that it names."""
        entity, project, name = RUN_PATH.split("/")
        rows = [
            json.dumps(row)
            for row in self.live_rows
            if variables.get("minStep", 0) <= row["_step"] < variables.get("maxStep", 2**62)
        ]
        run = {
            "id": "UnVuOjE=",
            "name": name,
            "displayName": name,
            "projectId": "1",
            "config": "{}",
            "summaryMetrics": "{}",
            "tags": [],
            **self.run,
            "historyKeys": self.history_keys,
            "history": rows[: variables.get("pageSize", len(rows))],
            "sampledHistory": self._samples(variables),
            "parquetHistory": {
                "parquetUrls": [self.url(export) for export in self.exports],
                "liveData": [
                    {"_step": row["_step"]} for row in self.live_rows if self.lists_live_steps
                ],
            },
        }
        run = {field: value for field, value in run.items() if re.search(rf"\b{field}\b", query)}
        is_ours = variables.get("name", variables.get("run", name)) == name
        listed = {
            "runCount": 1,
            "runs": {
                "edges": [{"node": run, "cursor": "1"}],
                "pageInfo": {"endCursor": "1", "hasNextPage": False},
            },
        }
        found = {"name": project, "entityName": entity, "run": run if is_ours else None, **listed}
        return {"project": found, "serverInfo": {"features": []}, "viewer": {"entity": entity}}

    def _samples(self, variables: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
        """Return the live rows that have all keys of a specification, for each of them."""
        texts = [*variables.get("specs", []), *filter(None, [variables.get("spec")])]
        samples = []
        for spec in map(json.loads, texts):
            first, last = spec.get("minStep", 0), spec.get("maxStep", 2**62)
            samples.append(
                [
                    {key: row[key] for key in spec["keys"]}
                    for row in self.live_rows
                    if first <= row["_step"] <= last and row.keys() >= set(spec["keys"])
                ]
            )
        return samples or [self.live_rows]


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, faults: FaultServer, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = faults
        self.origin = origin

    def accept(self) -> None:
        """Accept a connection that waits, and answer it in a thread."""
        with contextlib.suppress(OSError):
            self.process_request(*self.get_request())

    def handle_error(self, *_: object) -> None:
        """Print nothing about a client that closes its connection."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        time.sleep(self.server.faults.latency)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_POST(self) -> None:
        faults = self.server.faults
        if not faults.is_up:
            self.close_connection = True
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = faults.next_fault("graphql")
        self._operation = re.findall(r"\b(?:query|mutation) (\w+)", body["query"])[0]
        time.sleep(faults.latency + fault.seconds_before)
        if fault.before:
            fault.before()
        data = faults.answer(body["query"], body.get("variables") or {})
        content = json.dumps({"data": data}).encode() if fault.body is None else fault.body
        headers = {"Content-Type": "application/json", **fault.headers}
        self._send(fault, fault.status or 200, headers, content, 0, len(content))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        faults = self.server.faults
        self._operation = None
        path = urlsplit(self.path).path
        name = path.rsplit("/", 1)[-1]
        fault = faults.next_fault(name)
        if faults.suffix_fault is not None and self.headers.get("Range", "").startswith("bytes=-"):
            fault = faults.suffix_fault
        with faults.asked():
            time.sleep(faults.latency + fault.seconds_before)
        if fault.before:
            fault.before()
        if fault.redirect_to_mirror:
            location = f"{faults.mirror_url}{self.path}"
            self._send(fault, 302, {"Location": location}, b"", 0, 0)
            return
        found = faults.objects.get(name)
        if fault.status or fault.body is not None or found is None:
            content = fault.body or b"no\n"
            status = fault.status or (404 if found is None else 200)
            own = found.headers if found else {}
            self._send(fault, status, {**own, **fault.headers}, content, 0, len(content))
            return
        self._serve(found, fault)

    def _serve(self, found: StoredObject, fault: Fault) -> None:
        headers = {**found.headers, **fault.headers}
        tag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
        asked = self.headers.get
        is_held = tag == asked("If-None-Match") or (date and date == asked("If-Modified-Since"))
        if tag and is_held:
            self._send(fault, 304, headers, b"", 0, 0)
            return
        content, size = found.content, found.size
        if fault.gzipped:
            raw = content if isinstance(content, bytes) else content.read_bytes()
            content = gzip.compress(raw)
            size = len(content)
            headers["Content-Encoding"] = "gzip"
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", asked("Range", ""))
        condition = asked("If-Range")
        if not span or fault.ignores_range or (condition and condition not in {tag, date}):
            self._send(fault, 200, headers, content, 0, size)
            return
        first, last = span.groups()
        start = int(first) if first else max(0, size - int(last))
        stop = min(size, int(last) + 1) if first and last else size
        if start >= stop:
            self._send(fault, 416, {"Content-Range": f"bytes */{size}"}, b"", 0, 0)
            return
        headers.setdefault("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self._send(fault, 206, headers, content, start, stop)

    def _send(
        self,
        fault: Fault,
        status: int,
        headers: Mapping[str, str],
        content: bytes | Path,
        start: int,
        stop: int,
    ) -> None:
        self.send_response(status)
        length = stop - start if fault.promised_length is None else fault.promised_length
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(length))
        limits = [0 if self.command == "HEAD" else stop - start]
        limits += [n for n in (fault.cut_after, fault.stall_after) if n is not None]
        # Before the answer: a client that has one may look at once.
        self._note(status, min(limits))
        self.end_headers()
        self._send_body(fault, content, start, min(limits))

    def _send_body(self, fault: Fault, content: bytes | Path, start: int, n_bytes: int) -> None:
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            if fault.drip:
                n_drop, seconds = fault.drip
                file.seek(start)
                for _ in range(0, n_bytes, n_drop):
                    self.wfile.write(file.read(n_drop))
                    if self.server.faults.closing.wait(seconds):
                        break
            elif n_bytes and self.server.faults.bytes_per_second:
                file.seek(start)
                for offset in range(0, n_bytes, LINK_BYTES):
                    piece = file.read(min(LINK_BYTES, n_bytes - offset))
                    self.server.faults.occupy_link(len(piece))
                    self.wfile.write(piece)
            elif n_bytes and isinstance(content, Path):
                self.connection.sendfile(file, start, n_bytes)
            else:
                file.seek(start)
                self.wfile.write(file.read(n_bytes))
        if fault.stall_after is not None:
            self.server.faults.closing.wait()
        if fault.cut_after is not None or fault.promised_length is not None:
            self.close_connection = True

    def _note(self, status: int, n_bytes: int) -> None:
        seen = Seen(
            self.server.origin,
            self.command,
            urlsplit(self.path).path,
            self._operation,
            self.headers.get("Range"),
            "Authorization" in self.headers,
            status,
            n_bytes,
        )
        self.server.faults.seen.append(seen)


def _count_rows(content: bytes | Path) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    source = pa.BufferReader(content) if isinstance(content, bytes) else content
    steps = pq.read_table(source, columns=["_step"]).column("_step")
    return len(steps), int(pc.max(steps).as_py())
