"""Live rows are fetched once, page by page, and read as often as needed."""

from typing import Any

import pyarrow as pa
import pytest

from runlake.errors import CommError
from runlake.history.live import spool
from runlake.history.live.spool import LiveRows, rows_table, table_columns
from runlake.values import StepRange

PAGES: list[list[dict[str, Any]]] = [
    [{"_step": 3, "a": 1}, {"_step": 5, "a": 2}],
    [],
    [{"_step": 8, "b": "x"}],
    [{"_step": 20, "a": 0.5}, {"_step": 30}],
]


@pytest.fixture(params=[1, 1 << 20], ids=["on disk", "in memory"])
def live(request, monkeypatch):
    monkeypatch.setattr(spool, "BYTES_IN_MEMORY", request.param)
    return LiveRows(iter(PAGES))


def test_pages_are_read_as_often_as_needed(live):
    assert list(live) == [page for page in PAGES if page]
    assert list(live) == [page for page in PAGES if page]


@pytest.mark.parametrize("steps", [StepRange(5, 21), StepRange(6, 8), StepRange(30), StepRange(31)])
def test_a_range_has_the_rows_within_it(live, steps):
    rows = [row for page in live.between(steps) for row in page]
    assert rows == [row for page in PAGES for row in page if steps.holds(row["_step"])]


def test_no_more_pages_are_fetched_than_read():
    fetched = []

    def pages():
        for page in PAGES:
            fetched.append(page)
            yield page

    live = LiveRows(pages())
    assert next(iter(live)) == PAGES[0]
    assert next(iter(live)) == PAGES[0]
    assert fetched == PAGES[:1]


def test_columns_have_a_type_for_the_values_of_all_pages(live):
    assert [(column.key, column.dtype) for column in live.columns()] == [
        ("a", pa.float64()),
        ("b", pa.large_string()),
    ]


@pytest.mark.parametrize(
    ("cells", "dtype", "stored"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([2**70, 1], pa.float64(), [float(2**70), 1.0]),
        ([True, False], pa.bool_(), [True, False]),
        ([True, 1.5], pa.binary(), [b"true", b"1.5"]),
        ([[True], [1]], pa.binary(), [b"[true]", b"[1]"]),
        ([1, "x"], pa.binary(), [b"1", b'"x"']),
        ([{}, {}], pa.binary(), [b"{}", b"{}"]),
        ([[{"a": {}}], []], pa.binary(), [b'[{"a": {}}]', b"[]"]),
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
