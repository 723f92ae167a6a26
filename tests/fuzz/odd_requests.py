"""HTTP requests with odd methods, paths, headers and bodies, for every route of the backend."""

from __future__ import annotations

import base64
import json
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tests.fuzz.known_faults import BODIES, known_documents
from tests.fuzz.odd_documents import World, known_request, request_for, targets
from tests.fuzz.odd_values import (
    DIGITS,
    NUMBERS,
    OTHERS,
    TEXTS,
    any_value,
    odd_json,
    odd_text,
)
from tests.http_artifacts import COMMIT, CREATE, CREATE_MANIFEST
from tests.server_process import RunningServer

DEADLINE_SECONDS = 60.0
METHODS = ("GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE", "X")
ROUTES = (
    "/graphql",
    "/files/{e}/{p}/{r}/file_stream",
    "/healthz",
    "/ready",
    "/artifacts/{e}/{t}",
    "/artifactsV2/{t}/{e}/{p}/{t}/{t}",
    "/artifactsV2/{t}/{e}//{t}/{t}",
    "/{e}/{p}/runs/{r}",
    "/storage/{t}",
    "/{t}",
)
RANGES = (
    "bytes=0-0",
    "bytes=-1",
    "bytes=5-1",
    f"bytes={DIGITS}-",
    f"bytes=0-{DIGITS}",
    "bytes=" + "0-0," * 500 + "0-0",
    "bytes=x-y",
    "bytes=,",
    "x=1",
    "bytes=\u00e9".encode().decode("latin-1"),
)
STREAM_FILES = ("wandb-history.jsonl", "wandb-events.jsonl", "output.log", "wandb-summary.json")
CREATE_RUN_FILES = """
mutation($e: String!, $p: String!, $r: String!, $f: [String!]!) {
  createRunFiles(input: {entityName: $e, projectName: $p, runName: $r, files: $f}) {
    files { name uploadUrl }
  }
}
"""
RUN_FILES = """
query($e: String!, $p: String!, $r: String!, $f: [String]) {
  project(name: $p, entityName: $e) {
    run(name: $r) { files(names: $f) { edges { node { name directUrl md5 } } } }
  }
}
"""


