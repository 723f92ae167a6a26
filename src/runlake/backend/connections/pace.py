"""How long a request may take: bytes that come too slowly, or for ever, end it."""

from __future__ import annotations

import time
from typing import Self

SLOWEST = 1024  # bytes per second; slower is no progress


class Patience(float):
    """The timeout of one request, which every read and write of it is measured against.

    It is a number, because that is what HTTP libraries hand down to the socket with each operation.
    A request is late if it waited so many seconds for fewer than `SLOWEST` bytes per second, so a
    slow host that moves is never late, and one that drips or stalls is. Only time spent waiting for
    the network counts, not what the reader does between two pieces.

    Parameters
    ----------
    seconds : float
        How long the host may be late.
    total : float, optional
        Seconds that the request may take at all, from its first operation on; no bound if omitted.
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
        """How long the next operation may wait; not above 0 if the time is up."""
        left = float(self) - self._late
        if self._total is None:
            return left
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._total
        return min(left, self._ends_at - time.monotonic())

    def note(self, n_bytes: int, waited_seconds: float) -> None:
        """Count an operation: what it moved, and how long it waited."""
        self._n_bytes += n_bytes
        self._late += waited_seconds
        if self._n_bytes >= SLOWEST * self._late:
            self._late, self._n_bytes = 0.0, 0

    def lift_total(self) -> None:
        """Go by the pace alone from now on."""
        self._total = self._ends_at = None

    @property
    def reason(self) -> str:
        """Why the time is up."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            return f"it was not complete after {self._total:g} seconds"
        return f"less than {SLOWEST} bytes per second came for {float(self):g} seconds"
