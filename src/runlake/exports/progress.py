"""What arrives during a pull: counted, shown to whoever watches, and called off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from runlake.backend.http.stop import Stop


class Progress(Protocol):
    """Watches the downloads of one pull; its calls never overlap."""

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Begin; the total is None until every file has told its length."""

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
    """The bytes that arrive for one pull, over all its threads.

    Parameters
    ----------
    progress : Progress, optional
        Watches.
    stop : Stop, optional
        Ends all that is counted here with `Stopped`.
    """

    def __init__(self, progress: Progress | None = None, stop: Stop | None = None) -> None:
        self.stop = stop or Stop()
        self.n_bytes = 0
        self._progress = progress or Silence()
        self._guard = threading.Lock()

    @contextmanager
    def shown(self, n_files: int) -> Iterator[None]:
        """Show the block as the download of so many files."""
        self._progress.start(None, n_files)
        try:
            yield
        finally:
            self._progress.finish()

    def count(self, n_bytes: int) -> None:
        """Count bytes that arrived, unless the pull was called off."""
        self.stop.check()
        with self._guard:
            self.n_bytes += n_bytes
            self._progress.advance(n_bytes)
