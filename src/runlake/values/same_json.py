"""`is_same`: whether two JSON values are equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def is_same(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal; NaN equals NaN, and 1 equals 1.0 but not True.

    The order of an object's entries does not matter, because the SDK writes the same object in
    another order each time. An entry whose value is null equals a missing entry.

    Examples
    --------
    >>> is_same({"a": [1, math.nan], "b": None}, {"a": [1.0, math.nan]}), is_same(1, True)
    (True, False)
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return first_difference(a, b) is None
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def first_difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """Return the first name whose values in ``a`` and ``b`` differ; None if there is none.

    A missing value equals null.
    """
    for name in dict.fromkeys([*a, *b]):
        if not is_same(a.get(name), b.get(name)):
            return name
    return None
