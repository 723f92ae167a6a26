"""Parse dates in HTTP headers."""

from __future__ import annotations

import email.utils
from functools import lru_cache


# Cached, because every export on disk has the date of its last change.
@lru_cache(maxsize=1 << 14)
def seconds_of(http_date: str) -> float | None:
    """Return the time of an HTTP date in seconds since 1970; None if the text is no date.

    Examples
    --------
    >>> seconds_of("Thu, 01 Jan 1970 00:01:00 GMT")
    60.0
    >>> seconds_of("Wed, 99999999999999999999 Oct 2026 07:28:00 GMT") is None
    True
    """
    try:
        return email.utils.parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return None
