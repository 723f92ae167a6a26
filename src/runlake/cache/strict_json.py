"""Write values as strict JSON text, which every JSON parser and SQLite's functions accept.

Python's own JSON may contain ``NaN``, lone surrogates, and values nested to any depth. One
malformed string makes SQLite fail a whole query.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

# SQLite refuses JSON nested more than 1,000 deep, Python at about the same depth.
MAX_DEPTH = 200
# SQLite before 3.45 reads strings only up to the first NUL. So U+0001, the next character, is used.
NUL, WRITTEN_NUL = "\0", "\1"
# JSON has no infinity; this integer is too large for a float, so it is read as infinity.
INFINITE = 10**400
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)


def strict_json(value: object) -> str:
    """Return a value as strict JSON.

    Parameters
    ----------
    value : Any
        A value of parsed JSON. A value of any other type is written as its ``str``.

    Returns
    -------
    str
        NaN becomes null, because filters of runs compare NaN like null. An infinity becomes a
        number too large for a float, which SQLite reads as infinity. Integers keep all digits; but
        an integer of more than about 4,300 digits becomes such a number too. A lone surrogate
        becomes the six characters of its escape, and NUL becomes U+0001. A container nested more
        than 200 deep becomes a string.

    Examples
    --------
    >>> strict_json({"loss": float("nan"), "n": 2**70, "": [None, True]})
    '{"loss":null,"n":1180591620717411303424,"":[null,true]}'
    """
    text = lossless_json(value)
    return _ENCODER.encode(_strict(value, MAX_DEPTH)) if text is None else text


def lossless_json(value: object) -> str | None:
    """Return a value as strict JSON; None if strict JSON may not represent it exactly."""
    try:
        text = _ENCODER.encode(value)
        text.encode()  # raises an error for lone surrogates
    except (ValueError, TypeError, RecursionError):
        return None
    # JSON with few brackets cannot be nested too deep.
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\u0000" in text:
        return None
    return text


def stored_text(value: str) -> str:
    r"""Return a string with lone surrogates and NUL replaced, as strict JSON contains it.

    Examples
    --------
    >>> stored_text("a\0")
    'a\x01'
    """
    return value.encode("utf-8", "backslashreplace").decode().replace(NUL, WRITTEN_NUL)


def _strict(value: object, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth == 0:
            return stored_text(_flat(value))
        return {stored_text(str(key)): _strict(one, depth - 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one, depth - 1) for one in value] if depth else stored_text(_flat(value))
    return _scalar(value)


def _scalar(value: object) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return _number(value)
    return stored_text(str(value))


def _whole(value: int) -> int:
    try:
        str(value)
    except ValueError:
        # Python writes no more than about 4,300 digits.
        return INFINITE if value > 0 else -INFINITE
    return int(value)


def _number(value: float) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return INFINITE if value > 0 else -INFINITE
    return float(value)


def _flat(value: object) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError):
        return "(nested too deep)"
