"""Connections that time out if a transfer is too slow, and errors that show no secret."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore
import httpx

from runlake.backend.connections.exchange import LOCATION, FileRequest, FileResponse
from runlake.backend.connections.kept import KeptConnections
from runlake.backend.connections.pace import Patience

if TYPE_CHECKING:
    from runlake.backend.connections.multiplexer import Begun

# Small enough that a slow host receives a piece before the timeout, large enough to be fast.
WRITE_BYTES = 1 << 16
HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
SET_COOKIE = "set-cookie"
T = TypeVar("T")
Raised = TypeVar("Raised", bound=BaseException)


class PatientStream(httpcore.NetworkStream):
    """A connection whose reads and writes time out according to a `Patience`.

    Parameters
    ----------
    stream : httpcore.NetworkStream
        The connection itself.
    seconds : float
        Timeout of an operation to which httpcore passes none, such as the handshake with a SOCKS
        proxy.
    """

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._is_below_tls = False
        self._direct = _Direct.of(stream) or stream

    def __del__(self) -> None:
        # httpcore does not close a connection whose handshake with a SOCKS proxy failed. The object
        # may lack attributes: an interrupt can arrive inside the constructor.
        with suppress(AttributeError):
            if not self._is_below_tls:
                self._stream.close()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait until bytes arrive, and return at most ``max_bytes`` of them."""
        if not isinstance(timeout, Patience):
            return self._stream.read(max_bytes, self._seconds if timeout is None else timeout)
        seconds = _seconds_of(timeout, httpcore.ReadTimeout)
        started = time.monotonic()
        try:
            content = self._direct.read(max_bytes, seconds)
        except httpcore.TimeoutException as error:
            raise httpcore.ReadTimeout(timeout.reason) from error
        timeout.note(len(content), time.monotonic() - started)
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes, in pieces of `WRITE_BYTES`.

        httpcore applies the timeout to each partial send. So without the division into pieces, the
        time to send all of a large buffer would not be limited.
        """
        if not isinstance(timeout, Patience):
            self._stream.write(buffer, self._seconds if timeout is None else timeout)
            return
        for start in range(0, len(buffer), WRITE_BYTES):
            piece = buffer[start : start + WRITE_BYTES]
            seconds = _seconds_of(timeout, httpcore.WriteTimeout)
            started = time.monotonic()
            try:
                self._direct.write(piece, seconds)
            except httpcore.TimeoutException as error:
                raise httpcore.WriteTimeout(timeout.reason) from error
            timeout.note(len(piece), time.monotonic() - started)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Begin TLS, and return the encrypted connection."""
        seconds = self._seconds if timeout is None else float(timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds)
        # The TLS stream uses this stream's socket (also TLS within a proxy's TLS), so __del__ must
        # not close it.
        self._is_below_tls = True
        return PatientStream(stream, self._seconds)

    def get_extra_info(self, info: str) -> Any:
        """Return a property of the connection by its name in httpcore, such as ``ssl_object``."""
        return self._stream.get_extra_info(info)


