"""Requests for files on one HTTP/1.1 connection, parsed by llhttp (the package httptools).

httpcore parses with h11, which is written in Python: for a short file that takes longer than all
other work of the request.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpcore
import httptools

READ_BYTES = 1 << 16
MAX_HEAD_BYTES = 100 << 10  # the limit of httpcore
LOCATION = "location"
# No header may contain these characters (RFC 9110, 5.5): a line break would begin a new header.
ILLEGAL = re.compile(rb"[\r\n\0]")
INFORMATIONAL = range(100, 200)
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A GET request for a file.

    Parameters
    ----------
    scheme, host : bytes
        Scheme and host of the URL.
    port : int or None
        Port of the URL, if it has one.
    target : bytes
        Path and query, escaped.
    headers : sequence of tuple of bytes
        All headers.
    timeouts : mapping
        Timeouts by httpcore's names: "connect", "read", "write", "pool".
    read_bytes : int
        Maximum number of bytes to read at once from a body of known length.
    turn : float
        When the rate limiter gave the turn to send the request; 0 if there is no limit.
    """

    scheme: bytes
    host: bytes
    port: int | None
    target: bytes
    headers: Headers
    timeouts: dict[str, Any]
    read_bytes: int = READ_BYTES
    turn: float = 0.0

    @property
    def origin(self) -> tuple[bytes, bytes, int | None]:
        """Scheme, host and port; requests of one origin can use one connection."""
        return self.scheme, self.host, self.port

    def for_httpcore(self) -> httpcore.Request:
        """Return the same request as an object of httpcore."""
        url = httpcore.URL(scheme=self.scheme, host=self.host, port=self.port, target=self.target)
        return httpcore.Request(
            b"GET", url, headers=list(self.headers), extensions={"timeout": self.timeouts}
        )

    def head(self) -> bytes:
        """Return the bytes of the request.

        Raises
        ------
        httpcore.LocalProtocolError
            If a header contains a line break.
        """
        lines = [b"GET %b HTTP/1.1" % self.target, *map(b": ".join, self.headers)]
        if ILLEGAL.search(b"".join(lines)):
            raise httpcore.LocalProtocolError("a header contains a line break")
        return b"\r\n".join([*lines, b"", b""])


class FileResponse:
    """A storage host's answer whose headers have been read, but not its body.

    Parameters
    ----------
    status : int
        HTTP status.
    http_version : str
        The protocol, such as ``HTTP/1.1``.
    headers : sequence of tuple of bytes
        Names and values.
    stream : httpcore.NetworkStream
        The connection.
    pieces : iterator of bytes
        The body, read while it is iterated.
    close : callable
        Called to end the reading of the body.
    """

    def __init__(
        self,
        status: int,
        http_version: str,
        headers: Headers,
        stream: httpcore.NetworkStream,
        pieces: Iterator[bytes],
        close: Callable[[], None],
    ) -> None:
        self.status_code = status
        self.http_version = http_version
        self.network_stream = stream
        self.pieces = pieces
        self.close = close
        self.headers = headers_by_name(headers)
        self.location = self.headers.pop(LOCATION, "")


def headers_by_name(headers: Headers) -> dict[str, str]:
    """Return headers by lower-case name; the values of a repeated name are joined."""
    found: dict[str, str] = {}
    for raw, content in headers:
        name, text = raw.decode("latin-1").lower(), content.decode("latin-1")
        before = found.get(name)
        found[name] = text if before is None else f"{before}, {text}"
    return found


