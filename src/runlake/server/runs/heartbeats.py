"""Remembers when each run last sent a request, by a monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable


class Heartbeats:
    """Finds the runs that have been silent for too long.

    A run must not count as silent because the time of day was changed, or because the server was
    down. So the times are those of a monotonic clock, and silence is counted at the earliest from
    the start of the server.

    Parameters
    ----------
    clock : callable
        Returns the present time in seconds.

    Examples
    --------
    >>> now = 0.0
    >>> heartbeats = Heartbeats(lambda: now)
    >>> now = 100.0
    >>> heartbeats.hear(1)
    >>> now = 150.0
    >>> heartbeats.silent([1, 2], 120.0)
    [2]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._heard: dict[int, float] = {}

    def hear(self, run_id: int) -> None:
        """Record that a run sends a request at this moment."""
        self._heard[run_id] = self._clock()

    def forget(self, run_id: int) -> None:
        """Forget a run that is over."""
        self._heard.pop(run_id, None)

    def silent(self, running: Iterable[int], seconds: float) -> list[int]:
        """Return the given runs that sent nothing for ``seconds``, in the given order."""
        latest = self._clock() - seconds
        return [run_id for run_id in running if self._heard.get(run_id, self._start) <= latest]
