"""A cap on bytes per second that all downloads of the process share."""

from __future__ import annotations

import threading
import time
from functools import cache

from runlake.backend.http.stop import Stop


class Bandwidth:
    """Makes whoever took too many bytes wait.

    Parameters
    ----------
    bytes_per_second : int
        On average; a piece that has arrived is let through and paid for afterwards.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._guard = threading.Lock()
        self._paid_until = 0.0

    def take(self, n_bytes: int, stop: Stop) -> float:
        """Wait until so many bytes are due.

        Parameters
        ----------
        n_bytes : int
            What arrived.
        stop : Stop
            Ends the wait with `Stopped`.

        Returns
        -------
        float
            Seconds waited.
        """
        with self._guard:
            now = time.monotonic()
            self._paid_until = max(now, self._paid_until) + n_bytes / self._bytes_per_second
            seconds = self._paid_until - now
        stop.sleep(seconds)
        return seconds


@cache
def shared_bandwidth(bytes_per_second: int) -> Bandwidth:
    """Return the cap of this process."""
    return Bandwidth(bytes_per_second)
