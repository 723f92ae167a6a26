"""Filters of runs: their limits and their mistakes. What they match is a property test's matter."""

import json
import sqlite3
from typing import Any

import pytest

from runlake.server.refused import Refused
from runlake.server.runs.filters import (
    ALWAYS,
    MAX_CONDITIONS,
    MAX_NESTING,
    parse_filters,
)


@pytest.mark.parametrize("text", [None, "", "{}", "null"])
def test_no_filter_matches_every_run(text):
    assert parse_filters(text) == ALWAYS


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ("nonsense", "not JSON"),
        ("[1]", r"a filter is an object, not \[1\]"),
        ({"$orr": []}, "unknown operator '\\$orr', perhaps '\\$or'"),
        ({"$or": {}}, r"\$or wants a list of filters"),
        ({"state": {"$gtt": 1}}, "unknown operator '\\$gtt' for 'state', perhaps '\\$gt'"),
        ({"state": {"$in": "x"}}, "want a list of values"),
        ({"tags": {"$all": "x"}}, r"\$all wants a list"),
        ({"state": {"$regex": "("}}, r"the pattern '\(' is wrong"),
        ({"state": {"$regex": 3}}, "wants a pattern"),
        ({"state": {"$not": 3}}, "wants operators"),
        ({"nonsense": 1}, "runs have no field"),
    ],
)
def test_a_filter_that_makes_no_sense_says_why(filters, why):
    text = filters if isinstance(filters, str) else json.dumps(filters)
    with pytest.raises(Refused, match=why):
        parse_filters(text)


def nested(depth):
    filters: dict[str, Any] = {"state": "x"}
    for _ in range(depth):
        filters = {"$not": filters}
    return json.dumps(filters)


def test_a_filter_may_be_so_large_and_no_larger():
    most = {"$or": [{"state": f"{n}"} for n in range(MAX_CONDITIONS - 1)]}
    condition = parse_filters(json.dumps(most))
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE runs (state)")
        database.execute(f"SELECT 1 FROM runs WHERE {condition.sql}", condition.values)
    database.close()
    most["$or"].append({"state": "one more"})
    for text in (json.dumps(most), nested(MAX_NESTING)):
        with pytest.raises(Refused, match="too large"):
            parse_filters(text)
    assert parse_filters(nested(MAX_NESTING - 1)).values


def test_values_are_bound_and_are_no_part_of_the_sql():
    condition = parse_filters(json.dumps({"state": "x'; DROP TABLE runs"}))
    assert "DROP" not in condition.sql
    assert condition.sql.count("?") == len(condition.values) == 1
    assert (~condition).values == condition.values
