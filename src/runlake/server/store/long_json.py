"""Reads and writes JSON of any length so that other threads can run meanwhile.

The json module holds the interpreter's lock from the first to the last character. So while 10 MB
are read, no other request is answered for 0.2 s. Here Python code reads long texts value by value,
which takes three times as long as with the json module. Texts that are mostly numbers are read by
the json module, which calls a Python function for each number; other threads can run during such a
call. This is faster than the Python code. Long objects are written in pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from json import decoder, scanner
from typing import Any

# Texts of this length take the json module about 10 ms.
LONG = 1 << 20
SHORTEST_PIECE, LONGEST_PIECE = 1 << 10, 1 << 18
MEMBERS_PER_PIECE = 5_000
# A text of numbers has few strings, and a number in each window.
CHARACTERS_PER_STRING = 500
WINDOW = 1 << 14
NUMBER = re.compile(r"[\[,:]\s?-?\d")
UNICODE_ESCAPE = len("\\u0000")


def loads(text: str, *, strict: bool = True) -> Any:
    r"""Parse JSON as `json.loads` does.

    Parameters
    ----------
    text : str
        Any text.
    strict : bool
        Refuse strings that contain control characters.

    Returns
    -------
    Any
        The value. In a long string, an escaped surrogate pair may become two characters, the halves
        of the pair.

    Raises
    ------
    ValueError
        If the text is not JSON.
    RecursionError
        If the value is nested too deeply.

    Examples
    --------
    >>> loads('{"loss": NaN}')
    {'loss': nan}
    """
    if len(text) < LONG:
        # Without an option, the json module uses a decoder that exists already.
        return json.loads(text) if strict else json.loads(text, strict=False)
    if _is_numbers(text):
        # The functions are Python, so that the lock can change hands at each number.
        return json.loads(text, strict=strict, parse_int=_int, parse_float=_float)
    return _PatientDecoder(strict=strict).decode(text)


def _is_numbers(text: str) -> bool:
    """Return whether a text is mostly numbers, like the JSON of a point cloud."""
    windows = range(0, len(text) - WINDOW, WINDOW)
    return text.count('"') < len(text) // CHARACTERS_PER_STRING and all(
        NUMBER.search(text, start, start + WINDOW) for start in windows
    )


def loads_objects(text: str) -> Any:
    """Parse JSON that consists of small objects, faster than `loads` does."""
    # The hook is Python, so that the lock can change hands at the end of each object.
    return json.loads(text) if len(text) < LONG else json.loads(text, object_hook=_same)


def dumps_object(members: Mapping[str, Any], encoder: json.JSONEncoder) -> str:
    """Encode an object as JSON, some thousand members at a time.

    Parameters
    ----------
    members : mapping
        The object; its values should be small.
    encoder : JSONEncoder
        Encodes the pieces. An encoder that sorts keys sorts them only within each piece.

    Returns
    -------
    str
        The object as JSON.

    Examples
    --------
    >>> dumps_object({"a": 1, "b": [2]}, json.JSONEncoder())
    '{"a": 1, "b": [2]}'
    """
    pieces = (encoder.encode(piece)[1:-1] for piece in _pieces(members))
    return "{" + encoder.item_separator.join(pieces) + "}"


def _pieces(members: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    items = iter(members.items())
    while piece := dict(islice(items, MEMBERS_PER_PIECE)):
        yield piece


class _PatientDecoder(json.JSONDecoder):
    """A JSON decoder in Python; only strings are parsed in C, long strings in pieces."""

    def __init__(self, *, strict: bool) -> None:
        super().__init__(strict=strict)
        self.parse_string = _parse_string
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _parse_string(text: str, start: int, strict: bool = True) -> tuple[str, int]:
    """Return the JSON string whose first character is at ``start``, and the position after it.

    The character before ``start`` is the opening quote; the returned position is after the closing
    quote.
    """
    size = SHORTEST_PIECE
    end = text.find('"', start, start + LONGEST_PIECE)
    if end != -1 and text[end - 1] != "\\":
        return _scan_string(text, start, strict)
    parts = []
    while True:
        stop = _before_escape(text, start, start + size)
        piece = text[start:stop]
        try:
            part, length = _scan_string(piece + '"', 0, strict)
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, text, start + error.pos) from None
        parts.append(part)
        if length <= len(piece):
            return "".join(parts), start + length
        if stop >= len(text):
            raise json.JSONDecodeError("Unterminated string starting at", text, start - 1)
        start, size = stop, min(2 * size, LONGEST_PIECE)


def _scan_string(text: str, start: int, strict: bool) -> tuple[str, int]:
    found: tuple[str, int] = decoder.scanstring(text, start, strict)  # type: ignore[attr-defined]
    return found


def _before_escape(text: str, start: int, stop: int) -> int:
    """Return a position, ``stop`` or a little earlier, that is not within an escape sequence."""
    last = text.rfind("\\", max(start, stop - UNICODE_ESCAPE), stop)
    if last == -1 or stop >= len(text):
        return stop
    before = text[start:last]
    n_before = len(before) - len(before.rstrip("\\"))
    # After an even number of backslashes, this one starts an escape.
    return last if n_before % 2 == 0 else stop


def _same(value: Any) -> Any:
    return value


def _int(text: str) -> int:
    return int(text)


def _float(text: str) -> float:
    return float(text)