class _Direct:
    """Reads and writes a socket as httpcore does, with fewer system calls.

    Setting a socket's timeout is a system call. httpcore sets the timeout for each read and write;
    this class sets it only if it differs from the previous timeout.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def of(cls, stream: httpcore.NetworkStream) -> _Direct | None:
        """Return a `_Direct` for a stream's socket; None for TLS through an ``https`` proxy.

        With such a proxy, the bytes that the socket returns are still encrypted.
        """
        found, tls = stream.get_extra_info("socket"), stream.get_extra_info("ssl_object")
        is_all = isinstance(found, socket.socket) and tls in (None, found)
        return cls(found) if is_all else None

    def read(self, max_bytes: int, seconds: float) -> bytes:
        try:
            self._limit(seconds)
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, seconds: float) -> None:
        try:
            self._limit(seconds)
            while buffer:
                buffer = buffer[self._socket.send(buffer) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def _limit(self, seconds: float) -> None:
        if self._socket.gettimeout() != seconds:
            self._socket.settimeout(seconds)


def _seconds_of(patience: Patience, late: type[httpcore.TimeoutException]) -> float:
    """Return how many seconds the next read or write may wait.

    If no time is left, raise an exception of the class ``late``.
    """
    seconds = patience.seconds_left
    if seconds <= 0:
        raise late(patience.reason)
    return seconds


class PatientBackend(httpcore.SyncBackend):
    """Opens connections for httpcore, as `PatientStream`.

    Parameters
    ----------
    seconds : float
        Default timeout, see `PatientStream`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a TCP connection, and return it as a `PatientStream`."""
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return PatientStream(stream, self._seconds)


class Transport(httpx.HTTPTransport):
    """The connections through one proxy, or to all hosts that need no proxy.

    Parameters
    ----------
    verify : ssl.SSLContext or bool
        Certificates to trust; False trusts every certificate.
    proxy : httpx.Proxy or None
        Proxy for every request.
    http2 : bool
        Use HTTP/2 with hosts that support it.
    max_connections : int or None
        Maximum number of open connections; no limit if None.
    seconds : float
        Default timeout, see `PatientStream`.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | bool,
        proxy: httpx.Proxy | None,
        http2: bool,
        max_connections: int | None,
        seconds: float,
    ) -> None:
        super().__init__(
            verify=verify,
            trust_env=False,
            http2=http2,
            limits=httpx.Limits(max_connections=max_connections),
            proxy=proxy,
        )
        # httpcore's pool has an argument for the backend, but httpx 0.28 does not pass it on.
        self._pool._network_backend = PatientBackend(seconds)  # noqa: SLF001
        self._kept = KeptConnections(self._pool, is_proxied=proxy is not None)
        self._is_proxied = proxy is not None
        self._seconds = seconds

    def close(self) -> None:
        """Close all connections."""
        self._kept.close()
        super().close()

    def get(self, request: FileRequest) -> FileResponse:
        """Send a request for a file, and return the response.

        The request does not pass through httpx. With httpx it would take several times as long,
        because httpx handles cookies, redirects and hooks, and its pool examines all connections.
        Still, any failure raises `httpx.TransportError`.

        Parameters
        ----------
        request : FileRequest
            The request to send.

        Returns
        -------
        FileResponse
            The response, which the caller must close.
        """
        return _failing_as_httpx(lambda: self._kept.send(request))

    def begin(
        self,
        waiting: deque[T],
        request_for: Callable[[T], FileRequest],
        sample: FileRequest,
        *,
        n_connections: int,
        max_bytes: int,
        check: Callable[[], None],
    ) -> Iterator[list[Begun[T]]]:
        """Send many requests to the host of ``sample``, and yield responses; see `Multiplexer`.

        ``waiting`` contains an element per request, and ``request_for`` makes the request for an
        element. If the connections pass through a proxy, no request is sent, and all elements
        remain in ``waiting``.
        """
        if self._is_proxied:
            return
        from runlake.backend.connections.lane import Opener
        from runlake.backend.connections.multiplexer import Multiplexer

        context = self._pool._ssl_context  # noqa: SLF001 - made by httpx from its argument
        opener = Opener(sample, context, lambda stream: PatientStream(stream, self._seconds))
        multiplexer = Multiplexer(waiting, request_for, self._kept, opener, max_bytes=max_bytes)
        yield from multiplexer.run(n_connections, check)

    def resume(self, begun: Begun[T]) -> FileResponse:
        """Return the response to a request that `begin` has sent; for errors see `get`."""
        return _failing_as_httpx(begun.resume)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response; any failure raises `httpx.TransportError`.

        The tracebacks inside httpx are removed from the error, because they could show the API key.
        The target of a redirect is in the response's ``extensions``, under the name `LOCATION`.
        """
        try:
            response = super().handle_request(request)
        except httpx.TransportError as error:
            raise without_frames(error) from error.__cause__
        except Exception as error:  # noqa: BLE001 - callers handle only TransportError
            # The libraries below raise many classes, for example for an invalid host name or a
            # proxy that does not speak SOCKS.
            failed = httpx.TransportError(f"{type(error).__name__}: {error}")
            raise failed from without_frames(error)
        except BaseException as error:
            without_frames(error)
            raise
        # httpx builds the next request of a redirect even with follow_redirects=False, and raises
        # for some locations. Without the header it does not.
        response.extensions[LOCATION] = response.headers.pop("location", "")
        # httpx keeps any cookie, and fails at every later request if it cannot send one.
        if not all(map(_is_sendable, response.headers.get_list(SET_COOKIE))):
            del response.headers[SET_COOKIE]
        return response


def _is_sendable(cookie: str) -> bool:
    return cookie.isascii() and cookie.isprintable()


def _failing_as_httpx(send: Callable[[], FileResponse]) -> FileResponse:
    """Call ``send``, and return its response; all failures are raised as errors of httpx.

    This includes failures while the body is read.
    """
    try:
        response = send()
    except Exception as error:  # noqa: BLE001 - callers handle only TransportError
        raise as_httpx(error) from without_frames(error)
    except BaseException as error:
        without_frames(error)
        raise
    response.pieces = _body_failing_as_httpx(response.pieces)
    return response


def _body_failing_as_httpx(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except Exception as error:  # noqa: BLE001 - callers handle only TransportError
        raise as_httpx(error) from without_frames(error)


def as_httpx(error: Exception) -> httpx.TransportError:
    """Convert an error of httpcore, or of a library below it, to the matching error of httpx."""
    kind = getattr(httpx, type(error).__name__, None)
    if isinstance(error, HTTPCORE_ERRORS) and kind is not None:
        known: httpx.TransportError = kind(str(error))
        return known
    return httpx.TransportError(f"{type(error).__name__}: {error}")


def without_frames(error: Raised) -> Raised:
    """Return an error with the tracebacks of itself and its causes removed.

    Inside httpx the local variables of nearly all frames contain the request's headers, so a
    traceback that shows local variables would show the API key.
    """
    behind: BaseException | None = error
    seen: set[int] = set()
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__
    return error
