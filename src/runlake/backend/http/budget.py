"""The interface of a rate limiter for requests to the API.

`runlake.cache.rate_limit` implements this interface for all processes that share the cache
directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Budget(Protocol):
    """Limits requests to the API; several clients may share a budget."""

    def acquire(self, timeout: float) -> float:
        """Wait for a turn to send a request.

        Parameters
        ----------
        timeout : float
            Maximum number of seconds to wait.

        Returns
        -------
        float
            When the turn was taken, to be passed to `learn`.

        Raises
        ------
        TimeoutError
            If there is no turn within the timeout.
        """

    def learn(self, turn: float, status: int, headers: Mapping[str, str]) -> None:
        """Change the rate according to what an answer says about the API's rate limit.

        Parameters
        ----------
        turn : float
            What `acquire` returned for the request.
        status : int
            HTTP status of the answer.
        headers : mapping
            Headers of the answer; names are case-insensitive.
        """
