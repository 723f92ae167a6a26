"""Object storage on loopback, for tests: moto's server, with the bytes of all answers counted."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "lakes"


@dataclass
class Traffic:
    """Requests to the storage, in the order in which they were answered."""

    requests: list[tuple[str, str, int]] = field(default_factory=list)
    n_begun: int = 0

    def note(self, method: str, path: str, n_bytes: int) -> None:
        self.requests.append((method, path, n_bytes))

    def n_bytes(self, suffix: str = "") -> int:
        """Return the bytes of the bodies that were sent for GETs of objects."""
        return sum(size for _, _, size in self.of("GET", suffix))

    def of(self, method: str, suffix: str = "") -> list[tuple[str, str, int]]:
        return [one for one in self.requests if one[0] == method and one[1].endswith(suffix)]


class CountingServer(ThreadedMotoServer):
    """moto's server on a free port of loopback."""

    def __init__(self) -> None:
        super().__init__(ip_address="127.0.0.1", port=0, verbose=False)
        self.traffic = Traffic()

    def _server_entry(self) -> None:
        app = self._counted(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(
            self._ip_address, self._port, app, threaded=True, request_handler=Silent
        )
        self._server_ready_event.set()
        self._server.serve_forever()

    def _counted(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: Mapping[str, Any], start_response: Any) -> Iterator[bytes]:
            self.traffic.n_begun += 1
            n_bytes = 0
            try:
                for part in app(environ, start_response):
                    n_bytes += len(part)
                    yield part
            finally:
                self.traffic.note(environ["REQUEST_METHOD"], environ["PATH_INFO"], n_bytes)

        return answer


class Silent(WSGIRequestHandler):
    """Writes no log."""

    def log(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class Storage:
    """A bucket on loopback.

    Parameters
    ----------
    endpoint : str
        Root of the server.
    traffic : Traffic
        What was requested so far.
    """

    endpoint: str
    traffic: Traffic

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs find the storage."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    @contextlib.contextmanager
    def counted(self) -> Iterator[Traffic]:
        """Yield the traffic of the block alone, which is complete when the block has ended."""
        seen = Traffic()
        self._wait_for_answers()
        start = len(self.traffic.requests)
        yield seen
        self._wait_for_answers()
        seen.requests += self.traffic.requests[start:]

    def _wait_for_answers(self) -> None:
        # A client has the last byte of an answer before the server has noted it.
        while len(self.traffic.requests) < self.traffic.n_begun:
            time.sleep(0.001)


@contextlib.contextmanager
def running_storage() -> Iterator[Storage]:
    """Run object storage with an empty bucket ``lakes``."""
    server = CountingServer()
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()
        yield Storage(endpoint, server.traffic)
    finally:
        server.stop()
