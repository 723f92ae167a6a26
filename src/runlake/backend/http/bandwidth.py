"""A limit on bytes per second, shared by all downloads of the process."""

from __future__ import annotations

import threading
import time
from functools import cache

from runlake.backend.http.stop import Stop


class Bandwidth:
    """Limits the average rate of downloads by waiting after each piece that has arrived.

    Parameters
    ----------
    bytes_per_second : int
        Average rate. Each wait follows the arrival of a piece, so short bursts can be faster.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._guard = threading.Lock()
        self._paid_until = 0.0

    def take(self, n_bytes: int, stop: Stop) -> float:
        """Wait until ``n_bytes`` more bytes are within the limit.

        Parameters
        ----------
        n_bytes : int
            Bytes that arrived.
        stop : Stop
            Ends the wait with `Stopped` when set.

        Returns
        -------
        float
            Seconds waited.
        """
        with self._guard:
            now = time.monotonic()
            self._paid_until = max(now, self._paid_until) + n_bytes / self._bytes_per_second
            seconds = self._paid_until - now
        # Without the lock, so that other threads can reserve their time meanwhile.
        stop.sleep(seconds)
        return seconds


@cache
def shared_bandwidth(bytes_per_second: int) -> Bandwidth:
    """Return the `Bandwidth` that all downloads of this process with the same limit share."""
    return Bandwidth(bytes_per_second)
