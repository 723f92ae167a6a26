"""Numbers in messages: ``1 point``, ``2 points``, "is" or "are"."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a count and its noun, in the singular or plural.

    Examples
    --------
    >>> counted(1, "point"), counted(2_000, "point")
    ('1 point', '2,000 points')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def is_or_are(n: int) -> str:
    """Return the verb of a sentence about ``n`` things: "is" for one, else "are"."""
    return "is" if n == 1 else "are"


def was_or_were(n: int) -> str:
    """Return the past verb of a sentence about ``n`` things: "was" for one, else "were"."""
    return "was" if n == 1 else "were"
