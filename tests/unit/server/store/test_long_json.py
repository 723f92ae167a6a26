"""Long JSON is read and written as by the json module, a piece at a time."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runlake.server.store import long_json
from runlake.server.store.long_json import dumps_object, loads, loads_objects

CHARACTERS = st.sampled_from(["a", '"', "\\", "\n", "é", "\U0001f600", "\ud800", "{", ","])
TEXTS = st.text(CHARACTERS, max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def every_text_is_long():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "LONG", 0)
        patch.setattr(long_json, "SHORTEST_PIECE", 3)
        patch.setattr(long_json, "LONGEST_PIECE", 8)
        patch.setattr(long_json, "MEMBERS_PER_PIECE", 2)
        yield


@given(value=VALUES, is_ascii=st.booleans())
@example(value=["\U0001f600" * 5], is_ascii=True)
def test_every_value_is_read_as_by_json(value, is_ascii):
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert without_pairs(loads(text)) == without_pairs(json.loads(text))
    assert loads_objects(text) == json.loads(text)


def without_pairs(value):
    """Return JSON in which a pair of surrogates is equal to its character."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@given(text=st.text(st.sampled_from('"\\u0a1[]{},:n '), max_size=14))
@example(text='"' + "\\" * 40)
@example(text='"abcdefgh\\u12"')
@example(text='["abc\tdef"]')
@example(text='"\\')
def test_a_text_that_is_no_json_is_an_error_as_by_json(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"char \d"):
            loads(text)
    else:
        assert loads(text) == expected


@given(members=st.dictionaries(TEXTS, VALUES, max_size=7))
def test_an_object_is_written_as_by_json(members):
    assert dumps_object(members, json.JSONEncoder()) == json.dumps(members)


@pytest.mark.parametrize(
    "value",
    [
        [[at / 3, -at] for at in range(9_000)],
        {"a": list(range(9_000)), "b": [[0.5, 1e300]] * 9_000},
    ],
)
def test_texts_of_numbers_are_read_in_one_go_with_a_pause_at_each_number(value, monkeypatch):
    monkeypatch.setattr(long_json, "_PatientDecoder", None)
    assert loads(json.dumps(value)) == value
    assert loads('{"a": [' + "NaN, 1, " * 9_000 + "-Infinity]}")["a"][-1] == -math.inf
