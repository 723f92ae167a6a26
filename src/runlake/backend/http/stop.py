"""Call work on other threads off: wake what sleeps, and close what waits for the network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Stopped(Exception):
    """The work was called off; whoever did so raises what users see."""


class Stop:
    """A signal that is given once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._children: set[Stop] = set()

    @contextmanager
    def child(self) -> Iterator[Stop]:
        """Give a signal for a part of the work: ours is its too, its is not ours."""
        child = Stop()
        with self._guard:
            self._children.add(child)
        if self._event.is_set():
            child.set()
        try:
            yield child
        finally:
            with self._guard:
                self._children.discard(child)

    @property
    def is_set(self) -> bool:
        """The work was called off."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Stopped` if the work was called off."""
        if self._event.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait so long, or raise `Stopped` as soon as the work is called off."""
        if self._event.wait(seconds):
            raise Stopped

    def set(self) -> None:
        """Call the work off."""
        self._event.set()
        with self._guard:
            sockets, children = list(self._sockets), list(self._children)
        for one in sockets:
            with suppress(OSError):
                # Not its own method: that of a TLS socket takes the session from under its reader.
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        for child in children:
            child.set()

    @contextmanager
    def watch(self, connection: socket.socket | None) -> Iterator[None]:
        """Shut a connection down if the work is called off in this block."""
        if connection is None:
            yield
            return
        with self._guard:
            self._sockets.add(connection)
        try:
            self.check()
            yield
        finally:
            with self._guard:
                self._sockets.discard(connection)
