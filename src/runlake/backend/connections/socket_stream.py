"""A socket with the interface that httpcore uses for connections."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from typing import Any

import httpcore


class SocketStream(httpcore.NetworkStream):
    """An open connection, with or without TLS.

    Parameters
    ----------
    connection : socket.socket
        The connection; it may be in non-blocking mode until the first read or write.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Wait until bytes arrive, and return at most ``max_bytes`` of them."""
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Return a property of the connection by its name in httpcore; None for an unknown name.

        The known names are ``socket``, ``ssl_object`` and ``is_readable``.
        """
        if info == "socket":
            return self._socket
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return self._is_readable() if info == "is_readable" else None

    def _is_readable(self) -> bool:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            return True
        if not hasattr(select, "poll"):
            return bool(select.select([descriptor], [], [], 0)[0])
        # Unlike `select`, it can wait for descriptors above 1,023.
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
