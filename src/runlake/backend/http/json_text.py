"""Parse untrusted JSON: for any size or depth, the result is a value or a ValueError."""

from __future__ import annotations

import json
from typing import Any

# Deeper values would exceed the recursion limit of code that walks them later.
MAX_DEPTH = 200
CONTAINERS = {dict, list}
# Shared, because json.loads creates a decoder for each call that is not strict.
_LENIENT = json.JSONDecoder(strict=False)


def parse_json(content: str | bytes, *, strict: bool = True) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    content : str or bytes
        JSON text; bytes are UTF-8, UTF-16 or UTF-32.
    strict : bool
        Refuse control characters in strings.

    Returns
    -------
    Any
        The value. An integer with more digits than Python parses (about 4,300) becomes a float.

    Raises
    ------
    ValueError
        If the text is not JSON, or nested more than `MAX_DEPTH` deep.

    Examples
    --------
    >>> parse_json('{"loss": NaN, "huge": 1%s}' % ("0" * 5000))
    {'loss': nan, 'huge': inf}
    """
    try:
        value = _loads(content, strict=strict)
    except RecursionError:
        raise _too_deep() from None
    # Counting brackets is fast. Only if there are many, the slower check of the depth is needed;
    # brackets in strings count too, which does no harm.
    if not isinstance(content, str) or content.count("{") + content.count("[") > MAX_DEPTH:
        check_depth(value)
    return value


def check_depth(value: object) -> None:
    """Raise ValueError if a JSON value is nested more than `MAX_DEPTH` deep."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        contents = (one.values() if isinstance(one, dict) else one for one in level)
        level = [
            item
            for items in contents
            # Checked first, in C: most containers, and the longest, contain no other containers.
            if not CONTAINERS.isdisjoint(map(type, items))
            for item in items
            if isinstance(item, (dict, list))
        ]
    if level:
        raise _too_deep()


def _loads(content: str | bytes, *, strict: bool) -> Any:
    try:
        if not strict and isinstance(content, str):
            return _LENIENT.decode(content)
        return json.loads(content, strict=strict)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        # Python's int() refuses more than 4,300 digits (sys.set_int_max_str_digits).
        return json.loads(content, strict=strict, parse_int=_integer)


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _too_deep() -> ValueError:
    return ValueError(f"JSON is nested more than {MAX_DEPTH} deep")
