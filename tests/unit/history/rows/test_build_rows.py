"""Rows from arrays: each filled cell is in its row, whatever columns are full or sparse."""

from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.history.decode.batches import Batch
from runlake.history.plan.key_columns import Column
from runlake.history.rows.build_rows import build_rows, last_step, lists_of
from runlake.values import Projection

CELLS = {
    pa.int64(): st.integers(-9, 9),
    pa.float32(): st.integers(-9, 9).map(float),
    pa.bool_(): st.booleans(),
    pa.string(): st.sampled_from(["a", "b\n", "'"]),
    pa.list_(pa.int64()): st.lists(st.integers(0, 3), max_size=2),
}


@st.composite
def tables(draw):
    """Draw columns of equal length: full, empty, or sparse, some of them in the same rows."""
    n_rows = draw(st.integers(1, 20))
    masks = [
        [True] * n_rows,
        [False] * n_rows,
        *draw(st.lists(st.lists(st.booleans(), min_size=n_rows, max_size=n_rows), max_size=2)),
    ]
    columns = []
    for number in range(draw(st.integers(0, 6))):
        dtype = draw(st.sampled_from(list(CELLS)))
        mask = draw(st.sampled_from(masks))
        cells = [draw(CELLS[dtype]) if is_filled else None for is_filled in mask]
        columns.append((f"key'{number}", dtype, cells))
    return n_rows, columns


def batch_of(n_rows, columns, offset=0):
    # A slice that starts inside a byte of the validity bits.
    steps = pa.array([0] * offset + list(range(n_rows)), pa.int64()).slice(offset)
    arrays = [pa.array([None] * offset + cells, dtype).slice(offset) for _, dtype, cells in columns]
    keys = tuple(Column.of(key, (key,), dtype) for key, dtype, _ in columns)
    return Batch(steps, keys, tuple(arrays))


def built(batch, projection=None):
    return [row for rows in build_rows(iter([batch]), projection or Projection()) for row in rows]


def expected_rows(n_rows, columns):
    return [
        {"_step": i, **{key: cells[i] for key, _, cells in columns if cells[i] is not None}}
        for i in range(n_rows)
    ]


@given(tables(), st.sampled_from([0, 1, 8, 13]))
def test_rows_have_exactly_the_filled_cells(table, offset):
    n_rows, columns = table
    assert built(batch_of(n_rows, columns, offset)) == expected_rows(n_rows, columns)


SMALL: dict[str, Any] = {
    "MIN_BUILD_ROWS": 1,
    "CELLS_PER_BUILD": 4,
    "CELLS_PER_DENSE_BUILD": 4,
    "CELLS_PER_COLUMN": 1,
}
NO_CODE = {"MAX_GENERATED_KEYS": 0, "KEYS_WORTH_CODE": 99, "COLUMNS_WORTH_A_MATRIX": 2}


@pytest.mark.parametrize("numbers", [SMALL, {"KEYS_WORTH_CODE": 1}, NO_CODE], ids=str)
@given(table=tables())
def test_every_way_to_build_rows_builds_the_same(numbers, table):
    with patch.multiple("runlake.history.plan.sizes", **numbers):
        assert built(batch_of(*table)) == expected_rows(*table)


def test_the_first_column_of_a_key_wins_where_both_have_a_value():
    columns = [
        ("k", pa.int64(), [1, None, None]),
        ("k", pa.int64(), [5, 6, None]),
        ("k", pa.int64(), [7, 7, 7]),
    ]
    assert [row["k"] for row in built(batch_of(3, columns))] == [1, 6, 7]


def test_a_json_null_is_no_value_and_a_row_without_its_keys_is_left_out():
    columns = [("j", pa.binary(), [b"1", b"null", b"[2]"]), ("x", pa.int64(), [1, 2, 3])]
    batch = batch_of(3, columns)
    assert built(batch) == [
        *({"_step": 0, "j": 1, "x": 1}, {"_step": 1, "x": 2}, {"_step": 2, "j": [2], "x": 3})
    ]
    steps = [row["_step"] for row in built(batch, Projection(("j", "x")))]
    assert steps == [0, 2]
    assert len(built(batch, Projection(("j", "x"), "any"))) == 3
    alone = batch_of(3, columns[:1])
    assert [row["_step"] for row in built(alone, Projection(("j",), "any"))] == [0, 2]


def test_batches_of_rows_pass_as_they_are():
    rows = ({"_step": 0}, {"_step": 1})
    batch = Batch(pa.array([0, 1]), (), (), rows)
    assert list(build_rows(iter([batch]), Projection())) == [list(rows)]


def test_the_first_rows_arrive_in_a_small_list():
    n_rows = 50_000
    texts = ("t", pa.string(), ["a"] * n_rows)
    first, *others = build_rows(iter([batch_of(n_rows, [texts])]), Projection())
    assert len(first) < n_rows / 4
    assert len(first) + sum(map(len, others)) == n_rows


@pytest.mark.parametrize("dtype", [pa.int8(), pa.uint64(), pa.float16(), pa.float32()], ids=str)
def test_rows_of_numbers_are_the_same_one_by_one_and_in_lists(dtype):
    columns = [("x", dtype, pa.array(range(100)).cast(dtype).to_pylist())]
    (rows,) = build_rows(iter([batch_of(100, columns)]), Projection())
    assert list(rows) == expected_rows(100, columns)
    assert {type(row["x"]) for row in rows} == {type(columns[0][2][0])}
    assert last_step(rows) == 99
    with patch.multiple("runlake.history.plan.sizes", **SMALL):
        lists = list(lists_of(rows))
    assert len(lists) == 50
    assert [row for some in lists for row in some] == list(rows)
