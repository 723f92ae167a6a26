"""Live rows are fetched once, page by page, and read as often as needed."""

from typing import Any

import pyarrow as pa
import pytest

from runlake.history.live import spool
from runlake.history.live.spool import LiveRows
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
