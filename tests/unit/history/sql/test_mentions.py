"""Which columns a query may read, by DuckDB's own syntax tree."""

import pytest

from runlake.history.sql.mentions import find_mentions

KEYS = {"a", "b", "c", "_step", "val/acc", "history"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT count(*) FROM history", set()),
        ("SELECT max(A) FROM history WHERE b > 1 ORDER BY _STEP", {"a", "b", "_step"}),
        ('SELECT "val/acc", h.c FROM history h', {"val/acc", "c"}),
        ("FROM history SELECT a", {"a"}),
        ("WITH x AS (SELECT b FROM history) SELECT avg(b) FROM x", {"b"}),
        ("SELECT a FROM history JOIN (SELECT b FROM history) s USING (b)", {"a", "b"}),
        ("SELECT a FROM history WHERE b IN (SELECT c FROM history)", {"a", "b", "c"}),
        ("SELECT a FROM history QUALIFY row_number() OVER (ORDER BY b) = 1", {"a", "b"}),
        ("SELECT count(*) FILTER (WHERE a > 1), list(b ORDER BY c) FROM history", {"a", "b", "c"}),
        ("SELECT list_transform([1], x -> x + a) FROM history", {"a"}),
        ("SELECT a FROM history UNION BY NAME SELECT b FROM history", {"a", "b"}),
        ("SELECT a FROM history GROUP BY ALL", {"a"}),
        ("SELECT CASE WHEN a > 1 THEN b END, {'k': c} FROM history", {"a", "b", "c"}),
    ],
)
def test_names_of_columns_that_a_query_reads_are_mentioned(query, names):
    found = find_mentions(query)
    assert found.is_select
    assert found.names is not None
    assert found.names & (KEYS - {"history"}) == names


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM history",
        "SELECT * EXCLUDE (a) FROM history",
        "FROM history",
        "SELECT h.* FROM history h",
        "SELECT COLUMNS('a.*') FROM history",
        "SELECT count(COLUMNS(*)) FROM history",
        "SELECT #1 FROM history",
        "SELECT history FROM history",
        "SELECT h FROM history AS h",
        "SELECT to_json(h) FROM history AS h",
        "SELECT x FROM history AS h(x, y)",
        "SELECT a FROM history NATURAL JOIN history",
        "SELECT a FROM query_table('history')",
        "SUMMARIZE history",
        "DESCRIBE history",
        "UNPIVOT history ON a, b",
        "SELECT a FROM history ORDER BY ALL",
    ],
)
def test_a_query_that_reads_columns_without_naming_them_may_read_all(query):
    found = find_mentions(query)
    assert found.is_select
    assert found.names is None


@pytest.mark.parametrize(
    "query",
    ["SET threads = 1", "CREATE TABLE x AS SELECT 1", "PIVOT history ON a", "SELEC a"],
)
def test_nothing_is_known_of_what_is_no_select(query):
    found = find_mentions(query)
    assert not found.is_select
    assert found.names is None


def test_several_statements_may_read_all():
    found = find_mentions("SELECT a FROM history; SELECT b FROM history")
    assert found.is_select
    assert found.names is None
