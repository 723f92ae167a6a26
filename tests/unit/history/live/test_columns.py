"""Live rows become Arrow columns, with a type for all cells of a key."""

import pyarrow as pa
import pytest

from runlake.errors import CommError
from runlake.history.live.columns import column_types, rows_table, table_columns


@pytest.mark.parametrize(
    ("cells", "dtype", "stored"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([2**70, 1], pa.float64(), [float(2**70), 1.0]),
        ([2**63, 1], pa.float64(), [float(2**63), 1.0]),
        ([2**63, 2**64 - 1], pa.uint64(), [2**63, 2**64 - 1]),
        ([[2**60 + 1], [0.5]], pa.large_list(pa.float64()), [[float(2**60)], [0.5]]),
        ([True, False], pa.bool_(), [True, False]),
        ([True, 1.5], pa.binary(), [b"true", b"1.5"]),
        ([[True], [1]], pa.binary(), [b"[true]", b"[1]"]),
        ([1, "x"], pa.binary(), [b"1", b'"x"']),
        ([{}, {}], pa.binary(), [b"{}", b"{}"]),
        ([[{"a": {}}], []], pa.binary(), [b'[{"a": {}}]', b"[]"]),
        ([{}, {"a": 1}], None, [{"a": None}, {"a": 1}]),
        ([{"a": True, "b": 1}], None, [{"a": True, "b": 1}]),
        ([{"a": 1}, {"b": "x"}], None, [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        (["a\ud800", "b"], pa.binary(), [b'"a\\ud800"', b'"b"']),
    ],
    ids=str,
)
def test_cells_without_a_common_type_are_json(cells, dtype, stored):
    table = rows_table([{"_step": i, "k": cell} for i, cell in enumerate(cells)])
    assert table["k"].to_pylist() == stored
    if dtype is not None:
        assert table["k"].type == dtype
        assert table_columns(table)[0].dtype == dtype


def test_a_key_that_cannot_name_a_column_is_refused():
    with pytest.raises(CommError, match="no Unicode text"):
        rows_table([{"_step": 0, "\ud800": 1}])


def test_cells_are_converted_to_a_type_that_was_found_over_other_rows_too():
    types = {"a": pa.float64(), "b": None, "c": pa.struct([("n", pa.int64())]), "gone": pa.int64()}
    table = rows_table([{"_step": 0, "a": 1, "b": 0, "c": {"n": 1}, "other": 1}], types)
    assert table.to_pylist() == [{"_step": 0, "a": 1.0, "b": b"0", "c": {"n": 1}}]


def test_a_type_of_no_row_is_empty():
    assert column_types([]) == {}
