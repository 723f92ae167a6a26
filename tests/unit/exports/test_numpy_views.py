"""Arrow arrays as numpy arrays, also where a slice begins inside a byte."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.numpy_views import booleans_of, numbers_of, validity_of

SLICES = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(st.lists(st.none() | st.booleans(), max_size=30), SLICES)
def test_bits_of_a_slice_are_those_of_its_cells(cells, place):
    start, length = place
    array = pa.array(cells, pa.bool_()).slice(start, length)
    shown = cells[start : start + length]
    assert validity_of(array).tolist() == [cell is not None for cell in shown]
    found = booleans_of(array).tolist() if len(array) else []
    assert [f for f, c in zip(found, shown, strict=True) if c is not None] == [
        cell for cell in shown if cell is not None
    ]


@given(st.lists(st.none() | st.integers(-9, 9), max_size=30), SLICES)
def test_numbers_of_a_slice_are_a_view(cells, place):
    start, length = place
    for dtype in (pa.int8(), pa.float32(), pa.int64()):
        array = pa.array(cells, dtype).slice(start, length)
        numbers = numbers_of(array)
        assert numbers.dtype == np.dtype(dtype.to_pandas_dtype())
        assert len(numbers) == len(array)
        valid = validity_of(array)
        assert numbers[valid].tolist() == array.drop_null().to_pylist()
