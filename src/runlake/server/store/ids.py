"""The opaque ids of the protocol, which contain the number of a database row."""

from __future__ import annotations

import base64

# Higher than every row number, and not above SQLite's 64-bit integers.
MAX_NUMBER = 2**62


def make_id(type_name: str, number: int) -> str:
    """Return the opaque id of a database row, which contains a type name and the row's number."""
    return base64.b64encode(f"{type_name}:v1:{number}".encode()).decode()


def parse_id(text: str, type_name: str) -> int | None:
    """Return the row number in an opaque id; None if the text is not an id of the given type."""
    try:
        found, _, number = base64.b64decode(text, validate=True).decode().partition(":v1:")
        return parse_number(number) if found == type_name else None
    except ValueError:
        return None


def parse_number(text: str) -> int:
    """Parse a row number; raise ValueError if the text is not a row number.

    Examples
    --------
    >>> parse_number("17")
    17
    """
    # Python refuses to read thousands of digits, with a ValueError too.
    if not text.isdecimal() or int(text) > MAX_NUMBER:
        raise ValueError(f"{text!r:.60} is no number of a row")
    return int(text)
