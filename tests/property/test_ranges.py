"""Laws of byte ranges."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.ranges import ByteRange, coalesce, parse_content_range, split, subtract

spans = st.builds(
    lambda start, n: ByteRange(start, start + n), st.integers(0, 300), st.integers(0, 40)
)
lists = st.lists(spans, max_size=12)


def points(ranges):
    return {i for one in ranges for i in range(one.start, one.stop)}


def is_neat(ranges):
    return all(a.stop < b.start for a, b in pairwise(ranges)) and all(
        one.n_bytes > 0 for one in ranges
    )


@given(lists, st.floats(0, 2), st.integers(0, 50))
def test_coalesced_ranges_hold_all_that_is_wanted_and_little_else(wanted, max_waste, cost):
    joined = coalesce(wanted, max_waste=max_waste, n_requests_cost=cost)
    assert is_neat(joined)
    extra = points(joined) - points(wanted)
    assert points(joined) >= points(wanted)
    assert len(extra) <= max_waste * len(points(wanted))


@given(lists)
def test_without_waste_only_ranges_that_touch_are_joined(wanted):
    assert points(coalesce(wanted, max_waste=0)) == points(wanted)


@given(lists, lists)
def test_missing_ranges_are_the_wanted_ones_that_are_not_held(wanted, held):
    missing = subtract(wanted, held)
    assert points(missing) == points(wanted) - points(held)
    assert missing == sorted(missing)
    assert sum(one.n_bytes for one in missing) == len(points(missing))


@given(lists, st.integers(1, 50))
def test_split_ranges_are_small_and_hold_the_same(wanted, max_bytes):
    pieces = split(wanted, max_bytes)
    assert all(0 < one.n_bytes <= max_bytes for one in pieces)
    assert points(pieces) == points(wanted)


@given(spans.filter(lambda one: one.n_bytes > 0), st.integers(0, 1000))
def test_a_content_range_reads_back(span, more):
    total = span.stop + more
    text = f"bytes {span.header().removeprefix('bytes=')}/{total}"
    assert parse_content_range(text) == (span, total)


def test_an_incomplete_content_range_is_not_parsed():
    texts = [None, "", "bytes */100", "bytes 0-4/*", "bytes 4-0/9", "bytes 0-9/9", "lines 0-1/9"]
    assert [parse_content_range(text) for text in texts] == [None] * 7
