"""Filters of lists become plain JSON before anything is sent."""

from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest

from runlake.errors import InvalidArgument
from runlake.public.lists.filters import MAX_DEPTH, checked_filters


def test_filters_are_copied_as_json():
    filters = {"state": "finished", "$or": ({"a": 1}, MappingProxyType({"b": [None, True]}))}
    assert checked_filters(filters) == {
        "state": "finished",
        "$or": [{"a": 1}, {"b": [None, True]}],
    }
    assert checked_filters(None) == {}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006Z"),  # noqa: DTZ001
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))), "2026-01-01T23:00:00Z"),
        (date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_times_are_text_in_utc(moment, text):
    assert checked_filters({"createdAt": {"$gt": moment}}) == {"createdAt": {"$gt": text}}


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ("state=finished", "filters must be a dict"),
        ([("a", 1)], "filters must be a dict"),
        ({"a": {1, 2}}, "what JSON knows: {1, 2} is a set"),
        ({"a": object()}, "what JSON knows"),
        ({(1, 2): "a"}, "what JSON knows"),
    ],
)
def test_what_json_cannot_represent_is_refused(filters, why):
    with pytest.raises(InvalidArgument, match=why):
        checked_filters(filters)


def nested(depth):
    value: Any = "x"
    for _ in range(depth):
        value = {"$not": value}
    return value


def test_deep_nesting_is_refused():
    assert checked_filters(nested(MAX_DEPTH - 1))
    for depth in (MAX_DEPTH + 1, 5_000):
        with pytest.raises(InvalidArgument, match="nested more than 100 deep"):
            checked_filters(nested(depth))


def test_filters_that_hold_themselves_are_refused():
    filters: dict[str, object] = {}
    filters["a"] = filters
    with pytest.raises(InvalidArgument):
        checked_filters(filters)
