"""Values of config and summary as JSON, by the rules of the SDK."""

import json
import math
from datetime import UTC, date, datetime
from enum import Enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.errors import InvalidArgument, InvalidType
from runlake.public.json_values import MAX_ARRAY_SIZE, key_text, to_json_value

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("uv"), inner, max_size=2)
    ),
    max_leaves=4,
)


class Color(Enum):
    RED = 1


class Tensor:
    """A tensor that is on a device, as of another library."""

    shape = (1,)

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return np.array([2.5])


@given(PLAIN)
def test_plain_values_stay_and_are_copied(value):
    found = to_json_value(value, "x")
    assert found == value
    assert type(found) is type(value)
    assert found is not value or not isinstance(value, (dict, list))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ((1, 2), [1, 2]),
        (range(2), [0, 1]),
        ({1}, [1]),
        (b"x", "x"),
        (Color.RED, "RED"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (Tensor(), 2.5),
        (len, "builtins.len"),
        ({" key ": 1}, {"key": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_have_their_plain_form(value, found):
    assert to_json_value(value, "x") == found
    json.dumps(to_json_value(value, "x"))


def test_nan_alone_is_none_and_in_a_list_stays():
    assert to_json_value({"a": math.nan}, "x") == {"a": None}
    assert math.isnan(to_json_value([math.nan], "x")[0])
    assert math.isnan(to_json_value(math.nan, "x", keeps_nan=True))
    assert to_json_value(np.float64(math.nan), "x") is None


def test_a_large_array_becomes_its_statistics():
    found = to_json_value(np.arange(MAX_ARRAY_SIZE + 1), "x")
    assert (found["_type"], found["min"], found["max"], found["size"]) == (
        *("numpy.ndarray", 0, MAX_ARRAY_SIZE, MAX_ARRAY_SIZE + 1),
    )
    assert len(to_json_value(np.arange(MAX_ARRAY_SIZE), "x")) == MAX_ARRAY_SIZE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": [object()]}, r"an item of x\['a'\] is of type object"),
        ({1: 2}, "x has the key 1; keys must be strings"),
        (b"\xff", "not UTF-8"),
        (np.array(["a"] * 40), "not numbers"),
    ],
)
def test_what_json_cannot_carry_is_named(value, why):
    with pytest.raises(InvalidType, match=why):
        to_json_value(value, "x")


def test_a_value_that_holds_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidArgument, match="holds itself"):
        to_json_value(value, "x")
    assert key_text(" a ", "x") == "a"
