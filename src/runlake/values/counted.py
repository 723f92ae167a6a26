"""`counted`: a count with its noun."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "point"), counted(2_000, "point")
    ('1 point', '2,000 points')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
