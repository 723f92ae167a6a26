"""Timeouts of requests: a request ends if its transfer is too slow, or if it takes too long."""

from __future__ import annotations

import time
from typing import Self

SLOWEST = 1024  # bytes per second; a slower transfer counts as stalled


class Patience(float):
    """The timeout of one request, shared by all its reads and writes.

    This class is a float, because HTTP libraries pass a timeout of type float to each operation of
    the socket. A request times out if fewer than `SLOWEST` bytes per second are transferred for
    ``seconds`` seconds. So a request to a slow host that makes progress does not time out. A
    request times out if the host stops, or sends single bytes with long pauses. Only the time of
    waiting for the network counts as ``seconds``, not the time in which the reader processes a
    piece; ``total`` limits both together.

    Parameters
    ----------
    seconds : float
        For how many seconds the transfer may be slower than `SLOWEST` bytes per second.
    total : float, optional
        Limit in seconds for the whole request, from its first operation on; no limit if omitted.
    """

    _ends_at: float | None
    _total: float | None
    _late: float
    _n_bytes: int

    def __new__(cls, seconds: float, total: float | None = None) -> Self:  # noqa: D102 - the class says it
        patience = super().__new__(cls, seconds)
        patience._total = total
        patience._ends_at = None
        patience._late = 0.0
        patience._n_bytes = 0
        return patience

    @property
    def seconds_left(self) -> float:
        """Seconds that the next operation may wait; 0 or less once the time is up."""
        left = float(self) - self._late
        if self._total is None:
            return left
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._total
        return min(left, self._ends_at - time.monotonic())

    def note(self, n_bytes: int, waited_seconds: float) -> None:
        """Record a read or write that moved ``n_bytes``, and waited ``waited_seconds``."""
        self._n_bytes += n_bytes
        self._late += waited_seconds
        if self._n_bytes >= SLOWEST * self._late:
            self._late, self._n_bytes = 0.0, 0

    def lift_total(self) -> None:
        """Remove the limit for the whole request; a slow transfer still times out."""
        self._total = self._ends_at = None

    @property
    def reason(self) -> str:
        """Why the request timed out: text for the end of an error message."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            return f"it was not complete after {self._total:g} seconds"
        return f"less than {SLOWEST} bytes per second arrived for {float(self):g} seconds"