@dataclass
class Sent:
    """One request, to be shown when it fails."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        shown = {name: value[:80] for name, value in self.headers.items()}
        return f"{self.method} {self.target[:300]} {shown} {self.body[:3_000]!r}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def send(origin: str, sent: Sent) -> Answer:
    """Send a request as it is, without the checks of an HTTP client."""
    host = urlsplit(origin)
    head = [f"{sent.method} {sent.target} HTTP/1.1", f"Host: {host.netloc}", "Connection: close"]
    headers = {"Content-Length": str(len(sent.body)), **sent.headers}
    head += [f"{name}: {value}" for name, value in headers.items()]
    message = "\r\n".join((*head, "", "")).encode("latin-1", "replace") + sent.body
    received = bytearray()
    with socket.create_connection((host.hostname, host.port), timeout=DEADLINE_SECONDS) as line:
        try:
            line.sendall(message)
            while piece := line.recv(1 << 16):
                received += piece
        except ConnectionError:
            # A server may refuse a request before it has read it.
            pass
    first = bytes(received[:20]).split(b" ")
    head_end = received.find(b"\r\n\r\n")
    status = int(first[1]) if len(first) > 1 else 0
    return Answer(status, bytes(received[head_end + 4 :]))


class Sender:
    """Sends odd requests to a server, and keeps those that it answered with a fault of its own."""

    def __init__(self, server: RunningServer, world: World) -> None:
        self._server = server
        self.world = world
        self.n_requests = 0
        self.faults: list[str] = []
        token = base64.b64encode(f"api:{server.api_key}".encode()).decode()
        self._key = {"Authorization": f"Basic {token}"}

    def try_seed(self, seed: int) -> None:
        """Send the requests of a seed."""
        rng = random.Random(seed)
        kind = rng.random()
        if kind < 0.5:
            self._graphql(request_for(rng, self.world, targets()[seed % len(targets())]))
        elif kind < 0.65:
            self._graphql(known_request(rng, self.world))
        elif kind < 0.7:
            self._ask(self._server.base_url, Sent("POST", "/graphql", self._key, odd_body(rng)))
        elif kind < 0.8:
            self._stream(rng)
        elif kind < 0.84:
            self._upload(rng)
        elif kind < 0.88:
            self._log_artifact(rng)
        else:
            self._route(rng)

    def try_known(self) -> None:
        """Send the requests that once ended in a fault of the server."""
        places = [self.world.plain[name][0] for name in PLACES.values()]
        for query, value in known_documents(*places):
            self._graphql({"query": query, "variables": {"v": value}})
        for body in BODIES:
            self._ask(self._server.base_url, Sent("POST", "/graphql", self._key, body))
        for value in AUTHORIZATIONS:
            for method, target in (
                ("POST", "/graphql"),
                ("GET", f"/artifacts/{places[0]}/{'0' * 32}"),
            ):
                sent = Sent(method, target, {"Authorization": value}, b"{}")
                self._ask(self._server.base_url, sent)
        for expires in (DIGITS, "-1", "x", "%D9%A1"):
            target = f"/storage/files/1/a?expires={expires}&signature=x"
            self._ask(self._server.storage_url, Sent("GET", target))

    def _ask(self, origin: str, sent: Sent) -> Answer:
        self.n_requests += 1
        answer = send(origin, sent)
        if not 200 <= answer.status < 500:
            self.faults.append(f"{answer.status} {answer.body[:300]!r}\n  {sent}")
        return answer

    def _graphql(self, body: Any) -> Any:
        content = json.dumps(body).encode()
        return self._ask(self._server.base_url, Sent("POST", "/graphql", self._key, content)).json()

    def _names(self, rng: random.Random) -> dict[str, str]:
        plain = {key: rng.choice(self.world.plain[name]) for key, name in PLACES.items()}
        if rng.random() < 0.5:
            plain[rng.choice(list(plain))] = odd_text(rng)
        return plain

    def _route(self, rng: random.Random) -> None:
        template = rng.choice(ROUTES)
        names = {**self._names(rng), "t": odd_text(rng)}
        if rng.random() < 0.1:
            names["t"] = rng.choice(("%ff%fe", "%", "%zz", "%00", "%2e%2e", "a%0d%0ab"))
        safe = "%" if rng.random() < 0.5 else ""
        names = {key: quote(name, safe, errors="surrogatepass") for key, name in names.items()}
        target = template.format(**names)
        if rng.random() < 0.5:
            expires = rng.choice((DIGITS, "-1", "\u0661", "1e9", "x", "99999999999"))
            query = {"expires": expires, "signature": odd_text(rng), "md5": odd_text(rng)}
            target += "?" + "&".join(
                f"{key}={quote(value, errors='surrogatepass')}" for key, value in query.items()
            )
        origin = rng.choice((self._server.base_url, self._server.storage_url))
        self._ask(origin, Sent(rng.choice(METHODS), target, self._headers(rng), odd_body(rng)))

    def _headers(self, rng: random.Random) -> dict[str, str]:
        headers = {} if rng.random() < 0.3 else dict(self._key)
        if rng.random() < 0.3:
            headers["Authorization"] = rng.choice(AUTHORIZATIONS)
        for name, values in HEADERS.items():
            if rng.random() < 0.2:
                headers[name] = rng.choice(values)
        return headers

    def _stream(self, rng: random.Random) -> None:
        target = "/files/{e}/{p}/{r}/file_stream".format(
            **{key: quote(name, "", errors="replace") for key, name in self._names(rng).items()}
        )
        body = odd_stream(rng)
        content = odd_body(rng) if rng.random() < 0.1 else json.dumps(body).encode()
        headers = dict(self._key)
        if rng.random() < 0.2:
            headers["Content-Encoding"] = rng.choice(HEADERS["Content-Encoding"])
        self._ask(self._server.base_url, Sent("POST", target, headers, content))

    def _upload(self, rng: random.Random) -> None:
        plain = {key: self.world.plain[name][0] for key, name in PLACES.items()}
        names = [rng.choice(FILE_NAMES) if rng.random() < 0.5 else odd_text(rng) for _ in range(2)]
        answer = self._graphql({"query": CREATE_RUN_FILES, "variables": {**plain, "f": names}})
        files = ((answer or {}).get("data") or {}).get("createRunFiles") or {}
        for file in files.get("files", ()):
            self._ask_storage(file["uploadUrl"], "PUT", {}, rng.choice((b"", b"x", b"{}")))
        answer = self._graphql({"query": RUN_FILES, "variables": {**plain, "f": names}})
        for url in _direct_urls(answer):
            for method in ("GET", "HEAD"):
                headers = {
                    name: rng.choice(HEADERS[name])
                    for name in ("Range", "If-None-Match", "If-Range")
                    if rng.random() < 0.5
                }
                self._ask_storage(url, method, headers, b"")

    def _log_artifact(self, rng: random.Random) -> None:
        """Log a version whose manifest is odd."""
        entity, project, run = (self.world.plain[name][0] for name in PLACES.values())
        place = {"entityName": entity, "projectName": project, "runName": run}
        kind = {"artifactTypeName": "dataset", "artifactCollectionName": "odd"}
        digest = rng.choice(("", "d", "64e7c61456b10382e2f3b571ac24b659", odd_text(rng)))
        answer = self._mutate(CREATE, {**place, **kind, "digest": digest})
        artifact = (answer.get("createArtifact") or {}).get("artifact")
        if artifact is None:
            return
        announced = {"name": "wandb_manifest.json", "digest": "", "type": rng.choice(MANIFESTS)}
        answer = self._mutate(CREATE_MANIFEST, {**place, **announced, "artifactID": artifact["id"]})
        manifest = (answer.get("createArtifactManifest") or {}).get("artifactManifest")
        if manifest is not None:
            self._ask_storage(manifest["file"]["uploadUrl"], "PUT", {}, odd_manifest(rng))
        variables = {"artifactID": artifact["id"]}
        self._graphql({"query": COMMIT, "variables": variables})

    def _mutate(self, query: str, given: Any) -> Any:
        answer = self._graphql({"query": query, "variables": {"input": given}}) or {}
        return answer.get("data") or {}

    def _ask_storage(self, url: str, method: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        sent = Sent(method, f"{parts.path}?{parts.query}", headers, body)
        self._ask(self._server.storage_url, sent)


PLACES = {"e": "entityName", "p": "projectName", "r": "runName"}
FILE_NAMES = ("a", "a/b", "a/b/c", "./c.txt", "c.txt", "x" * 180, "d/" * 1_500 + "e", "A", "a.")
MANIFESTS = ("FULL", "PATCH", "INCREMENTAL", "DISTRIBUTED")
AUTHORIZATIONS = (
    "",
    "Basic",
    "Basic \u00e9",
    "Basic " + "A" * 50_000,
    "Basic " + base64.b64encode(b"api:\xff\xfe").decode(),
    "Basic " + base64.b64encode("api:\u00e9\0".encode()).decode(),
    "Basic =",
    "Bearer x",
    "\u00ff\u00fe",
)
HEADERS = {
    "Range": RANGES,
    "If-None-Match": ("*", '""', "W/", "\u00e9", '"x"'),
    "If-Range": ('"x"', "Thu, 01 Jan 1970 00:00:00 GMT", "x"),
    "Content-Type": ("application/json", "text/plain; charset=nope", "multipart/form-data", ""),
    "Content-Encoding": ("gzip", "br", "deflate", "identity", "gzip, gzip", ""),
    "Accept-Encoding": ("gzip", "*;q=0", "\u00e9"),
    "Content-Length": ("0", "-1", "x", "1"),
    "Transfer-Encoding": ("chunked", "gzip"),
    "Upgrade": ("websocket", "h2c"),
    "X-Forwarded-For": ("\u00e9",),
}


def _direct_urls(answer: Any) -> Iterator[str]:
    project = ((answer or {}).get("data") or {}).get("project") or {}
    for edge in ((project.get("run") or {}).get("files") or {}).get("edges", ()):
        yield edge["node"]["directUrl"]


def odd_body(rng: random.Random) -> bytes:
    """Return the body of a request: JSON of any kind, or no JSON."""
    choice = rng.randrange(6)
    if choice == 0:
        return rng.choice((b"", b"\xff\xfe", b"{", b"\0" * 100, b'{"query":', b"\x1f\x8b"))
    if choice == 1:
        return odd_json(rng).encode("utf-8", "surrogatepass")
    if choice == 2:
        return json.dumps(any_value(rng)).encode()
    if choice == 3:
        text = rng.choice(QUERIES)
        return json.dumps({"query": text, "variables": any_value(rng)}).encode()
    if choice == 4:
        body = {"query": "query A { viewer { id } } query B { viewer { name } }"}
        return json.dumps({**body, "operationName": any_value(rng)}).encode()
    return json.dumps([{"query": "{ viewer { id } }"}] * rng.randrange(3)).encode()


QUERIES: tuple[Any, ...] = (
    *OTHERS,
    *TEXTS[:8],
    "{ viewer { id } }",
    "subscription { viewer { id } }",
    "{ __schema { types { name fields { name } } } }",
    "fragment A on User { ...A } { viewer { ...A } }",
    "{" * 3_000,
    "{ viewer" * 500 + "}" * 500,
    "{ project(name: " + "[" * 3_000 + ") { id } }",
    "query($a: " + "[" * 2_000 + "Int" + "]" * 2_000 + ") { viewer { id } }",
    "{ " + "viewer { id } " * 2_000 + "}",
    '{ project(name: "\\uD800") { id } }',
    '{ project(name: "a\0b") { id } }',
    "{ entity(name: 1e5) { id } }",
    "type A { b: Int }",
    "query($f: Int = 99999999999) { viewer { id } }",
    "{ viewer { id @skip(if: 1) } }",
)


def odd_manifest(rng: random.Random) -> bytes:
    """Return the content of a manifest, or nearly."""
    if rng.random() < 0.2:
        return odd_body(rng)
    entry: Any = {"digest": "MTIz", "ref": "s3://a/b", "size": 1}
    entry[rng.choice(list(entry))] = any_value(rng)
    contents: Any = {odd_text(rng): rng.choice((entry, entry, any_value(rng)))}
    manifest = {"version": 1, "contents": contents if rng.random() < 0.9 else any_value(rng)}
    return json.dumps(manifest).encode()


def odd_stream(rng: random.Random) -> Any:
    """Return the body of a file-stream request."""
    body: dict[str, Any] = {}
    if rng.random() < 0.9:
        body["files"] = {
            rng.choice(STREAM_FILES): _odd_file(rng) for _ in range(rng.randrange(1, 3))
        }
    if rng.random() < 0.3:
        body["exitcode"] = rng.choice((*NUMBERS, *OTHERS))
    if rng.random() < 0.3:
        body[rng.choice(("complete", "preempting", "uploaded", "dropped", "x"))] = any_value(rng)
    return any_value(rng) if rng.random() < 0.05 else body


def _odd_file(rng: random.Random) -> Any:
    if rng.random() < 0.1:
        return any_value(rng)
    offset = rng.choice((*NUMBERS, *OTHERS)) if rng.random() < 0.3 else rng.randrange(5)
    lines = [_odd_line(rng) for _ in range(rng.randrange(4))]
    return {"offset": offset, "content": any_value(rng) if rng.random() < 0.1 else lines}


def _odd_line(rng: random.Random) -> Any:
    if rng.random() < 0.3:
        return rng.choice((odd_json(rng), odd_text(rng), any_value(rng)))
    row = {"_step": rng.randrange(9), "loss": 0.5}
    row[rng.choice(("_step", "loss", odd_text(rng)))] = any_value(rng)
    return json.dumps(row)
