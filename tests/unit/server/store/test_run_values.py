"""Config and summary as standard JSON by dotted paths, as SQLite reads them."""

import json
import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.server.store import run_values
from runlake.server.store.patterns import matches_pattern
from runlake.server.store.run_values import (
    MAX_BYTES,
    clean_text,
    config_values,
    json_path,
    standard_json,
    summary_values,
    work_ahead,
)

KEYS = st.text(st.characters(exclude_characters="\0"), max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


@given(value=VALUES)
def test_every_value_is_json_that_sqlite_reads(database, value):
    assert database.execute("SELECT json_valid(?)", (standard_json(value),)).fetchone() == (1,)


@given(key=KEYS, value=st.integers(-99, 99))
def test_a_key_is_found_by_its_path_whatever_its_characters(database, key, value):
    text = summary_values(json.dumps({key: value}))
    path = json_path(key)
    assert "'" not in path
    assert database.execute(f"SELECT json_extract(?, '{path}')", (text,)).fetchone() == (value,)


def test_nested_values_are_found_by_dotted_paths_and_the_longer_key_wins():
    values = json.loads(summary_values('{"a": {"b": 1, "c": {"d": 2}}, "a.b": 5}'))
    assert (values["a.b"], values["a.c.d"], values["a"]) == (5, 2, {"b": 1, "c": {"d": 2}})
    wrapped = json.loads(config_values('{"lr": {"value": 0.5, "desc": null}, "x": 3}'))
    assert wrapped == {"lr": 0.5, "x": 3}


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "{" * 10**5])
def test_a_text_that_is_no_object_has_no_values(text):
    assert summary_values(text) == config_values(text) == "{}"


def test_equal_values_have_equal_texts():
    assert standard_json(2.0) == standard_json(2) == "2"
    assert standard_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'
    assert standard_json(math.nan) == "null"
    assert float(standard_json(math.inf)) == math.inf
    assert float(standard_json([-math.inf])[1:-1]) == -math.inf
    assert standard_json(2.0**60) == str(2.0**60)


def test_texts_have_no_character_that_sqlite_cuts():
    assert clean_text("a\0b\ud800") == "a\1b?"


def test_a_pattern_is_found_in_texts_only():
    assert matches_pattern("^a.c", "abcd")
    assert not matches_pattern("1", 1)


def nested(depth, inner):
    for _ in range(depth):
        inner = {"d": inner}
    return inner


@pytest.mark.parametrize("wide", [{f"k{n}": "x" * 90 for n in range(60_000)}, ["x" * 90] * 60_000])
def test_a_document_that_repeats_itself_takes_limited_room(wide):
    document = {"loss": 1, "wide": nested(32, wide), "lr": 2}
    text = summary_values(json.dumps(document))
    assert len(text) < 2 * MAX_BYTES
    values = json.loads(text)
    # What is too large is known to exist.
    assert (values["loss"], values["lr"], values["wide"], values["wide.d.d"]) == (1, 2, {}, {})


def test_a_wide_document_of_usual_size_is_complete():
    wide = {f"group.key{n}": n for n in range(100_000)}
    assert json.loads(summary_values(json.dumps(wide))) == wide


def test_values_of_long_documents_are_computed_before_the_transaction(monkeypatch):
    text = json.dumps({f"key{n}": n for n in range(10_000)})
    expected = summary_values(text), config_values(text)
    work_ahead(config=text, summary=text)
    with monkeypatch.context() as patch:
        patch.setattr(run_values, "loads", lambda *_, **__: pytest.fail("parsed again"))
        assert (summary_values(text), config_values(text)) == expected
    # They are used once, so that they do not stay in memory.
    assert (summary_values(text), config_values(text)) == expected
