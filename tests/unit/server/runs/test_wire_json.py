"""JSON of training scripts."""

import math

import pytest

from runlake.server.runs.wire_json import MAX_DEPTH, read_body, read_json


def test_numbers_that_json_lacks_and_lone_surrogates_are_read():
    assert math.isnan(read_json('{"a": NaN}')["a"])
    assert read_json('"\\ud83d\\ude00 \\ud83d"') == "\U0001f600 \ufffd"
    assert read_json('{"\\uD800": 1}') == {"\ufffd": 1}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused(depth):
    with pytest.raises(ValueError, match="nested deeper"):
        read_json("[" * depth + "1" + "]" * depth)
    assert read_json("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert len(read_json("[" + "[]," * 500 + "[]]")) == 501


def test_a_body_is_an_object():
    assert read_body(b"") == {}
    assert read_body(b'{"a": "\xff"}') == {"a": "\ufffd"}
    for body in (b"[]", b"3", b"{"):
        with pytest.raises(ValueError, match=r"."):
            read_body(body)


@pytest.mark.parametrize("body", [b"[]," * 500_001, b"0," * 2_000_001])
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(body):
    with pytest.raises(ValueError, match="more than 500,000 lists and objects, or 2,000,000"):
        read_body(b'{"a":[' + body + b"0]}")
