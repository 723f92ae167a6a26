"""What a client asks before each request to the API; the cache keeps one for all processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Budget(Protocol):
    """How many requests may go to the API; whoever builds a client may share one among many."""

    def acquire(self, timeout: float) -> float:
        """Wait for a turn to send a request.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.

        Returns
        -------
        float
            The moment of the turn, for `learn`.

        Raises
        ------
        TimeoutError
            If the turn would come later.
        """

    def learn(self, turn: float, status: int, headers: Mapping[str, str]) -> None:
        """Take note of what an answer says about the API's limit.

        Parameters
        ----------
        turn : float
            What `acquire` returned for the request.
        status : int
            HTTP status.
        headers : mapping
            Case-insensitive header names.
        """