class FileConnection:
    """An open HTTP/1.1 connection, on which requests are sent one after the other.

    Parameters
    ----------
    stream : httpcore.NetworkStream
        The connection; no other request is under way on it.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._answer: Answer | None = None
        self.idle_since = time.monotonic()

    @property
    def socket(self) -> socket.socket | None:
        """The socket; None if TLS runs in memory above it."""
        found = self._stream.get_extra_info("socket")
        tls = self._stream.get_extra_info("ssl_object")
        return found if isinstance(found, socket.socket) and tls in (None, found) else None

    @property
    def is_available(self) -> bool:
        """True if the last answer was read to its end, and the host keeps the connection open."""
        return self._answer is None or self._answer.leaves_open

    @property
    def is_readable(self) -> bool:
        """True if an idle connection has bytes to read, that is if the host has closed it."""
        return bool(self._stream.get_extra_info("is_readable"))

    def send(self, request: FileRequest, close: Callable[[], None]) -> FileResponse:
        """Send a request and read the headers of the answer.

        Parameters
        ----------
        request : FileRequest
            The request.
        close : callable
            Called when the answer is closed.
        """
        # A host may answer with an error before it has read the request, and close the connection.
        with suppress(httpcore.WriteError):
            self._stream.write(request.head(), request.timeouts["write"])
        return self.expect(request).read(close)

    def expect(self, request: FileRequest) -> Answer:
        """Return an object for the answer to a request that was just sent; no byte was read yet."""
        self._answer = Answer(self._stream, request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


class Answer:
    """An answer while it arrives; the parser of httptools calls the methods ``on_...``.

    Parameters
    ----------
    stream : httpcore.NetworkStream
        The connection.
    request : FileRequest
        The request.
    """

    def __init__(self, stream: httpcore.NetworkStream, request: FileRequest) -> None:
        self.status = 0
        self.http_version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False
        self._stream = stream
        self._timeout = request.timeouts["read"]
        self._read_bytes = request.read_bytes
        self._pieces: list[bytes] = []
        self._has_head = False
        self._has_surplus = False
        self._is_kept = False
        # The parser and this object refer to each other until the parser is dropped.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def read(self, close: Callable[[], None]) -> FileResponse:
        """Read the headers, unless they have arrived already, and return the answer.

        Parameters
        ----------
        close : callable
            Called when the answer is closed.
        """
        self._read_head()
        return FileResponse(
            self.status,
            f"HTTP/{self.http_version}",
            self.headers,
            self._stream,
            self._body(),
            close,
        )

    def is_longer(self, n_bytes: int) -> bool:
        """Return whether the headers have arrived, and announce a body longer than ``n_bytes``."""
        n_promised = self._n_promised() if self._has_head else None
        return n_promised is not None and n_promised > n_bytes

    @property
    def headers_by_name(self) -> dict[str, str]:
        """The headers by their names in lower case."""
        return headers_by_name(self.headers)

    @property
    def body(self) -> bytes:
        """The body, if the whole answer has arrived through `feed`; `read` can be called later."""
        return b"".join(self._pieces)

    @property
    def leaves_open(self) -> bool:
        """True if the answer was read to its end, and the connection can be used again."""
        return self.is_complete and self._is_kept and not self._has_surplus

    def on_message_begin(self) -> None:
        """Record that bytes arrived after the end of the answer."""
        self._has_surplus = self.is_complete

    def on_header(self, name: bytes, content: bytes) -> None:
        """Add a header."""
        # Ignore trailers, and headers of an answer that no request asked for.
        if not self._has_head:
            self.headers.append((name, content))

    def on_headers_complete(self) -> None:
        """Record the status, unless the answer is only informational."""
        if self.is_complete or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status in INFORMATIONAL:
            self.headers = []
            return
        self._has_head = True
        self.http_version = self._parser.get_http_version()
        self._is_kept = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """Add a piece of the body."""
        if not self.is_complete:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Record the end of the answer."""
        self.is_complete = self._has_head

    def _read_head(self) -> None:
        """Read until the headers are complete."""
        n_bytes = 0
        while not self._has_head:
            came = self._stream.read(READ_BYTES, self._timeout)
            n_bytes += len(came)
            if not came:
                raise httpcore.RemoteProtocolError(
                    "Server disconnected without sending a response."
                )
            self.feed(came)
            if n_bytes > MAX_HEAD_BYTES and not self._has_head:
                raise httpcore.RemoteProtocolError("the headers of the answer are too long")

    def _body(self) -> Iterator[bytes]:
        """Yield the body."""
        n_bytes = self._n_promised()
        if n_bytes is None:
            yield from self._parsed_body()
        else:
            self._parser = None
            yield from self._plain_body(n_bytes)

    def _n_promised(self) -> int | None:
        """Return the length of the body; None if only the parser knows where it ends."""
        lengths = [text for name, text in self.headers if name.lower() == b"content-length"]
        is_plain = not self.is_complete and len(lengths) == 1
        return int(lengths[0]) if is_plain else None

    def _plain_body(self, n_bytes: int) -> Iterator[bytes]:
        """Yield a body of known length, read from the connection without the parser."""
        left = n_bytes
        for piece in self._pieces:
            left -= len(piece)
            yield piece
        while left:
            # Ask for one byte more, to detect bytes after the end of the answer.
            piece = self._stream.read(min(left + 1, self._read_bytes), self._timeout)
            if not piece:
                raise httpcore.RemoteProtocolError(f"{left} bytes of the body are missing")
            if len(piece) > left:
                self._has_surplus, piece = True, piece[:left]
            left -= len(piece)
            self.is_complete = not left
            yield piece

    def _parsed_body(self) -> Iterator[bytes]:
        """Yield a body through the parser.

        This is for a body that arrived together with the headers, is chunked, or ends with the
        connection.
        """
        while True:
            pieces, self._pieces = self._pieces, []
            yield from pieces
            if self.is_complete:
                return
            came = self._stream.read(READ_BYTES, self._timeout)
            if came:
                self.feed(came)
            elif any(name.lower() == b"transfer-encoding" for name, _ in self.headers):
                raise httpcore.RemoteProtocolError("the last chunk of the body is missing")
            else:
                self._is_kept, self.is_complete = False, True

    def feed(self, came: bytes) -> None:
        """Parse bytes that were read from the connection.

        Raises
        ------
        httpcore.RemoteProtocolError
            If the bytes are not HTTP.
        """
        if self._parser is None:
            self._has_surplus = True
            return
        try:
            self._parser.feed_data(came)
        except httptools.HttpParserError as error:
            if not self.is_complete:
                raise httpcore.RemoteProtocolError(str(error)) from error
            # Bytes after the end of the answer.
            self._has_surplus = True
        if self.is_complete:
            self._parser = None
