"""Sources of a frame: their columns get the names and types of the answer."""

import datetime as dt
import json

import polars as pl
import pyarrow as pa
import pytest

from runlake.errors import CommError
from runlake.exports.footers.stored_types import StoredType
from runlake.history.decode.expressions import from_arrow, polars_type
from runlake.history.frames.answer_types import answer_types
from runlake.history.frames.sources import empty_frame, keep_rows, live_frame, with_types
from runlake.history.plan.key_columns import Column, find_columns
from runlake.values import Projection

NUMBER = pa.float64()
UNION = pa.struct({"_type_float64": NUMBER, "_type_utf8": pa.string()})


def whole(key, dtype):
    return Column.of(key, (key,), dtype)


def test_a_key_has_the_common_type_of_its_sources():
    sources = [[whole("a", pa.int64()), whole("b", NUMBER)], [whole("a", NUMBER)]]
    assert answer_types(sources, None) == {"a": NUMBER, "b": NUMBER}
    assert answer_types(sources, ["x", "a"]) == {"x": pa.null(), "a": NUMBER}
    assert answer_types([*sources, [whole("a", pa.string())]], ["a"]) == {"a": None}
    with pytest.raises(CommError, match="no Unicode text"):
        answer_types([], ["\ud800"])


def test_an_empty_frame_has_the_columns_of_the_answer():
    schema = empty_frame({"a": NUMBER, "j": None}).schema
    assert schema == {"_step": pl.Int64, "a": pl.Float64, "j": pl.String}


@pytest.mark.parametrize(
    ("dtype", "target", "cells", "shown"),
    [
        (pa.int32(), NUMBER, [1, None], [1.0, None]),
        (pa.float16(), pa.float32(), [0.5, None], [0.5, None]),
        (pa.dictionary(pa.int8(), pa.string()), pa.large_string(), ["a", None], ["a", None]),
        (pa.date32(), pa.date32(), [dt.date(2026, 1, 2)], [dt.date(2026, 1, 2)]),
        (pa.timestamp("ms"), pa.timestamp("us"), [5], [dt.datetime(1970, 1, 1, 0, 0, 0, 5000)]),  # noqa: DTZ001
        (pa.list_(pa.int64(), 2), pa.large_list(NUMBER), [[1, 2], None], [[1.0, 2.0], None]),
        (pa.list_(pa.int64()), pa.large_list(NUMBER), [[], None, [1]], [[], None, [1.0]]),
        (pa.null(), NUMBER, [None, None], [None, None]),
        (
            pa.struct({"a": pa.int64(), "b": pa.string()}),
            pa.struct({"b": pa.large_string(), "c": NUMBER, "a": NUMBER}),
            [{"a": 1, "b": "x"}, None],
            [{"b": "x", "c": None, "a": 1.0}, None],
        ),
        (
            pa.list_(pa.struct({"a": pa.int64()})),
            pa.large_list(pa.struct({"a": NUMBER, "b": NUMBER})),
            [[{"a": 1}], None],
            [[{"a": 1.0, "b": None}], None],
        ),
        (UNION, None, [{"_type_utf8": "x"}, {"_type_float64": 1.0}, None], ['"x"', "1.0", None]),
        (pa.binary(), None, [b'{"a": 1}', b"\xff", None], ['{"a": 1}', '"/w=="', None]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_cells_of_a_source_are_cast_to_the_type_of_the_answer(dtype, target, cells, shown):
    table = pa.table({"_step": range(len(cells)), "k": pa.array(cells, dtype)})
    found = with_types(from_arrow(table).lazy(), [whole("k", dtype)], {"k": target}).collect()
    assert found["k"].to_list() == shown
    assert found.schema == {"_step": pl.Int64, "k": polars_type(target)}


def test_the_first_column_of_a_key_wins_where_both_have_a_value():
    table = pa.table(
        {
            "_step": [0, 1, 2],
            "v": pa.array([{"x": 1}, {"x": 2}, None], pa.struct({"x": pa.int64()})),
            "v.x": pa.array([None, 20, None], pa.int64()),
        }
    )
    columns = find_columns({f.name: StoredType.of(f.type) for f in table.schema}, None)
    found = with_types(from_arrow(table).lazy(), columns, answer_types([columns], None)).collect()
    assert found["v.x"].to_list() == [1, 20, None]


def test_live_rows_have_the_columns_of_the_answer():
    rows = [{"_step": 3, "a": 1, "m": {"n": 1}}, {"_step": 5, "m": "x"}]
    types = {"m": None, "a": NUMBER, "gone": pa.null()}
    found = live_frame(rows, types).collect()
    assert found.columns == ["_step", "m", "a", "gone"]
    assert [json.loads(cell) for cell in found["m"]] == [{"n": 1}, "x"]
    assert found["a"].to_list() == [1.0, None]


def test_rows_are_kept_by_all_keys_or_any():
    frame = pl.LazyFrame({"_step": [0, 1, 2], "a": [1, None, None], "b": [1, 2, None]})

    def steps(*keys, how="all"):
        return keep_rows(frame, Projection(keys or None, how)).collect()["_step"].to_list()

    assert steps("a", "b") == [0]
    assert steps("a", "b", how="any") == [0, 1]
    assert steps() == [0, 1, 2]
