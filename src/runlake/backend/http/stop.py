"""Cancel work on other threads: wake sleeping threads, shut down sockets that are being read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Stopped(Exception):
    """The work was cancelled; the thread that cancelled it raises the error that users see."""


class Stop:
    """A flag that cancels work, from any thread; once set, it stays set."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._children: set[Stop] = set()

    @contextmanager
    def child(self) -> Iterator[Stop]:
        """Yield a new flag that cancels only a part of the work.

        Setting this flag sets the new flag too. Setting the new flag does not change this flag.
        """
        child = Stop()
        with self._guard:
            self._children.add(child)
        # Check after adding the child: in the other order, a `set` between the two would miss it.
        if self._event.is_set():
            child.set()
        try:
            yield child
        finally:
            with self._guard:
                self._children.discard(child)

    @property
    def is_set(self) -> bool:
        """True once the work was cancelled."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Stopped` if the work was cancelled."""
        if self._event.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``; raise `Stopped` as soon as the work is cancelled."""
        if self._event.wait(seconds):
            raise Stopped

    def set(self) -> None:
        """Cancel the work."""
        self._event.set()
        with self._guard:
            sockets, children = list(self._sockets), list(self._children)
        for one in sockets:
            with suppress(OSError):
                # Not `one.shutdown`: on a TLS socket it drops the TLS session, which the reading
                # thread still uses.
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for child in children:
            child.set()

    @contextmanager
    def watch(self, connection: socket.socket | None) -> Iterator[None]:
        """Within the context, shut down a connection as soon as the work is cancelled."""
        if connection is None:
            yield
            return
        with self._guard:
            self._sockets.add(connection)
        try:
            # Check after adding the socket: in the other order, a `set` between would miss it.
            self.check()
            yield
        finally:
            with self._guard:
                self._sockets.discard(connection)
