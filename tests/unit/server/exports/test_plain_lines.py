import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.server.exports.columns import columns_of
from runlake.server.exports.plain_lines import read_plain

NAMES = st.sampled_from(["a", "b", "a.b", "_type", "_timestamp", "x y", "é", "null"])
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.none(),
)
ODD = st.one_of(st.booleans(), st.integers(), st.floats(), st.text('ab":\\\n€', max_size=4))
PLAIN_ROWS = st.dictionaries(NAMES, NUMBERS | st.dictionaries(NAMES, NUMBERS, max_size=2))
ODD_ROWS = st.dictionaries(NAMES, ODD | st.lists(ODD, max_size=2) | st.dictionaries(NAMES, ODD))


def as_lists(columns):
    return {key: (column.type, column.to_pylist()) for key, column in columns.items()}


@given(st.lists(PLAIN_ROWS | ODD_ROWS, min_size=1, max_size=4), st.integers(1, 3))
def test_what_is_read_without_objects_equals_what_is_read_with_them(rows, stride):
    steps = [7 * stride * at % 5 for at in range(len(rows))]
    lines = [json.dumps({**row, "_step": step}) for row, step in zip(rows, steps, strict=True)]
    plain = read_plain(lines)
    if plain is not None:
        assert as_lists(plain) == as_lists(columns_of(lines))


@pytest.mark.parametrize(
    "lines",
    [
        ['{"_step": 0, "a": 1, "b": -0.0}', '{"_step": 1, "a": 2.5, "b": 1e23, "c": "x"}'],
        ['{"_step":0,"a":9007199254740993,"_timestamp":1}', '{"_step":1,"a":0.1,"n":null}'],
        ['{"_step":3,"v":{"w":{"x":1}}}', '{"_step":1,"v":{"y":true}}', '{"v":{"z":1}}'],
        ['{"_step":0,"a":18446744073709551616}', '{"_step":1,"a":0.5}'],
    ],
)
def test_lines_of_one_type_per_key_are_read_without_objects(lines):
    plain = read_plain(lines)
    assert plain is not None
    assert next(iter(plain)) == "_step"
    assert as_lists(plain) == as_lists(columns_of(lines))


@pytest.mark.parametrize(
    "lines",
    [
        ['{"_step":0,"a":1}', '{"_step":1,"a":"x"}'],
        ['{"_step":0,"a":true}', '{"_step":1,"a":"x"}'],
        ['{"_step":0,"a":1,"a":2}'],
        ['{"_step":0,"a":NaN}'],
        ['{"_step":0,"a":1e999}'],
        ['{"_step":0,"a":{}}'],
        ['{"_step":0,"a":[1]}'],
        ['{"_step":0,"a":{"_type":"histogram"}}'],
        ['{"_step":0,"a":1}', '{"_step":0,"b":1}'],
        ['{"_step":0,"a.b":1,"a":{"b":2}}'],
        ['{"_step":1.0,"a":1}'],
        ['{"_step":0,"a":9223372036854775808}'],
        ['{"_step":0,"a":"\\ud83d"}'],
        ['{"_step":0,"":1}'],
        ['{"_step":0,"a":{ }}'],
        ['{"_step":0,"a":1,"a":2,"s":"null"}'],
        ['{"a":1.5}', '{"_step":1,"a":2}'],
    ],
)
def test_all_other_lines_are_read_with_objects(lines):
    assert read_plain(lines) is None
