"""The columns that a query selects: by their own names where possible, else by position."""

import polars as pl
import pyarrow as pa
import pytest

from runlake.history.decode.selection import select_columns
from runlake.history.plan import sizes
from runlake.history.plan.key_columns import Column, KeyColumns

FRAME = pl.DataFrame({"_step": [0, 1], "*": [1, 2], "^a$": [0.5, 1.5], "val": [{"x": 3}, None]})


def whole(name, dtype):
    return Column.of(name, (name,), dtype)


def selected(*columns):
    selection = select_columns(KeyColumns(columns))
    return selection, FRAME.select(selection.expressions)


def test_whole_columns_keep_their_names_whatever_these_mean_to_polars():
    selection, frame = selected(whole("*", pa.int64()), whole("^a$", pa.float64()))
    assert (selection.is_as_stored, selection.is_numeric, selection.is_small) == (True,) * 3
    assert set(frame.columns) == {"_step", "*", "^a$"}
    assert frame["*"].to_list() == [1, 2]


def test_fields_of_structs_are_named_by_position():
    selection, frame = selected(
        whole("*", pa.int64()), Column.of("val.x", ("val", "x"), pa.int64())
    )
    assert not selection.is_as_stored
    assert list(selection.names) == ["0", "1"]
    assert frame.to_dicts() == [{"_step": 0, "0": 1, "1": 3}, {"_step": 1, "0": 2, "1": None}]


@pytest.mark.parametrize(
    ("dtype", "is_as_stored", "is_numeric", "is_small"),
    [
        (pa.float32(), True, True, True),
        (pa.bool_(), True, False, True),
        (pa.string(), True, False, False),
        (pa.list_(pa.int64()), True, False, False),
        # polars reads some dates as datetimes, so they have to be cast.
        (pa.date32(), False, False, True),
    ],
    ids=str,
)
def test_a_selection_knows_its_types(dtype, is_as_stored, is_numeric, is_small):
    selection = select_columns(KeyColumns([whole("k", dtype)]))
    assert selection.is_as_stored == is_as_stored
    assert selection.is_numeric == is_numeric
    assert selection.is_small == is_small


def test_shares_have_each_column_once(monkeypatch):
    monkeypatch.setattr(sizes, "COLUMNS_WORTH_A_THREAD", 1)
    selection, frame = selected(whole("*", pa.int64()), whole("^a$", pa.float64()))
    shared = [FRAME.select(share).columns for share in selection.shares]
    assert sorted(name for names in shared for name in names) == sorted(frame.columns)
    assert len(shared) == max(1, min(pl.thread_pool_size(), 3))


def test_a_selection_is_made_once():
    columns = KeyColumns([whole("k", pa.int64())])
    assert select_columns(columns) is select_columns(columns)
