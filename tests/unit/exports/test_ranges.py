"""Ranges of bytes as sets of bytes: none is lost, none is requested twice."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.ranges import ByteRange, coalesce, parse_content_range, split, subtract

RANGES = st.lists(st.builds(ByteRange, st.integers(0, 60), st.integers(0, 60)), max_size=6)


def bytes_of(ranges):
    return {byte for one in ranges for byte in range(one.start, one.stop)}


def are_disjoint(ranges):
    return all(one.stop < other.start for one, other in pairwise(ranges))


@given(RANGES, st.floats(0, 1), st.integers(0, 20))
def test_joined_ranges_cover_all_bytes_within_the_waste(ranges, waste, cost):
    found = coalesce(ranges, max_waste=waste, n_requests_cost=cost)
    wanted = bytes_of(ranges)
    assert wanted <= bytes_of(found)
    assert len(bytes_of(found) - wanted) <= waste * len(wanted)
    assert are_disjoint(found)
    assert all(one.n_bytes > 0 for one in found)
    # No request is only for bytes that nobody wants.
    assert all({one.start, one.stop - 1} <= wanted for one in found)


@given(RANGES)
def test_without_waste_only_ranges_that_touch_are_joined(ranges):
    assert bytes_of(coalesce(ranges, max_waste=0)) == bytes_of(ranges)


def test_no_gap_that_costs_more_than_a_request_is_joined():
    far = [ByteRange(0, 100), ByteRange(103, 200)]
    assert coalesce(far, n_requests_cost=3) == [ByteRange(0, 200)]
    assert coalesce(far, n_requests_cost=2) == far


@given(RANGES, RANGES)
def test_missing_ranges_are_those_that_are_not_held(wanted, held):
    found = subtract(wanted, held)
    assert bytes_of(found) == bytes_of(wanted) - bytes_of(held)
    assert all(one.n_bytes > 0 for one in found)
    assert all(one.stop <= other.start for one, other in pairwise(found))


@given(RANGES, st.integers(1, 20))
def test_pieces_have_all_bytes_and_none_is_too_long(ranges, size):
    pieces = split(ranges, size)
    assert [byte for one in pieces for byte in range(one.start, one.stop)] == [
        byte for one in ranges for byte in range(one.start, one.stop)
    ]
    assert all(1 <= one.n_bytes <= size for one in pieces)


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_the_header_of_a_range_is_what_a_host_answers(start, length):
    one = ByteRange(start, start + length)
    text = f"{one.header().replace('=', ' ')}/{one.stop}"
    assert parse_content_range(text) == (one, one.stop)


@pytest.mark.parametrize(
    "text", [None, "", "bytes 4-7/*", "bytes */100", "bytes 7-4/100", "bytes 4-100/100", "4-7/100"]
)
def test_a_header_that_is_no_range_of_an_object_is_none(text):
    assert parse_content_range(text) is None
