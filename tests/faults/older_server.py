"""A proxy that acts as a server with an older schema: it refuses documents as such servers do."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from graphql import GraphQLArgument, GraphQLError, GraphQLSchema, parse, validate
from tests.server_process import NO_TLS, RunningServer

from runlake.server.graphql.schema import load_schema


class OlderServer(http.server.ThreadingHTTPServer):
    """Answers as the real server does, except for fields that were removed from its schema."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, server: RunningServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = server.base_url
        self.base_url = f"http://127.0.0.1:{self.server_port}"
        self.http = httpx.Client(verify=NO_TLS, trust_env=False, timeout=30)
        self.documents: list[str] = []
        self.schema: GraphQLSchema = load_schema()
        self.schema._validation_errors = []
        self._taken: list[tuple[dict[str, Any], str, Any]] = []
        self.has()

    def has(self) -> None:
        """Restore the whole schema."""
        while self._taken:
            place, name, taken = self._taken.pop()
            place[name] = taken
        self.status = 200
        self.word: Callable[[str], str] = str
        self.translate: Callable[[bytes], bytes] = bytes
        self.n_refused = 0
        self.documents.clear()

    def lacks(self, *fields: str) -> None:
        """Take fields out of the schema, ``Run.parquetHistory``, or arguments, ``Run.files.names``.

        What an interface lacks its implementations lack too.
        """
        for field in fields:
            kind, name, *argument = field.split(".")
            known: dict[str, Any] = self.schema.type_map
            types = [known[kind]]
            if kind == "ArtifactCollection":
                types += self.schema.get_possible_types(types[0])
            for one in types:
                if argument:
                    self._take(one.fields[name].args, argument[0])
                else:
                    self._take(one.fields, name)

    def _take(self, place: dict[str, Any], name: str) -> None:
        self._taken.append((place, name, place.pop(name)))

    def calls_large_integers_int(self) -> None:
        """Remove the type for integers beyond 32 bits."""
        self._take(self.schema.type_map, "Int64")
        types: dict[str, Any] = self.schema.type_map
        arguments = types["Run"].fields["history"].args
        for name in ("minStep", "maxStep"):
            self._take(arguments, name)
            arguments[name] = GraphQLArgument(types["Int"])
        self.translate = lambda content: content.replace(b"Step: Int!", b"Step: Int64!")

    def refusals(self, text: str) -> list[str]:
        try:
            problems = validate(self.schema, parse(text))
        except GraphQLError as error:
            problems = [error]
        return [problem.message for problem in problems]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: OlderServer

    def do_POST(self) -> None:
        older = self.server
        content = self.rfile.read(int(self.headers["Content-Length"]))
        body: dict[str, Any] = json.loads(content)
        older.documents.append(body["query"])
        refusals = older.refusals(body["query"])
        if refusals:
            older.n_refused += 1
            errors = [{"message": older.word(text)} for text in refusals]
            self._send(older.status, json.dumps({"errors": errors}).encode())
            return
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        content = older.translate(content)
        answer = older.http.post(older.backend + self.path, content=content, headers=headers)
        self._send(answer.status_code, answer.content)

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def older_server(server: RunningServer) -> Iterator[OlderServer]:
    older = OlderServer(server)
    thread = threading.Thread(target=older.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield older
    finally:
        older.shutdown()
        thread.join()
        older.server_close()
        older.http.close()
