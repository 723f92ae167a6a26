"""Opaque ids, as the protocol hands them out, and the numbers of rows in them."""

from __future__ import annotations

import base64

# Above it no row is; SQLite takes no integer of more than 64 bits.
MAX_NUMBER = 2**62


def make_id(type_name: str, number: int) -> str:
    """Return an opaque id."""
    return base64.b64encode(f"{type_name}:v1:{number}".encode()).decode()


def parse_id(text: str, type_name: str) -> int | None:
    """Return the number in an opaque id, None where it is no id of that type."""
    try:
        found, _, number = base64.b64decode(text, validate=True).decode().partition(":v1:")
        return parse_number(number) if found == type_name else None
    except ValueError:
        return None


def parse_number(text: str) -> int:
    """Return a number that a row may have; ValueError for any other text.

    Examples
    --------
    >>> parse_number("17")
    17
    """
    number = int(text)
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"{text!r} is no number of a row")
    return number
