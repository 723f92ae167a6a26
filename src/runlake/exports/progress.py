"""Count the finished work of several threads, show progress, and cancel downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from runlake.backend.http.reply import Reply
from runlake.backend.http.stop import Stop
from runlake.values.counted import counted


class Progress(Protocol):
    """Shows the progress of some work to a person; its methods are never called concurrently."""

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Begin to show work of ``total`` units, or of an unknown amount if ``total`` is None."""

    def advance(self, n_done: int) -> None:
        """Add finished units; a negative number subtracts units that have to be done again."""

    def finish(self) -> None:
        """Stop showing the work, which has succeeded or failed."""


class Silence:
    """A `Progress` that shows nothing."""

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Show nothing."""

    def advance(self, n_done: int) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


class Count:
    """Counts the finished units of work that is done by several threads.

    Parameters
    ----------
    progress : Progress or None
        Shows the count; None shows nothing.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or Silence()
        self._guard = threading.Lock()

    @contextmanager
    def shown(self, what: str, total: int | None, unit: str) -> Iterator[Count]:
        """Show the progress of the work while the context is open."""
        self._progress.start(what, total, unit)
        try:
            yield self
        finally:
            self._progress.finish()

    def add(self, n_done: int = 1) -> None:
        """Add finished units to the count."""
        with self._guard:
            self._progress.advance(n_done)


class FileCount:
    """Counts the bytes of files: piece by piece while a file arrives, at once for a file on disk.

    Parameters
    ----------
    counted : Count
        Counts the bytes of all files.
    """

    def __init__(self, counted: Count) -> None:
        self._counted = counted
        self._of_thread = threading.local()

    @contextmanager
    def file(self, n_bytes: int | None) -> Iterator[None]:
        """Count as one file what this thread downloads while the context is open.

        When the context ends without an error, the file counts as ``n_bytes`` bytes (0 for None),
        even if fewer or more bytes have arrived. So a file that was on disk counts too.
        """
        self._of_thread.arrived = 0
        yield
        self._counted.add((n_bytes or 0) - self._of_thread.arrived)

    def add(self, n_bytes: int) -> None:
        """Count bytes that have arrived for this thread's file."""
        # The default is for a thread that downloads outside of `file`.
        self._of_thread.arrived = getattr(self._of_thread, "arrived", 0) + n_bytes
        self._counted.add(n_bytes)


class Traffic:
    """Counts the bytes that arrive for one pull: the download of all exports that a read needs.

    Several threads use it together.

    Parameters
    ----------
    progress : Progress, optional
        Shows the downloads.
    stop : Stop, optional
        A flag. When it is set, all downloads that are counted here end with `Stopped`.
    """

    def __init__(self, progress: Progress | None = None, stop: Stop | None = None) -> None:
        self.stop = stop or Stop()
        self.n_bytes = 0
        self._shown = Count(progress)
        self._guard = threading.Lock()

    @contextmanager
    def shown(self, n_files: int) -> Iterator[None]:
        """While the context is open, show the progress of a download of ``n_files`` files."""
        with self._shown.shown(counted(n_files, "export"), None, "B"):
            yield

    def count(self, n_bytes: int) -> None:
        """Count bytes that have arrived."""
        with self._guard:
            self.n_bytes += n_bytes
        self._shown.add(n_bytes)


class ExportTraffic:
    """Counts the bytes that arrive for one export, in all threads that download the export.

    Parameters
    ----------
    traffic : Traffic
        Counts the bytes of all exports that are downloaded; its ``stop`` cancels the download.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.stop = traffic.stop
        self.n_bytes = 0
        self._traffic = traffic

    def body(self, reply: Reply) -> Iterator[bytes]:
        """Yield the body of an HTTP response in pieces as it arrives, and count its bytes."""
        for content in reply.iter_raw():
            self.n_bytes += len(content)
            self._traffic.count(len(content))
            yield content
