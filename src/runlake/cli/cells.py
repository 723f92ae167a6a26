"""Converts values that JSON has no type for, so that JSON, CSV and tables show the same text."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from runlake.errors.screen import one_line

HISTOGRAM = "histogram"
# Made once: json.dumps with options makes an encoder at each call.
_ENCODE = json.JSONEncoder(allow_nan=False).encode


def json_text(value: Any) -> str:
    """Return a value as one line of JSON, in ASCII.

    Parameters
    ----------
    value : object
        A cell, or a list or mapping of cells.

    Returns
    -------
    str
        The JSON text. NaN and infinities are strings, as in the W&B protocol.

    Examples
    --------
    >>> json_text({"loss": float("nan"), "n": 2**70, "at": [1.5, float("-inf")]})
    '{"loss": "NaN", "n": 1180591620717411303424, "at": [1.5, "-Infinity"]}'
    """
    return _ENCODE(json_ready(value))


def json_ready(value: Any) -> Any:
    """Convert a value to types that JSON has, and return the result.

    Parameters
    ----------
    value : object
        Any type of cell.

    Returns
    -------
    object
        NaN and infinities become strings; bytes become base64; times and dates become ISO 8601;
        durations become seconds. Decimal numbers become integers or floats, or text if a float
        would lose digits.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else non_finite(value)
    if isinstance(value, Mapping):
        return {_name(name): json_ready(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_ready(item) for item in value]
    return _scalar(value)


def _name(name: Any) -> str:
    return name if isinstance(name, str) else str(json_ready(name))


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return json_ready(value.to_list()) if hasattr(value, "to_list") else str(value)


def _number(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return non_finite(float(value))
    if value == value.to_integral_value():
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


def non_finite(value: float) -> str:
    """Return NaN or an infinity as the W&B protocol spells it."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def cell_text(value: Any, *, digits: int | None = None) -> str:
    """Return a cell of a table as one line without control characters.

    Parameters
    ----------
    value : object
        A cell. None becomes an empty string, and an empty string becomes ``""``.
    digits : int, optional
        Significant digits of floats; all digits if omitted.

    Returns
    -------
    str
        Nested values are JSON, except a histogram: only its number of bins is shown.

    Examples
    --------
    >>> cell_text({"_type": "histogram", "values": [3, 4], "bins": [0, 1, 2]})
    'histogram of 2 bins'
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return one_line(value) or '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and digits is not None and math.isfinite(value):
        return f"{value:.{digits}g}"
    if isinstance(value, Mapping) and value.get("_type") == HISTOGRAM:
        counts = value.get("values")
        return f"histogram of {len(counts)} bins" if isinstance(counts, list) else HISTOGRAM
    ready = json_ready(value)
    return one_line(ready) if isinstance(ready, str) else json.dumps(ready)
