"""The SQL of a lake's filter matches the same runs as a simple evaluation of the filter in Python.

The runs and filters are those with which the embedded backend is tested, whose code for filters is
another.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.property.test_run_filters import keeps, logged_and_filters

from runlake.cache.catalog import copy_in_memory
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LastOffer, StoredManifest
from runlake.errors import InvalidArgument
from runlake.lake.query.filters import MAX_CONDITIONS, MAX_NESTING, compile_filters
from runlake.lake.query.logged_keys import LoggedKeys
from runlake.lake.query.members import add_functions
from runlake.values import RunPath


def catalog_of(logged):
    for place, run in enumerate(logged):
        wrapped = {key: {"value": value} for key, value in run["config"].items()}
        attrs = {
            "config": json.dumps(wrapped),
            "summaryMetrics": json.dumps(run["summary"]),
            "tags": run["tags"],
        }
        path = RunPath("me", "p", str(place))
        offer = LastOffer(run["state"], None, 0, -1, 0, 0.0)
        yield RunDirectory(Path("/lake"), "http://b", path), StoredManifest({}, offer, attrs)


@settings(deadline=None)
@given(case=logged_and_filters())
def test_sql_keeps_the_runs_that_the_filter_language_keeps(case):
    logged, wanted = case
    expected = [str(place) for place, run in enumerate(logged) if keeps(run, wanted)]
    condition = compile_filters(json.loads(json.dumps(wanted)))
    tests = [*condition.probes, condition.sql]
    where = " AND ".join(f"({test.text})" for test in tests)
    values = [value for test in tests for value in test.values]
    with closing(copy_in_memory(catalog_of(logged))) as connection:
        add_functions(connection, LoggedKeys(Path("/lake")))
        query = f"SELECT run_id FROM runs WHERE {where} ORDER BY run_id"
        assert [row[0] for row in connection.execute(query, values)] == expected


def nested(depth):
    filters: dict[str, Any] = {"state": "x"}
    for _ in range(depth):
        filters = {"$not": filters}
    return filters


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"$orr": []}, "Did you mean '\\$or'"),
        ({"$or": {}}, "takes a list of filters"),
        ({"$and": [3]}, "A filter is a dict"),
        ({"state": {"$gtt": 1}}, "Did you mean '\\$gt"),
        ({"state": {"$in": "x"}}, "take a list of values"),
        ({"tags": {"$all": "x"}}, "takes a list of values"),
        ({"state": {"$regex": "("}}, "pattern '\\(' is wrong"),
        ({"state": {"$regex": 3}}, "takes a pattern"),
        ({"state": {"$not": 3}}, "takes operators"),
        ({"nonsense": 1}, "no field 'nonsense'"),
        ({"user": "x"}, "Did you mean 'username'"),
        ({"created_at": "noon"}, "is no time"),
        ({"config.a" + ".b" * 600: 1}, "too long"),
        ({"config.a" + ".value" * 20: 1}, "parts named 'value'"),
        ({"tags": {"$all": [1] * 3_000}}, "too large"),
        ({"$or": [{"state": "x"}] * MAX_CONDITIONS}, "too large"),
        (nested(MAX_NESTING), "too large"),
    ],
)
def test_a_filter_that_makes_no_sense_says_why(filters, why):
    with pytest.raises(InvalidArgument, match=why):
        compile_filters(filters)


def test_a_large_filter_is_within_the_limits_of_sqlite():
    most = {"$or": [{f"config.k{n}.x": {"$gt": n}} for n in range(MAX_CONDITIONS // 2 - 1)]}
    for filters in (most, nested(MAX_NESTING - 1)):
        condition = compile_filters(filters)
        with closing(copy_in_memory([])) as connection:
            add_functions(connection, LoggedKeys(Path("/lake")))
            query = f"SELECT 1 FROM runs WHERE {condition.sql.text}"
            assert connection.execute(query, condition.sql.values).fetchall() == []


def test_values_and_names_are_parameters_and_no_part_of_the_sql():
    odd = "x') OR 1=1; DROP TABLE runs --"
    for filters in ({"state": odd}, {f"config.{odd}": odd}, {f"config.{odd}": {"$regex": "a"}}):
        condition = compile_filters(filters)
        for part in (condition.sql, *condition.probes):
            assert "DROP" not in part.text
            assert part.text.count("?") == len(part.values)
