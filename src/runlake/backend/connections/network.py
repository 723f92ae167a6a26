"""Connections that keep to the patience of a request, and errors that show no secret."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import httpcore
import httpx

from runlake.backend.connections.pace import Patience

WRITE_BYTES = 1 << 16
LOCATION = "location"
T = TypeVar("T")
Raised = TypeVar("Raised", bound=BaseException)


class PatientStream(httpcore.NetworkStream):
    """A connection whose reads and writes are measured against a `Patience`.

    Parameters
    ----------
    stream : httpcore.NetworkStream
        Does the work.
    seconds : float
        Timeout where the HTTP library asks for none, as in the handshake with a SOCKS proxy.
    """

    def __init__(self, stream: httpcore.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._is_below_tls = False

    def __del__(self) -> None:
        # httpcore leaves a connection open whose handshake with a SOCKS proxy failed. An interrupt
        # that meets the constructor leaves an object without attributes.
        with suppress(AttributeError):
            if not self._is_below_tls:
                self._stream.close()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, so many bytes at most."""

        def receive(seconds: float) -> tuple[bytes, int]:
            content = self._stream.read(max_bytes, seconds)
            return content, len(content)

        return self._measured(receive, timeout, httpcore.ReadTimeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes, in pieces, because the library times each attempt to send some."""
        for start in range(0, len(buffer), WRITE_BYTES):
            piece = buffer[start : start + WRITE_BYTES]

            def send(seconds: float, piece: bytes = piece) -> tuple[None, int]:
                self._stream.write(piece, seconds)
                return None, len(piece)

            self._measured(send, timeout, httpcore.WriteTimeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return the connection with TLS."""
        seconds = self._seconds if timeout is None else float(timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, seconds)
        # TLS within the TLS of a proxy goes on with the same socket.
        self._is_below_tls = True
        return PatientStream(stream, self._seconds)

    def get_extra_info(self, info: str) -> Any:
        """Return what the library wants to know about the connection."""
        return self._stream.get_extra_info(info)

    def _measured(
        self,
        operation: Callable[[float], tuple[T, int]],
        timeout: float | None,
        late: type[httpcore.TimeoutException],
    ) -> T:
        if not isinstance(timeout, Patience):
            return operation(self._seconds if timeout is None else timeout)[0]
        seconds = timeout.seconds_left
        if seconds <= 0:
            raise late(timeout.reason)
        started = time.monotonic()
        try:
            result, n_bytes = operation(seconds)
        except httpcore.TimeoutException as error:
            raise late(timeout.reason) from error
        timeout.note(n_bytes, time.monotonic() - started)
        return result


class PatientBackend(httpcore.SyncBackend):
    """Opens such connections.

    Parameters
    ----------
    seconds : float
        As for `PatientStream`.
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
        """Open a connection."""
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return PatientStream(stream, self._seconds)


class Transport(httpx.HTTPTransport):
    """The connections to one proxy, or to all hosts without.

    Parameters
    ----------
    verify : ssl.SSLContext or bool
        Which certificates to trust.
    proxy : httpx.Proxy or None
        Whom to send every request to.
    http2 : bool
        Speak HTTP/2 where the host does.
    max_connections : int or None
        At once; no bound if None.
    seconds : float
        As for `PatientStream`.
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
        # httpcore takes one, and httpx 0.28 has no argument to hand it on.
        self._pool._network_backend = PatientBackend(seconds)  # noqa: SLF001

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; whatever goes wrong is an `httpx.TransportError` without frames.

        Where a redirect leads is in the extension `LOCATION` of the response.
        """
        try:
            response = super().handle_request(request)
        except httpx.TransportError as error:
            raise without_frames(error) from error.__cause__
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer
            # What libraries below raise for a host name that is none, or a proxy that speaks no
            # SOCKS, is of many classes.
            failed = httpx.TransportError(f"{type(error).__name__}: {error}")
            raise failed from without_frames(error)
        except BaseException as error:
            without_frames(error)
            raise
        # httpx builds the request that a redirect asks for, followed or not, and some fail there.
        response.extensions[LOCATION] = response.headers.pop("location", "")
        return response


def without_frames(error: Raised) -> Raised:
    """Return an error, and those behind it, without the frames that it came through.

    Below the seam the local variables of nearly all frames hold the request's headers, and
    tracebacks that show local variables would show the API key.
    """
    behind: BaseException | None = error
    seen: set[int] = set()
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__
    return error
