"""Types of columns are recognised from their bytes, as Arrow names them."""

import pickle
import subprocess
import sys

import pyarrow as pa
import pytest

from runlake.exports.footers.stored_types import StoredType, stored_type

SIMPLE = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string()),
]
OTHERS = [
    *(pa.null(), pa.float16(), pa.binary(), pa.string_view(), pa.date32(), pa.date64()),
    *(pa.timestamp("us", "UTC"), pa.duration("s"), pa.decimal128(4, 2), pa.uuid(), pa.bool8()),
    *(pa.list_(pa.int64()), pa.struct({"a": pa.int64()}), pa.map_(pa.string(), pa.int64())),
    *(pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.float64(), 2)),
]
CODE = """
import pickle, sys
from runlake.exports.footers.stored_types import stored_type
found = [stored_type(bytes.fromhex(content)) for content in sys.argv[1:]]
assert pickle.loads(pickle.dumps(found)) == found
print(*found)
assert "pyarrow" not in sys.modules
"""


@pytest.mark.parametrize("dtype", SIMPLE, ids=str)
def test_a_number_a_boolean_and_a_text_have_the_name_that_arrow_uses(dtype):
    assert StoredType.of(dtype).simple == str(dtype)


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_other_types_are_left_to_arrow(dtype):
    assert StoredType.of(dtype).simple is None


@pytest.mark.parametrize("dtype", [*SIMPLE, *OTHERS], ids=str)
def test_a_type_is_the_same_after_it_was_stored(dtype):
    stored = StoredType.of(dtype)
    again = pickle.loads(pickle.dumps(stored))
    assert again == stored == stored_type(stored.content)
    assert (again.arrow, str(again)) == (dtype, str(dtype))
    assert again.is_struct == pa.types.is_struct(dtype)
    assert again.is_date == pa.types.is_date(dtype)
    assert again.is_null == pa.types.is_null(dtype)


def test_simple_types_are_recognised_without_pyarrow():
    contents = [StoredType.of(dtype).content.hex() for dtype in SIMPLE]
    command = [sys.executable, "-c", CODE, *contents]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(map(str, SIMPLE))


@pytest.mark.parametrize("length", [0, 8, 20, 60, 100])
def test_bytes_that_are_not_a_type_are_refused(length):
    cut = StoredType.of(pa.int64()).content[:length]
    with pytest.raises(ValueError, match="not a type"):
        StoredType(cut).checked()
