"""Untrusted JSON: a value or a ValueError, whatever its size and depth."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.backend.http.json_text import MAX_DEPTH, check_depth, parse_json


@given(st.text(alphabet='[]{}",:0e-9NaNInfinity\\u', max_size=30))
def test_any_text_is_a_value_or_a_value_error(text):
    assert outcome(parse_json, text) == outcome(json.loads, text)


def outcome(parse, text):
    try:
        return repr(parse(text))
    except ValueError:
        return ValueError


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_limited_whatever_the_recursion_limit(opening):
    closing = "]" if opening == "[" else "}"

    def nested(depth):
        return opening * depth + "1" + closing * depth

    assert parse_json(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match="nested more than 200 deep"):
            parse_json(nested(depth))


def test_a_wide_value_is_not_deep():
    check_depth([[[]]] * 10_000)
    check_depth("[" * 1000)


def test_an_integer_of_any_length_is_a_number():
    assert parse_json("1" + "0" * 5000) == math.inf
    assert parse_json("-1" + "0" * 5000) == -math.inf
    assert parse_json(str(10**100)) == 10**100


def test_bytes_are_decoded_and_control_characters_are_refused_only_if_strict():
    assert parse_json('"é"'.encode()) == "é"
    assert parse_json('"é"'.encode("utf-16")) == "é"
    with pytest.raises(UnicodeDecodeError):
        parse_json(b'"\xff"')
    with pytest.raises(ValueError, match="control character"):
        parse_json('"a\n"')
    assert parse_json('"a\n"', strict=False) == "a\n"
