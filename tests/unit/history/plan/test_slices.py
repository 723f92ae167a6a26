"""Slices of an export: each wanted row is decoded once, in order, with few cut row groups."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runlake.history.plan.slices import Slice, cut_slices, joined, whole_groups

COUNTS = st.lists(st.integers(0, 20), max_size=6)
SIZES = st.integers(1, 15)


def rows_of(slices):
    return [row for one in slices for row in range(one.offset, one.stop)]


@st.composite
def groups(draw):
    counts = draw(COUNTS)
    wanted = [index for index in range(len(counts)) if draw(st.booleans())]
    return whole_groups(counts, wanted)


def test_row_groups_are_slices_of_their_file_and_empty_ones_are_none():
    assert whole_groups([10, 0, 5], [0, 1, 2]) == [Slice(0, 10), Slice(10, 5)]
    assert whole_groups([10, 0, 5], [2]) == [Slice(10, 5)]


@given(groups())
def test_joining_loses_no_row_and_leaves_no_neighbours(some):
    found = joined(some)
    assert rows_of(found) == rows_of(some)
    assert all(one.stop < other.offset for one, other in pairwise(found))


@given(groups(), SIZES, SIZES, st.integers(0, 25))
def test_cutting_loses_no_row_and_doubles_none(some, first, most, whole):
    found = list(cut_slices(some, first, most, whole))
    assert rows_of(found) == rows_of(some)
    assert all(one.n_rows >= 1 for one in found)
    assert all(one.n_rows <= max(first, most, whole) for one in found)
    if found:
        assert found[0].n_rows <= first


@given(groups(), SIZES)
def test_row_groups_that_fit_are_not_cut(some, size):
    most = max([size, *(group.n_rows for group in some)])
    ends = {group.stop for group in some}
    assert all(one.stop in ends for one in cut_slices(some, most, most))


def test_row_groups_that_do_not_fit_together_are_apart():
    groups = [Slice(0, 5), Slice(5, 5), Slice(10, 6)]
    assert list(cut_slices(groups, 5, 10)) == groups
    assert list(cut_slices(groups, 5, 11)) == [Slice(0, 5), Slice(5, 11)]


def test_a_large_row_group_of_numbers_is_one_slice_after_the_first():
    found = list(cut_slices([Slice(0, 30), Slice(30, 30)], 4, 10, 30))
    assert found == [Slice(0, 4), Slice(4, 26), Slice(30, 30)]
