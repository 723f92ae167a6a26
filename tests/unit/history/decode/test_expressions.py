"""Expressions over columns with any names, and frames from and to Arrow."""

import math
from datetime import date

import polars as pl
import pyarrow as pa
import pytest

from runlake.history.decode.expressions import (
    all_named,
    are_present,
    from_arrow,
    in_range,
    named,
    pick,
    polars_type,
    stored,
    to_arrow,
    whole_step,
)
from runlake.history.plan.key_columns import Column
from runlake.values import StepRange

NAMES = ["a", "*", "^.*$", "^", "", 'it\'s "q"', "ключ", "a.b"]
FRAME = pl.DataFrame({name: [number] for number, name in enumerate(NAMES)})


@pytest.mark.parametrize("name", NAMES)
def test_a_column_is_found_by_exactly_its_name(name):
    assert FRAME.select(named(name)).columns == [name]
    assert FRAME.select(all_named([name])).columns == [name]
    assert pick(FRAME, [name, name]).columns == [name]


def test_columns_are_picked_in_the_given_order():
    assert pick(FRAME, ["^.*$", "a", "*"]).columns == ["^.*$", "a", "*"]


@pytest.mark.parametrize("name", ["", "a\0b", "*"])
def test_names_that_polars_changes_survive_the_way_to_arrow_and_back(name):
    table = pa.table({name: [1, 2], "b": ["x", None]})
    frame = from_arrow(table)
    assert frame.columns == [name, "b"]
    back = to_arrow(frame)
    assert back.column_names == [name, "b"]
    assert back.to_pydict() == table.to_pydict()


def test_fields_of_structs_are_read_by_exactly_their_names():
    frame = pl.DataFrame({"s": [{"^.*$": 1, "b": {"c": 2}}, None, {"^.*$": None, "b": None}]})
    odd = Column.of("s.^.*$", ("s", "^.*$"), pa.int64())
    deep = Column.of("s.b.c", ("s", "b", "c"), pa.int64())
    assert frame.select(stored(odd)).to_series().to_list() == [1, None, None]
    assert frame.select(stored(deep)).to_series().to_list() == [2, None, None]


def test_dates_are_dates():
    frame = pl.DataFrame({"d": [date(2026, 1, 2)]}).cast(pl.Datetime("ms"))
    column = Column.of("d", ("d",), pa.date32())
    assert frame.select(stored(column)).to_series().to_list() == [date(2026, 1, 2)]


@pytest.mark.parametrize("dtype", [pl.Int32, pl.UInt64, pl.Float64, pl.Int64])
def test_a_step_is_an_integer_of_64_bits(dtype):
    frame = pl.DataFrame({"_step": pl.Series([0, 7, None], dtype=dtype)}).select(whole_step())
    assert frame.schema == {"_step": pl.Int64}
    assert frame["_step"].to_list() == [0, 7, None]


def test_a_step_that_is_none_is_null():
    frame = pl.DataFrame({"_step": [math.nan, 1e300, -1.0, 3.0]}).select(whole_step())
    assert frame["_step"].to_list() == [None, None, -1, 3]
    huge = pl.DataFrame({"_step": pl.Series([2**64 - 1], dtype=pl.UInt64)}).select(whole_step())
    assert huge["_step"].to_list() == [None]


@pytest.mark.parametrize("steps", [StepRange(2, 4), StepRange(3), StepRange(0, 0), StepRange()])
def test_rows_are_in_range_as_the_range_says(steps):
    frame = pl.DataFrame({"_step": [0, 1, 2, 3, 4, None]})
    found = frame.filter(in_range(steps))["_step"].to_list()
    assert found == [step for step in range(5) if steps.holds(step)]


def test_rows_have_all_columns_or_any():
    frame = pl.DataFrame({"^a$": [1, 1, None, None], "*": [1, None, 1, None]})
    assert frame.select(are_present(["^a$", "*"], "all")).to_series().to_list() == [
        *(True, False, False, False)
    ]
    assert frame.select(are_present(["^a$", "*"], "any")).to_series().to_list() == [
        *(True, True, True, False)
    ]


def test_the_type_of_json_text_is_text():
    assert polars_type(None) == pl.String
    assert polars_type(pa.large_list(pa.struct({"a": pa.float32()}))) == pl.List(
        pl.Struct({"a": pl.Float32})
    )
