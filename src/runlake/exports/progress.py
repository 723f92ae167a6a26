"""Count the bytes that arrive during a pull, show progress, and cancel the pull."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from runlake.backend.http.reply import Reply
from runlake.backend.http.stop import Stop


class Progress(Protocol):
    """Shows the downloads of one pull; its methods are never called concurrently."""

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Begin; ``total_bytes`` is None while lengths of files are unknown."""

    def advance(self, n_bytes: int) -> None:
        """Count bytes that arrived."""

    def finish(self) -> None:
        """End, after success and after failure."""


class Silence:
    """A progress that shows nothing."""

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Ignore the beginning."""

    def advance(self, n_bytes: int) -> None:
        """Ignore the bytes."""

    def finish(self) -> None:
        """Ignore the end."""


class Traffic:
    """Counts the bytes that arrive for one pull, in all its threads.

    Parameters
    ----------
    progress : Progress, optional
        Shows the downloads.
    stop : Stop, optional
        When set, ends all downloads that are counted here with `Stopped`.
    """

    def __init__(self, progress: Progress | None = None, stop: Stop | None = None) -> None:
        self.stop = stop or Stop()
        self.n_bytes = 0
        self._progress = progress or Silence()
        self._guard = threading.Lock()

    @contextmanager
    def shown(self, n_files: int) -> Iterator[None]:
        """While the context is open, show the progress of a download of ``n_files`` files."""
        self._progress.start(None, n_files)
        try:
            yield
        finally:
            self._progress.finish()

    def count(self, n_bytes: int) -> None:
        """Count bytes that arrived."""
        with self._guard:
            self.n_bytes += n_bytes
            self._progress.advance(n_bytes)


class ExportTraffic:
    """Counts the bytes of one export that arrive, in all threads that download the export.

    Parameters
    ----------
    traffic : Traffic
        Counts the bytes too, and cancels the download.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.stop = traffic.stop
        self.n_bytes = 0
        self._traffic = traffic

    def body(self, reply: Reply) -> Iterator[bytes]:
        """Yield the body of an answer as it arrives, and count it."""
        for content in reply.iter_raw():
            self.n_bytes += len(content)
            self._traffic.count(len(content))
            yield content
