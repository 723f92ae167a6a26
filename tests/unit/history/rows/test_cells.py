"""Cells of exports and of live rows become the same Python values."""

import datetime as dt
import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.rows.cells import cell_reader, filled, read_optional
from runlake.history.rows.json_cells import clean_json, flatten

UNION = pa.struct(
    {"_type_float64": pa.float64(), "_type_utf8": pa.string(), "_type_json": pa.binary()}
)
FINITE = st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.integers() | FINITE | st.sampled_from(["", "x", "Infinity"]) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("uv"), inner, max_size=2)
    ),
    max_leaves=4,
)


def read(cells, dtype):
    array = pa.array(cells, dtype)
    return read_optional(array, cell_reader(array.type))


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        (pa.int64(), [1, None, -(2**63)]),
        (pa.uint64(), [2**64 - 1, None]),
        (pa.float32(), [0.5, None, math.inf]),
        (pa.bool_(), [True, None, False, False]),
        (pa.string(), ["a", None, ""]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", None, "b", "a"]),
        (pa.list_(pa.int64()), [[1, 2], None, [], [None]]),
        (pa.large_list(pa.string()), [["a"], None, []]),
        (pa.list_(pa.int64(), 2), [[1, 2], None, [3, None]]),
        (pa.decimal128(6, 2), [Decimal("1.50"), None]),
        (pa.date32(), [dt.date(2026, 1, 2), None]),
        (pa.timestamp("us", "UTC"), [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), None]),
        (pa.duration("ms"), [dt.timedelta(seconds=1.5), None]),
        (pa.time64("us"), [dt.time(1, 2, 3), None]),
        (pa.null(), [None, None]),
        (pa.list_(pa.list_(pa.float64())), [[[0.5], []], None, [None]]),
    ],
    ids=str,
)
def test_cells_of_a_type_are_read_whole_and_from_the_middle(dtype, cells):
    array = pa.array(cells, dtype)
    reader = cell_reader(array.type)
    assert read_optional(array, reader) == cells
    assert read_optional(array.slice(1), reader) == cells[1:]
    assert read_optional(array.slice(0, 0), reader) == []
    assert filled(array.slice(1)) == [i for i, cell in enumerate(cells[1:]) if cell is not None]


def test_numbers_keep_their_types():
    assert [type(cell) for cell in read([1, 2], pa.int32())] == [int, int]
    assert [type(cell) for cell in read([1, 2], pa.float64())] == [float, float]
    assert [type(cell) for cell in read([True], pa.bool_())] == [bool]


def test_texts_for_non_finite_numbers_are_numbers_at_any_depth():
    nan, high, low, text = read(["NaN", "Infinity", "-Infinity", "nan"], pa.string())
    assert math.isnan(nan)
    assert (high, low, text) == (math.inf, -math.inf, "nan")
    assert read([["Infinity", "x"]], pa.list_(pa.string())) == [[math.inf, "x"]]
    assert read([{"a": "-Infinity"}], pa.struct({"a": pa.string()})) == [{"a": -math.inf}]


def test_structs_are_dicts_without_their_nulls():
    dtype = pa.struct({"_type": pa.string(), "n": pa.int64(), "l": pa.list_(pa.int64())})
    cells = [{"_type": "t", "n": None, "l": [1]}, None, {"_type": None, "n": None, "l": None}]
    assert read(cells, dtype) == [{"_type": "t", "l": [1]}, None, {}]


def test_a_union_is_its_one_member():
    cells = [
        {"_type_float64": 0.5},
        {"_type_utf8": "Infinity"},
        {"_type_json": b'{"a": [1, null], "b": null}'},
        None,
        {},
    ]
    dtype = pa.struct({"_type": pa.string(), "u": UNION})
    assert read([{"_type": "t", "u": {}}], dtype) == [{"_type": "t"}]
    assert read(cells, UNION) == [0.5, math.inf, {"a": [1, None]}, None, None]


def test_maps_are_dicts_without_their_nulls():
    assert read([[("u", 1), ("v", None)], None, []], pa.map_(pa.string(), pa.int64())) == [
        *({"u": 1}, None, {})
    ]


@given(JSON)
def test_json_in_bytes_and_live_rows_agree(value):
    (stored,) = read([json.dumps(value).encode()], pa.binary())
    assert stored == clean_json(value)


def test_bytes_that_are_no_json_stay_bytes():
    assert read([b"\xff", b"{", None], pa.binary()) == [b"\xff", b"{", None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_that_python_cannot_represent_are_texts(unit):
    years = {"s": 10**12, "ms": 10**15, "us": 10**18, "ns": 10**18}
    (found,) = read([years[unit]], pa.timestamp(unit))
    if unit == "ns":
        assert found == dt.datetime(2001, 9, 9, 1, 46, 40)  # noqa: DTZ001
    else:
        assert isinstance(found, str)
        assert int(found.split("-")[0]) > 9999


def test_dates_and_durations_that_python_cannot_represent_are_texts():
    near, far = read([0, 10**7], pa.date32())
    assert (near, far[:5]) == (dt.date(1970, 1, 1), "29349")
    assert read([10**7 * 86_400_000], pa.date64()) == [far]
    assert read([2**62], pa.duration("s")) == [f"{2**62} seconds"]
    assert read([1, 2**62], pa.timestamp("s", "UTC"))[0] == dt.datetime(
        1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC
    )


def test_nanoseconds_are_cut_to_microseconds():
    (moment,) = read([1_999], pa.timestamp("ns"))
    assert moment == dt.datetime(1970, 1, 1, 0, 0, 0, 1)  # noqa: DTZ001


@given(st.dictionaries(st.sampled_from(["a", "b", "a.b", "_type"]), JSON, max_size=4))
def test_flat_rows_have_no_nulls_and_no_nested_keys(row):
    flat = flatten(row)
    assert None not in flat.values()
    for value in flat.values():
        assert not isinstance(value, dict) or not value or "_type" in value
    assert flatten(flat) == flat


def test_nested_keys_are_dotted_media_and_empty_dicts_are_not():
    row = {"a": {"b": {"c": 1}, "d": None, "e": []}, "m": {"_type": "x", "y": None}, "o": {}}
    assert flatten(row) == {"a.b.c": 1, "a.e": [], "m": {"_type": "x"}, "o": {}}
    assert flatten({"x": "NaN", "t": True})["t"] is True
    assert math.isnan(flatten({"x": "NaN"})["x"])
