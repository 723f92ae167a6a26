"""The progress of a whole pull, which the downloads in all threads advance together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runlake.exports.progress import Progress, Silence


class SharedProgress:
    """Passes the bytes of all runs on to one progress, never concurrently.

    Parameters
    ----------
    progress : Progress or None
        Shows the bytes.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or Silence()
        self._guard = threading.Lock()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the context is open, show the progress of the whole pull."""
        self._progress.start("exports", None, "B")
        try:
            yield
        finally:
            with self._guard:
                self._progress.finish()

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Do nothing: `shown` has begun the progress of the whole pull."""

    def advance(self, n_done: int) -> None:
        """Count bytes that arrived for any run."""
        with self._guard:
            self._progress.advance(n_done)

    def finish(self) -> None:
        """Do nothing: `shown` ends the progress when the whole pull ends."""
