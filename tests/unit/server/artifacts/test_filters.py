"""Filters of artifact collections."""

import json
from typing import Any

import pytest

from runlake.server.artifacts.filters import MAX_NESTING, collection_filter
from runlake.server.refused import Refused

FIELDS = frozenset({"name", "state"})
Row = dict[str, str | None]
ROWS: list[Row] = [{"name": "data", "state": "x"}, {"name": "model", "state": None}]


def kept(filters):
    keep = collection_filter(json.dumps(filters), FIELDS)
    return [row["name"] for row in ROWS if keep(row)]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["data", "model"]),
        ({"name": "data"}, ["data"]),
        ({"name": {"$eq": "data"}}, ["data"]),
        ({"name": {"$ne": "data"}}, ["model"]),
        ({"state": None}, ["model"]),
        ({"state": {"$ne": None}}, ["data"]),
        ({"name": {"$in": ["model", "x"]}}, ["model"]),
        ({"name": {"$nin": ["model", "x"]}}, ["data"]),
        ({"name": {"$contains": "od"}}, ["model"]),
        ({"state": {"$contains": ""}}, ["data"]),
        ({"name": {"$regex": "^d"}}, ["data"]),
        ({"$and": [{"name": "data"}, {"state": "x"}]}, ["data"]),
        ({"$or": [{"name": "data"}, {"state": None}]}, ["data", "model"]),
        ({"$nor": [{"name": "data"}]}, ["model"]),
        ({"$not": {"name": "data"}}, ["model"]),
        ({"name": "data", "state": None}, []),
    ],
)
def test_a_filter_keeps_the_rows_that_match(filters, names):
    assert kept(filters) == names


@pytest.mark.parametrize(
    "filters",
    [
        *([1], 3, {"other": "x"}, {"name": 3}, {"name": {"$gt": "x"}}, {"name": {"$regex": "("}}),
        *({"name": {"$in": "x"}}, {"$or": {}}, {"$or": [3]}, {"name": "x" * 100_000}),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(filters):
    with pytest.raises(Refused):
        kept(filters)


def test_nesting_is_bounded():
    filters: dict[str, Any] = {"name": "data"}
    for _ in range(MAX_NESTING - 1):
        filters = {"$not": filters}
    assert kept(filters) == ["model"]
    with pytest.raises(Refused):
        kept({"$not": filters})


def test_a_text_that_is_no_json_is_refused():
    for text in ("{", "[" * 10**5):
        with pytest.raises(Refused, match="not JSON"):
            collection_filter(text, FIELDS)
    assert collection_filter(None, FIELDS)(ROWS[0])
