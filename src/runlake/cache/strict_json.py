"""Write values as strict JSON text, which every JSON parser and SQLite's functions accept.

Python's own text may contain ``NaN``, lone surrogates, and any depth. One malformed text makes
SQLite fail a whole query.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

# SQLite refuses texts nested more than 1,000 deep, Python at about the same depth.
MAX_DEPTH = 200
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
)


def strict_json(value: object) -> str:
    """Return a value as strict JSON.

    Parameters
    ----------
    value : Any
        A value of parsed JSON. A value of any other type is written as the text of ``str``.

    Returns
    -------
    str
        NaN and infinities are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as in the
        protocol. Integers keep all digits. A lone surrogate is written as its escape, as text. A
        container below the depth of 200 is written as text.

    Examples
    --------
    >>> strict_json({"loss": float("nan"), "n": 2**70, "": [None, True]})
    '{"loss":"NaN","n":1180591620717411303424,"":[null,true]}'
    """
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        return _ENCODER.encode(_strict(value, MAX_DEPTH))
    # Fewer brackets than the limit cannot be nested deeper; nearly all values are settled here.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return text
    return _ENCODER.encode(_strict(value, MAX_DEPTH))


def _strict(value: object, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth == 0:
            return _text(_flat(value))
        return {_text(str(key)): _strict(one, depth - 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one, depth - 1) for one in value] if depth else _text(_flat(value))
    return _scalar(value)


def _scalar(value: object) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return _number(value)
    return _text(str(value))


def _whole(value: int) -> int | str:
    try:
        str(value)
    except ValueError:
        # Python writes no more than about 4,300 digits.
        return "Infinity" if value > 0 else "-Infinity"
    return int(value)


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def _flat(value: object) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError):
        return "(nested too deep)"
