"""History lines of the SDK, and rows of the protocol made from them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.server.runs.lines import (
    LAST_STEP,
    NOT_NUMERIC,
    count_keys,
    even_positions,
    history_keys,
    merge_steps,
    parse_line,
    row_on_wire,
    sample_evenly,
    to_wire,
)

CELLS = st.recursive(
    st.none() | st.integers(-9, 9) | st.floats() | st.sampled_from(["", "NaN", "\u2028", "é"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("uv"), inner, max_size=2)
    ),
    max_leaves=3,
)
LINES = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), CELLS)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('{"_step": 3.0, "a": null}', {"_step": 3}),
        ('{"a": {"b": {"c": 1, "d": {}}}}', {"a.b.c": 1, "a.b.d": {}}),
        ('{"a": {"_type": "t", "b": null}}', {"a": {"_type": "t", "b": None}}),
        (f'{{"_step": {LAST_STEP}}}', {"_step": LAST_STEP}),
    ],
)
def test_a_line_is_a_flat_row(line, row):
    assert parse_line(line) == row


@pytest.mark.parametrize(
    "line",
    [
        *("", "[]", "3", "{" * 10**5, '{"_step": "3"}', '{"_step": 1.5}', '{"_step": -1}'),
        *('{"_step": true}', '{"_step": NaN}', '{"_step": Infinity}'),
        f'{{"_step": {LAST_STEP + 1}}}',
    ],
)
def test_a_line_that_is_no_row_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        parse_line(line)


@given(st.lists(LINES, min_size=1, max_size=3))
def test_the_row_on_the_wire_is_standard_json_of_all_lines_of_a_step(lines):
    texts = [json.dumps({"_step": 7, **line}) for line in lines]
    sent = json.loads(row_on_wire(7, texts), parse_constant=pytest.fail)
    (merged,) = merge_steps(map(parse_line, texts))
    assert sent == json.loads(json.dumps(to_wire(merged)))
    assert sent["_step"] == 7


def test_a_line_of_another_step_is_not_sent_as_it_is():
    # A step inside a text is none.
    line = '{"a": "\\"_step\\": 3,", "_step": 4}'
    assert json.loads(row_on_wire(4, [line])) == json.loads(line)


def test_numbers_that_json_lacks_are_texts_at_any_depth():
    assert to_wire({"a": [math.nan, -math.inf, 1.5, True]}) == {
        "a": ["NaN", "-Infinity", 1.5, True]
    }


def test_a_later_line_of_a_step_wins_key_by_key():
    rows = [{"_step": 5, "a": 1, "b": 1}, {"_step": 2}, {"_step": 5, "a": 2}]
    assert merge_steps(rows) == [{"_step": 2}, {"_step": 5, "a": 2, "b": 1}]
    assert rows[0] == {"_step": 5, "a": 1, "b": 1}


@given(st.integers(0, 50), st.integers(-1, 60))
def test_an_even_sample_has_the_first_and_the_last_row(n_rows, limit):
    positions = list(even_positions(n_rows, limit))
    assert len(positions) == max(0, min(n_rows, limit))
    assert positions == sorted(set(positions))
    if limit > 1 and n_rows:
        assert (positions[0], positions[-1]) == (0, n_rows - 1)
    rows = [{"_step": step} for step in range(n_rows)]
    assert sample_evenly(rows, limit) == [rows[position] for position in positions]


def test_keys_are_counted_by_type_and_know_whether_they_rise():
    facts: dict[str, Any] = {}
    count_keys(facts, [{"_step": 0, "a": 1, "m": {"_type": "histogram"}, "d": {}}])
    count_keys(facts, [{"_step": 1, "a": 0.5, "b": True}, {"_step": 2, "a": "x", "b": [1]}])
    count_keys(facts, [{"_step": 3, "a": math.nan}, {"_step": 4, "a": 10**400}])
    assert facts["a"] == {
        "types": {"number": 4, "string": 1},
        "previous": 0.5,
        "monotonic": False,
    }
    assert facts["b"] == {
        "types": {"bool": 1, "list": 1},
        "previous": NOT_NUMERIC,
        "monotonic": True,
    }
    assert set(facts["m"]["types"]) == {"histogram"}
    found = history_keys(facts, 4)
    assert found is not None
    assert found["lastStep"] == 4
    assert found["keys"]["_step"]["previousValue"] == 4
    assert {"type": "map", "count": 1} in found["keys"]["d"]["typeCounts"]
    assert history_keys({}, -1) is None


@pytest.mark.parametrize(
    "rows",
    [
        [
            {"_step": 0, "a": 1, "b": 2.5},
            {"_step": 1, "a": 0, "b": 3.5},
            {"_step": 2, "a": 5, "b": 3},
        ],
        [
            {"_step": 0, "a": 1},
            {"_step": 1, "b": True, "a": 2},
            {"_step": 2},
            {"a": "x", "_step": 3},
        ],
        [
            {"_step": 0, "a": 3},
            {"_step": 1, "a": 1},
            {"_step": 2, "a": math.inf},
            {"_step": 3, "a": 9},
        ],
        [{}, {}],
        [],
    ],
)
def test_keys_of_rows_are_counted_together_as_one_by_one(rows):
    together: dict[str, object] = {}
    single: dict[str, object] = {}
    count_keys(together, rows[:1])
    count_keys(together, rows[1:])
    for row in rows:
        count_keys(single, [row])
    assert together == single
