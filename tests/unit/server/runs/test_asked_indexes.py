"""Which lists of a large project use an index, by SQLite's own plan."""

import json

import pytest

from runlake.server.runs import asked_indexes
from runlake.server.runs.lists import count_runs, list_runs
from runlake.server.store.database import Database

SUMMARY = "summary_metrics.loss"


class Explained(Database):
    """Keeps the plan of the last query of runs."""

    plan = ""

    def rows(self, statement, *values):
        if " FROM runs JOIN" in statement:
            self.plan = self.explain(statement, values)
        return super().rows(statement, *values)

    def row(self, statement, *values):
        if " FROM runs JOIN" in statement:
            self.plan = self.explain(statement, values)
        return super().row(statement, *values)

    def explain(self, statement, values):
        steps = self.connection().execute(f"EXPLAIN QUERY PLAN {statement}", values)
        return "\n".join(step["detail"] for step in steps)


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.setattr(asked_indexes, "MIN_RUNS", 5)
    database = Explained(tmp_path / "runlake.sqlite")
    with database.transaction() as connection:
        connection.execute("INSERT INTO projects (entity, name) VALUES ('anna', 'p')")
        for at in range(20):
            connection.execute(
                "INSERT INTO runs (project_id, name, display_name, state, summary, config, "
                "created_at, heartbeat_at) VALUES (1, ?, ?, 'finished', ?, ?, ?, ?)",
                (
                    f"r{at}",
                    f"swift-{at}",
                    json.dumps({"loss": at % 7} if at % 5 else {}),
                    json.dumps({"lr": {"value": at}, "net": {"value": {"depth": at}}}),
                    float(at),
                    float(at),
                ),
            )
    return database


def names(page):
    return [int(row["name"][1:]) for row in page.rows]


def listed(database, *, filters=None, order=None, after=None, first=50):
    text = None if filters is None else json.dumps(filters)
    return list_runs(database, 1, filters=text, order=order, first=first, after=after)


WITH_INDEX = {
    "equal": {SUMMARY: 3},
    "one of": {SUMMARY: {"$in": [3, 4]}},
    "greater": {SUMMARY: {"$gt": 3}},
    "a range": {SUMMARY: {"$gte": 3, "$lt": 5}},
    "a value of a config": {"config.lr.value": {"$lt": 4}},
    "a nested value": {"config.net.value.depth": 4},
    "a field of the run": {"display_name": "swift-4"},
    "a time": {"heartbeat_at": {"$lt": 4}},
    "two fields": {"$and": [{SUMMARY: {"$gt": 2}}, {"display_name": {"$ne": "swift-3"}}]},
}
WITHOUT_INDEX = {
    "not equal": {SUMMARY: {"$ne": 3}},
    "none of": {SUMMARY: {"$nin": [3, 4]}},
    "missing": {SUMMARY: {"$exists": False}},
    "a pattern": {"display_name": {"$regex": "9$"}},
    "alternatives": {"$or": [{SUMMARY: 3}, {"config.lr.value": 4}]},
    "a denial": {"$not": {SUMMARY: 3}},
}


@pytest.mark.parametrize("what", WITH_INDEX)
def test_comparisons_of_a_field_use_an_index_on_it(database, what):
    filters = WITH_INDEX[what]
    page = listed(database, filters=filters)
    assert "SEARCH runs USING INDEX asked_" in database.plan
    assert "project_id=? AND <expr>" in database.plan or "project_id=? AND " in database.plan
    count = count_runs(database, 1, json.dumps(filters))
    assert "asked_" in database.plan
    assert count == len(page.rows) > 0


def test_a_pattern_with_a_text_of_its_own_is_searched_in_an_index(database):
    filters = {"display_name": {"$regex": "ft-1.*"}}
    assert names(listed(database, filters=filters)) == [1, *range(10, 20)]
    assert "COVERING INDEX asked_" in database.plan
    assert count_runs(database, 1, json.dumps(filters)) == 11
    page = listed(database, filters=filters, order="-created_at", first=3)
    assert names(page) == [19, 18, 17]
    page = listed(database, filters=filters, order="-created_at", first=3, after=page.cursors[-1])
    assert names(page) == [16, 15, 14]


@pytest.mark.parametrize("what", WITHOUT_INDEX)
def test_other_filters_walk_the_runs_of_the_project_in_order_of_creation(database, what):
    page = listed(database, filters=WITHOUT_INDEX[what])
    assert "SEARCH runs USING INDEX runs_by_creation (project_id=?)" in database.plan
    assert "TEMP B-TREE" not in database.plan
    assert names(page) == sorted(names(page)) != []


@pytest.mark.parametrize("order", [f"+{SUMMARY}", f"-{SUMMARY}", "-heartbeat_at", "+config.lr"])
def test_orders_use_an_index_and_sort_only_ties(database, order):
    expected = listed(database, order=order)
    assert "SEARCH runs USING INDEX asked_" in database.plan
    assert "TEMP B-TREE FOR ORDER BY" not in database.plan
    found, page = [], listed(database, order=order, first=3)
    found += names(page)
    while page.has_next:
        page = listed(database, order=order, first=3, after=page.cursors[-1])
        assert "SEARCH runs USING INDEX asked_" in database.plan
        found += names(page)
    assert found == names(expected)


def test_runs_without_the_field_come_last_in_both_directions(database):
    missing = [0, 5, 10, 15]
    assert names(listed(database, order=f"+{SUMMARY}"))[-4:] == missing
    assert names(listed(database, order=f"-{SUMMARY}"))[-4:] == missing


def test_small_projects_and_orders_of_creation_need_no_index(database, monkeypatch):
    listed(database, order="-created_at")
    monkeypatch.setattr(asked_indexes, "MIN_RUNS", 50)
    listed(database, order=f"-{SUMMARY}")
    assert "asked_" not in database.plan


def test_indexes_are_few_and_only_idle_ones_are_replaced(database, monkeypatch):
    monkeypatch.setattr(asked_indexes, "MAX_INDEXES", 2)
    for key in ("a", "b", "c", "a"):
        listed(database, order=f"+config.{key}")
    assert "TEMP B-TREE FOR ORDER BY" not in database.plan
    listed(database, order="+config.c")
    assert "TEMP B-TREE FOR ORDER BY" in database.plan
    monkeypatch.setattr(asked_indexes, "IDLE_SECONDS", 0.0)
    listed(database, order="+config.c")
    assert "TEMP B-TREE FOR ORDER BY" not in database.plan


def test_a_key_with_a_quote_or_the_tables_name_has_an_index_of_its_own(database):
    for key in ("it's", "runs.x", 'a"b', "a.value"):
        assert len(listed(database, order=f"+config.{key}").rows) == 20
        assert "asked_" in database.plan


def test_an_index_covers_the_runs_of_its_project_only(database):
    listed(database, order=f"+{SUMMARY}")
    (index,) = database.rows("SELECT sql FROM sqlite_schema WHERE name GLOB 'asked_*'")
    assert index["sql"].endswith("WHERE project_id = 1")
