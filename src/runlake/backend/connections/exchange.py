"""Request files on one HTTP/1.1 connection; llhttp (package httptools) parses the responses.

httpcore parses with h11, which is written in Python. For a short file, parsing with h11 takes
longer than all other work for the request.
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
        Port of the URL; None if the URL has none.
    target : bytes
        Path and query, escaped.
    headers : sequence of tuple of bytes
        Names and values of all headers.
    timeouts : mapping
        Timeouts by httpcore's names: "connect", "read", "write", "pool".
    read_bytes : int
        Maximum number of bytes to read at once from a body of known length.
    turn : float
        The turn that the rate limiter gave to this request (`Budget.acquire`); 0 without a limit.
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
        """Scheme, host and port; requests with the same origin can use the same connection."""
        return self.scheme, self.host, self.port

    def for_httpcore(self) -> httpcore.Request:
        """Return this request as a request of httpcore."""
        url = httpcore.URL(scheme=self.scheme, host=self.host, port=self.port, target=self.target)
        return httpcore.Request(
            b"GET", url, headers=list(self.headers), extensions={"timeout": self.timeouts}
        )

    def head(self) -> bytes:
        """Return the request line and the headers, as bytes to send.

        Raises
        ------
        httpcore.LocalProtocolError
            If the target or a header contains a line break or a NUL byte.
        """
        lines = [b"GET %b HTTP/1.1" % self.target, *map(b": ".join, self.headers)]
        if ILLEGAL.search(b"".join(lines)):
            raise httpcore.LocalProtocolError("a header contains a line break")
        return b"\r\n".join([*lines, b"", b""])


class FileResponse:
    """A storage host's response: the headers have been read, the body has not.

    Parameters
    ----------
    status : int
        HTTP status.
    http_version : str
        The protocol, such as ``HTTP/1.1``.
    headers : sequence of tuple of bytes
        Names and values of the headers.
    stream : httpcore.NetworkStream
        The connection from which the body is read.
    pieces : iterator of bytes
        The body; each piece is read when it is requested.
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
    """Return headers by lower-case name; the values of a repeated name are joined by commas."""
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
        """The connection's socket; None for TLS through an ``https`` proxy.

        With such a proxy, the bytes that the socket returns are still encrypted.
        """
        found = self._stream.get_extra_info("socket")
        tls = self._stream.get_extra_info("ssl_object")
        return found if isinstance(found, socket.socket) and tls in (None, found) else None

    @property
    def is_available(self) -> bool:
        """True if a request can be sent now.

        This is the case if no request was sent yet, or if the last response was read to its end and
        the host keeps the connection.
        """
        return self._answer is None or self._answer.leaves_open

    @property
    def is_readable(self) -> bool:
        """True if a read would not wait.

        An idle connection then cannot be used: the host has closed it, or has sent bytes that no
        request asked for.
        """
        return bool(self._stream.get_extra_info("is_readable"))

    def send(self, request: FileRequest, close: Callable[[], None]) -> FileResponse:
        """Send a request, read the headers of the response, and return the response.

        Parameters
        ----------
        request : FileRequest
            The request to send.
        close : callable
            Called when the response is closed.
        """
        # A host may answer with an error before it has read the request, and close the connection.
        with suppress(httpcore.WriteError):
            self._stream.write(request.head(), request.timeouts["write"])
        return self.expect(request).read(close)

    def expect(self, request: FileRequest) -> Answer:
        """Return the `Answer` that will parse the response to a request that was just sent."""
        self._answer = Answer(self._stream, request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


class Answer:
    """A storage host's response while it arrives.

    The parser of httptools calls the methods ``on_...``.

    Parameters
    ----------
    stream : httpcore.NetworkStream
        The connection from which the response is read.
    request : FileRequest
        The request; its timeouts and ``read_bytes`` limit each read.
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
        """Read the headers if they have not arrived yet; return the response, whose body is unread.

        Parameters
        ----------
        close : callable
            Called when the response is closed.
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
        """Return whether the headers have arrived and announce a body longer than ``n_bytes``."""
        n_promised = self._n_promised() if self._has_head else None
        return n_promised is not None and n_promised > n_bytes

    @property
    def headers_by_name(self) -> dict[str, str]:
        """The headers of the response, by their names in lower case."""
        return headers_by_name(self.headers)

    @property
    def body(self) -> bytes:
        """The part of the body that `feed` has received; the response of `read` has it too."""
        return b"".join(self._pieces)

    @property
    def leaves_open(self) -> bool:
        """True if the response was read to its end, and the connection can be used again."""
        return self.is_complete and self._is_kept and not self._has_surplus

    def on_message_begin(self) -> None:
        """Record whether bytes have arrived after the end of the response."""
        self._has_surplus = self.is_complete

    def on_header(self, name: bytes, content: bytes) -> None:
        """Add a header of the response."""
        # Ignore trailers, and headers of a response that no request asked for.
        if not self._has_head:
            self.headers.append((name, content))

    def on_headers_complete(self) -> None:
        """Record the status and the HTTP version, unless the response is informational (1xx)."""
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
        """Record the end of the response, unless the response was only informational."""
        self.is_complete = self._has_head

    def _read_head(self) -> None:
        """Read from the connection until the headers are complete."""
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
        """Yield the body in pieces."""
        n_bytes = self._n_promised()
        if n_bytes is None:
            yield from self._parsed_body()
        else:
            self._parser = None
            yield from self._plain_body(n_bytes)

    def _n_promised(self) -> int | None:
        """Return the body's length from the headers.

        Return None if the headers do not state it, or if the body has already arrived: the body is
        then taken from the parser.
        """
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
            # Ask for one byte more, to detect bytes after the end of the response.
            piece = self._stream.read(min(left + 1, self._read_bytes), self._timeout)
            if not piece:
                raise httpcore.RemoteProtocolError(f"{left} bytes of the body are missing")
            if len(piece) > left:
                self._has_surplus, piece = True, piece[:left]
            left -= len(piece)
            self.is_complete = not left
            yield piece

    def _parsed_body(self) -> Iterator[bytes]:
        """Yield a body that the parser decodes.

        The parser is needed for a body that arrived together with the headers, is chunked, or ends
        when the host closes the connection.
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
            # Bytes after the end of the response.
            self._has_surplus = True
        if self.is_complete:
            self._parser = None
