"""Convert JSON to the values that users see.

See rules 5 and 6 in docs/explanation/reading-rules.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# The protocol writes non-finite numbers as these strings, because JSON has no such numbers.
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
SCALARS = {bool, float, int}


def clean_json(value: Any) -> Any:
    """Convert a value that the backend sent to the value that an export would contain.

    Parameters
    ----------
    value : Any
        Decoded JSON.

    Returns
    -------
    Any
        Strings for non-finite numbers become floats; null members of dicts are left out.
    """
    if isinstance(value, str):
        return NON_FINITE.get(value, value)
    if isinstance(value, list):
        return [clean_json(item) for item in value]
    if isinstance(value, dict):
        return {key: clean_json(item) for key, item in value.items() if item is not None}
    return value


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested dicts to dotted keys, except empty dicts and media (dicts with ``_type``).

    Examples
    --------
    >>> flatten({"val": {"loss": 1.0}, "img": {"_type": "image-file"}, "none": None, "no": {}})
    {'val.loss': 1.0, 'img': {'_type': 'image-file'}, 'no': {}}
    """
    if SCALARS.issuperset(map(type, row.values())):
        return dict(row)
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if type(value) in SCALARS:
            flat[key] = value
        elif value is None:
            continue
        elif isinstance(value, dict) and value and "_type" not in value:
            flat.update({f"{key}.{inner}": cell for inner, cell in flatten(value).items()})
        else:
            flat[key] = clean_json(value)
    return flat
