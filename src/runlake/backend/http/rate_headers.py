"""Parse the headers of a response that describe a rate limit; this module does no I/O."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from runlake.backend.http.retry import retry_after_seconds
from runlake.backend.http.statuses import TOO_MANY_REQUESTS

# Servers send a reset as a Unix time or as seconds from now. A number above this is a Unix time.
EPOCH = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """A rate limit as a backend reports it; a number that the backend does not send is None.

    Parameters
    ----------
    limit : float or None
        Requests allowed per window.
    window : float or None
        Length of a window in seconds.
    remaining : float or None
        Requests that remain in the present window.
    reset : float or None
        Seconds until the next window.
    retry_after : float or None
        Seconds during which no request may be sent.
    """

    limit: float | None = None
    window: float | None = None
    remaining: float | None = None
    reset: float | None = None
    retry_after: float | None = None

    @property
    def is_scarce(self) -> bool:
        """True if less than half of the window's requests remain.

        If the headers do not state how many requests remain, the value is False. If they state this
        number, but no limit, the value is True.
        """
        if self.remaining is None:
            return False
        return self.limit is None or self.remaining < self.limit / 2


def parse_rate_headers(headers: Mapping[str, str], status: int = 200) -> RateHeaders | None:
    """Return the rate limit that the headers of a response describe.

    Parameters
    ----------
    headers : mapping
        Headers with case-insensitive or lower-case names. These headers are read:
        ``RateLimit-Limit``, ``RateLimit-Remaining`` and ``RateLimit-Reset``, each also with ``X-``
        in front, ``RateLimit-Policy`` and ``RateLimit`` (drafts of the IETF HTTPAPI working group),
        and ``Retry-After``.
    status : int
        HTTP status. ``Retry-After`` is read only if the status is 429, because in a 503 response
        this header does not describe a rate limit.

    Returns
    -------
    RateHeaders or None
        None if no header describes a rate limit.

    Examples
    --------
    >>> parse_rate_headers({"ratelimit-policy": '"a";q=100;w=60', "ratelimit": '"a";r=7;t=9'})
    RateHeaders(limit=100.0, window=60.0, remaining=7.0, reset=9.0, retry_after=None)
    """
    policy = _parameters(headers.get("ratelimit-policy") or headers.get("ratelimit-limit"))
    state = _parameters(headers.get("ratelimit"))
    found = RateHeaders(
        limit=policy.get("q") or state.get("limit") or _first(headers, "limit"),
        window=policy.get("w"),
        remaining=_known(state.get("r"), state.get("remaining"), _first(headers, "remaining")),
        reset=_known(state.get("t"), state.get("reset"), _first(headers, "reset")),
        retry_after=(
            retry_after_seconds(headers.get("retry-after")) if status == TOO_MANY_REQUESTS else None
        ),
    )
    return None if found == RateHeaders() else found


def _first(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(f"ratelimit-{name}") or headers.get(f"x-ratelimit-{name}")
    number = _number((text or "").partition(",")[0].partition(";")[0])
    if number is not None and name == "reset" and number > EPOCH:
        return max(0.0, number - time.time())
    return number


def _parameters(field: str | None) -> dict[str, float]:
    """Return the numeric parameters of the first policy in a header, by name.

    The form differs between drafts. In old drafts the policy is ``100;w=60``, and the state is
    ``limit=9, remaining=3, reset=1``. In new drafts the policy and the state are
    ``"name";q=100;w=60`` and ``"name";r=3;t=1``.
    """
    text = (field or "").strip()
    if not re.match(r"\w+=", text):
        text = re.sub(r"^([0-9.]+)(, *\1)?(?=;|$)", r";q=\1", text).partition(",")[0]
    numbers = {name: _number(value) for name, value in re.findall(r"(\w+)=([0-9.]+)", text)}
    return {name: number for name, number in numbers.items() if number is not None}


def _known(*numbers: float | None) -> float | None:
    return next((number for number in numbers if number is not None), None)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
