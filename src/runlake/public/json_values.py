"""Convert Python values of config and summary to plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any

from runlake.errors import InvalidArgument, InvalidType

# The SDK's limit. It sends the statistics of a larger array and the array in an HDF5 file, which
# only its own summary reads; runlake sends only the statistics.
MAX_ARRAY_SIZE = 32


def to_json_value(value: object, name: str, *, keeps_nan: bool = False) -> Any:
    """Convert a value of a config or summary to types that JSON has.

    Parameters
    ----------
    value : object
        Any value that the SDK accepts in a summary: plain values, mappings with string keys, lists,
        tuples, sets, bytes, dates, enums, callables, numpy's scalars and arrays, tensors.
    name : str
        Name of the value, for error messages.
    keeps_nan : bool
        Keep NaN as a float; otherwise NaN becomes None.

    Returns
    -------
    object
        The converted value. Mappings and lists are copies. An array of more than 32 numbers is
        replaced by its statistics.

    Raises
    ------
    InvalidType
        If the value, or a value inside it, cannot be written as JSON.

    Notes
    -----
    The rules are the SDK's: NaN alone or in a mapping becomes None; NaN in a list is not changed.

    Examples
    --------
    >>> to_json_value({"loss": float("nan"), "tags": {"a"}, "raw": b"x"}, "summary")
    {'loss': None, 'tags': ['a'], 'raw': 'x'}
    """
    try:
        return _converted(value, name, keeps_nan)
    except RecursionError as error:
        raise InvalidArgument(f"{name} holds itself, or is nested too deep.") from error


def _converted(value: Any, name: str, keeps_nan: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            key_text(key, name): _converted(item, f"{name}[{key!r}]", keeps_nan)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, range, set, frozenset)):
        # As in the SDK, NaN in a list stays NaN.
        return [_converted(item, f"an item of {name}", True) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) and not keeps_nan else float(value)
    if isinstance(value, (Enum, bytes, date)):
        return _text(value, name)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return _converted_object(value, name, keeps_nan)


def _text(value: Enum | bytes | date, name: str) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, date):
        return value.isoformat()
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidType(f"{name} is bytes that are not UTF-8 text.") from error


def _converted_object(value: Any, name: str, keeps_nan: bool) -> Any:
    # A tensor of PyTorch, which may be on a GPU, then one of TensorFlow. Neither package is
    # imported.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "numpy") and hasattr(value, "shape"):
        value = value.numpy()
    if hasattr(value, "dtype") and hasattr(value, "tolist") and hasattr(value, "size"):
        return _converted_array(value, name, keeps_nan)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    raise InvalidType(
        f"{name} is of type {type(value).__name__}, which JSON cannot carry. Give numbers, "
        "strings, booleans, None, or lists and dicts of them."
    )


def _converted_array(array: Any, name: str, keeps_nan: bool) -> Any:
    # As in the SDK, an array of one number is that number.
    if array.size == 1:
        return _converted(array.reshape(-1).tolist()[0], name, keeps_nan)
    if array.size <= MAX_ARRAY_SIZE:
        return _converted(array.tolist(), name, keeps_nan)
    import numpy as np

    try:
        percentiles = {f"{n}%": float(np.percentile(array, n)) for n in (10, 25, 75, 90)}
        return {
            "_type": "numpy.ndarray",
            "var": np.var(array).item(),
            "mean": np.mean(array).item(),
            "min": np.amin(array).item(),
            "max": np.amax(array).item(),
            **percentiles,
            "size": int(array.size),
        }
    except (TypeError, ValueError) as error:
        raise InvalidType(f"{name} is an array whose items are not numbers.") from error


def key_text(key: object, name: str) -> str:
    """Return a key without surrounding spaces; raise `InvalidType` if the key is not a string."""
    if not isinstance(key, str):
        raise InvalidType(f"{name} has the key {key!r}; keys must be strings.")
    # As the SDK does, so that a key has the same name for both.
    return key.strip()
