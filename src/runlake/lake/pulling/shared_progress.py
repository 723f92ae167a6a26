"""The progress of a whole pull, to which the downloads in all threads add their bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runlake.exports.progress import Progress, Silence


class SharedProgress:
    """Adds the bytes of all runs to one progress, one thread at a time.

    Parameters
    ----------
    progress : Progress or None
        Shows the bytes; None shows nothing.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or Silence()
        self._guard = threading.Lock()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress of the whole pull while the context is open."""
        self._progress.start("exports", None, "B")
        try:
            yield
        finally:
            with self._guard:
                self._progress.finish()

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Ignore the start of one run's download; `shown` starts the progress of the whole pull."""

    def advance(self, n_done: int) -> None:
        """Add bytes that have arrived for any run."""
        with self._guard:
            self._progress.advance(n_done)

    def finish(self) -> None:
        """Ignore the end of one run's download; `shown` ends the progress of the whole pull."""
