"""The interface of a rate limiter for requests to the API.

`runlake.cache.rate_limit` implements this interface for all processes that share the cache
directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Budget(Protocol):
    """A rate limiter for requests to the API; several clients may share one `Budget`."""

    def acquire(self, timeout: float) -> float:
        """Wait until the rate limit allows another request.

        Parameters
        ----------
        timeout : float
            Maximum number of seconds to wait.

        Returns
        -------
        float
            The turn: the time at which the request may be sent, in seconds on the limiter's own
            clock. Pass it to `learn`.

        Raises
        ------
        TimeoutError
            If the limit allows no request within the timeout.
        """

    def learn(self, turn: float, status: int, headers: Mapping[str, str]) -> None:
        """Adapt the rate to the rate limit that a response describes.

        Parameters
        ----------
        turn : float
            What `acquire` returned for the request.
        status : int
            HTTP status of the response.
        headers : mapping
            Headers of the response; names are case-insensitive.
        """
