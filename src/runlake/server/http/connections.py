"""HTTP connections with deadlines for headers and responses, and a limit of their number.

uvicorn's own limits do not suffice: it waits without limit for the end of headers, and answers HTTP
503 to everybody once there are too many connections. Here the oldest connection without a request
is closed instead, so that silent connections lock nobody out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
else:
    # With the parser httptools if it is installed, else with h11.
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as HttpProtocol

MAX_HEADERS = 1 << 16
# Bytes per second that a body must have on average, after its first seconds.
SLOWEST = 16_384
# Key in the scope of a request whose body arrives too slowly; the application answers it.
IS_LATE = "runlake.is_late"


class Waiting:
    """Keeps the limits of a server's connections, and a list of connections without a request.

    Parameters
    ----------
    max_connections : int
        Number of connections that may be open. Above it, the oldest connection without a request is
        closed.
    header_timeout : float
        Seconds until the headers of a request must be complete, counted from the first byte of the
        request or from the start of the connection.
    body_timeout : float
        Seconds that the server waits while a client sends nothing of a body, or receives nothing of
        a response.
    """

    def __init__(self, max_connections: int, header_timeout: float, body_timeout: float) -> None:
        self.max_connections = max_connections
        self.header_timeout = header_timeout
        self.body_timeout = body_timeout
        self.oldest_first: dict[BoundedConnection, None] = {}

    def protocol(self) -> type[BoundedConnection]:
        """Return a class of connections with these limits, for uvicorn's option ``http``."""
        # uvicorn creates its connections itself, with arguments of its own.
        return type("Connection", (BoundedConnection,), {"waiting": self})


class BoundedConnection(HttpProtocol):
    """A connection that is closed if its client keeps the server waiting for too long."""

    waiting: Waiting

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_headers = 0
        self._headers = _Deadline(self.loop, self.drop)
        self._answer = _Deadline(self.loop, self._abort)
        self._body = _Deadline(self.loop, self._refuse_body)
        self._body_start = 0.0
        self._n_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; if there are too many, close the oldest idle connection."""
        super().connection_made(transport)
        waiting = self.waiting
        if len(self.connections) > waiting.max_connections and waiting.oldest_first:
            next(iter(waiting.oldest_first)).drop()
        waiting.oldest_first[self] = None
        self._headers.start(waiting.header_timeout)

    def data_received(self, data: bytes) -> None:
        """Process received bytes; the deadline for headers ends when the headers are complete."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self.waiting.oldest_first.pop(self, None)
            self._headers.end()
            self._n_headers = 0
            self._await_body(len(data)) if cycle.more_body else self._body.end()
        elif not self.transport.is_closing():
            self._headers.start(self.waiting.header_timeout)
            self._n_headers += len(data)
            if self._n_headers > MAX_HEADERS:
                self.drop()

    def on_response_complete(self) -> None:
        """Wait for the next request; close the connection if the client still sends a body."""
        # With pipelining, `cycle` may be of a later request, which is not answered yet.
        is_unread = self.cycle.response_complete and self.cycle.more_body
        super().on_response_complete()
        if is_unread:
            self.transport.close()
        elif self.cycle.response_complete and self in self.connections:
            self.waiting.oldest_first[self] = None

    def pause_writing(self) -> None:
        """Start the deadline for a client that does not read its response."""
        super().pause_writing()
        self._answer.start(self.waiting.body_timeout)

    def resume_writing(self) -> None:
        """End the deadline that `pause_writing` started."""
        super().resume_writing()
        self._answer.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all deadlines of the connection, which is closed."""
        self.waiting.oldest_first.pop(self, None)
        for deadline in (self._headers, self._body, self._answer):
            deadline.end()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close this connection immediately; it must not have a request that is being answered."""
        self.waiting.oldest_first.pop(self, None)
        # Here, because asyncio calls `connection_lost` later: until then it would count as open.
        self.connections.discard(self)
        self.transport.abort()

    def _await_body(self, n_bytes: int) -> None:
        now = self.loop.time()
        if not self._body.is_running:
            self._body_start, self._n_body = now, 0
        self._n_body += n_bytes
        patience = self.waiting.body_timeout
        late = self._body_start + patience + self._n_body / SLOWEST
        self._body.end()
        self._body.start(min(patience, late - now))

    def _refuse_body(self) -> None:
        if self.flow.read_paused:
            # The client is not slow: the server stopped reading until the request has its turn.
            self._body.end()
            self._await_body(0)
            return
        cast("dict[str, Any]", self.cycle.scope)[IS_LATE] = True
        self.cycle.message_event.set()

    def _abort(self) -> None:
        self.transport.abort()


class _Deadline:
    """Calls a function after some seconds, unless `end` is called before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
        self._loop = loop
        self._act = act
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """Whether the deadline was started and has not ended."""
        return self._timer is not None

    def start(self, seconds: float) -> None:
        """Start the deadline, if it is not running."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._act)

    def end(self) -> None:
        """End the deadline; the function is then not called."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
