"""Convert Arrow arrays to numpy arrays without pandas.

pyarrow's own ``to_numpy`` imports pandas if pandas is installed. This import takes longer than most
reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def numbers_of(array: pa.Array) -> np.ndarray[Any, Any]:
    """Return a numpy view of an array of integers or floats; values at nulls are arbitrary."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    if len(array) == 0:
        return np.empty(0, dtype)
    numbers = np.frombuffer(array.buffers()[1], dtype)
    return numbers[array.offset : array.offset + len(array)]


def booleans_of(array: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a numpy copy of an array of booleans; values at nulls are arbitrary."""
    return _bits(array.buffers()[1], array.offset, len(array))


def validity_of(array: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a numpy array that is False at each null of an Arrow array, and True elsewhere."""
    n_nulls = array.null_count
    if n_nulls in (0, len(array)):
        return np.full(len(array), n_nulls == 0)
    return _bits(array.buffers()[0], array.offset, len(array))


def _bits(buffer: pa.Buffer, start: int, n_bits: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if n_bits == 0:
        return np.empty(0, np.bool_)
    some = np.frombuffer(buffer, np.uint8)[start >> 3 : (start + n_bits + 7) >> 3]
    bits = np.unpackbits(some, bitorder="little").view(np.bool_)
    return bits[start & 7 : (start & 7) + n_bits]
