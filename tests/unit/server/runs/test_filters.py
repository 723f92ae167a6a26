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
from runlake.server.runs.lists import count_runs
from runlake.server.store.database import Database
from runlake.server.store.patterns import matches_pattern


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
        ({"state": {"$regex": r"(a)\1"}}, "RE2's syntax, without lookaround and backreferences"),
        ({"state": {"$regex": "a" * 10_001}}, "more than 10,000 characters"),
        ({"state": {"$regex": "\ud800"}}, "no Unicode text"),
        ({"config.a" + ".value" * 6_000: 1}, "longer than 1,000 characters"),
        ({"config.a" + ".value" * 100: 1}, "more than 8 parts named 'value'"),
        ({f"config.{'a' * 900}": {"$all": [1] * 1_500}}, "long names too many times"),
        ({"tags": {"$all": [1] * 3_000}}, "2000 conditions at most"),
        (" " * 1_000_001, "longer than 1,000,000 characters"),
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


def test_a_long_list_of_values_is_one_condition_of_sql():
    for operand in ([None] * 50_000, [["a"]] * 50_000, list(range(50_000))):
        for field in ("tags", "config.a"):
            condition = parse_filters(json.dumps({field: {"$in": operand}}))
            assert len(condition.sql) < 1_000


def test_a_pattern_that_takes_exponential_time_in_python_is_found_at_once():
    assert not matches_pattern("^(a|a)*$", "a" * 100_000 + "b")
    assert matches_pattern("^(a|a)*b$", "a" * 100_000 + "b")


def test_a_filter_that_would_copy_large_documents_many_times_is_refused(tmp_path):
    database = Database(tmp_path / "runs.sqlite")
    config = json.dumps({f"key{n}": {"value": n} for n in range(20_000)})
    with database.transaction() as connection:
        connection.execute("INSERT INTO projects (id, entity, name) VALUES (1, 'me', 'p')")
        for name, text in (("small", "{}"), ("large", config)):
            connection.execute(
                "INSERT INTO runs (project_id, name, state, config, created_at, heartbeat_at) "
                "VALUES (1, ?, 'running', ?, 0, 0)",
                (name, text),
            )

    def count(n_conditions):
        conditions = [{f"config.key{n}": n} for n in range(n_conditions)]
        return count_runs(database, 1, json.dumps({"$or": conditions}))

    assert count(30) == 1
    with pytest.raises(Refused, match="use fewer conditions"):
        count(1_000)
    database.connection().execute("DELETE FROM runs WHERE name = 'large'")
    assert count(1_000) == 0
    database.connection().close()
