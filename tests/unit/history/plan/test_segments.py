"""Segments of a run's steps: as few rows as possible are merged."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.history.plan.key_columns import KeyColumns
from runlake.history.plan.segments import cut_segments, plan_export
from runlake.values import StepRange

COLUMNS = KnownColumns({"_step": ColumnFacts.of(pa.int64())})


def read(name, *groups, is_ascending=True, steps=None):
    facts = ExportFacts(tuple(RowGroup(10, *group) for group in groups), is_ascending, 1, COLUMNS)
    return plan_export(Path(name), facts, KeyColumns(), steps or StepRange())


def cut(reads, live=(), steps=None):
    segments = cut_segments(reads, live, steps or StepRange())
    return [
        (
            (s.steps.start, s.steps.stop),
            [r.file.name for r in s.reads],
            len(s.live_steps),
            s.needs_merge,
        )
        for s in segments
    ]


def test_exports_in_a_row_are_not_merged():
    assert cut([read("b", (10, 19)), read("a", (0, 9))], (20, 21)) == [
        ((0, 10), ["a"], 0, False),
        ((10, 20), ["b"], 0, False),
        ((20, 22), [], 2, False),
    ]


def test_a_live_row_that_an_export_has_too_costs_the_merge_of_one_step():
    assert cut([read("a", (0, 99))], (50,)) == [
        ((0, 50), ["a"], 0, False),
        ((50, 51), ["a"], 1, True),
        ((51, 100), ["a"], 0, False),
    ]


def test_an_export_in_a_gap_of_another_is_not_merged():
    outer, inner = read("outer", (0, 9), (90, 99)), read("inner", (40, 49))
    assert cut([outer, inner]) == [
        ((0, 40), ["outer"], 0, False),
        ((40, 50), ["inner"], 0, False),
        ((50, 100), ["outer"], 0, False),
    ]


def test_only_the_overlap_is_merged_and_the_later_source_stands_last():
    assert cut([read("old", (0, 9), (10, 19)), read("new", (15, 30))]) == [
        ((0, 15), ["old"], 0, False),
        ((15, 20), ["old", "new"], 0, True),
        ((20, 31), ["new"], 0, False),
    ]


def test_a_file_out_of_order_is_sorted_as_a_merge():
    assert cut([read("a", (5, 9), (0, 4), is_ascending=False)]) == [((0, 10), ["a"], 0, True)]


def test_a_range_cuts_segments_and_drops_row_groups():
    steps = StepRange(12, 15)
    segments = cut_segments([read("a", (0, 9), (10, 19), (20, 29), steps=steps)], (), steps)
    assert [(s.steps, s.reads[0].row_groups) for s in segments] == [(StepRange(12, 15), (1,))]


def test_a_read_within_a_range_has_only_the_row_groups_that_touch_it():
    one = read("a", (0, 9), (10, 19), (30, 39))
    assert one.within(StepRange()) is one
    assert one.within(StepRange(5, 12)).row_groups == (0, 1)
    assert one.within(StepRange(20, 30)) is None
    assert (one.first_step, one.last_step, one.n_rows, one.is_whole) == (0, 39, 30, True)
    part = one.within(StepRange(30, None))
    assert (part.first_step, part.last_step, part.n_rows, part.is_whole) == (30, 39, 10, False)


GROUPS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=3)
RANGES = st.builds(StepRange, st.integers(0, 20), st.none() | st.integers(0, 40))


@given(st.lists(GROUPS, max_size=4), st.sets(st.integers(0, 40), max_size=6), RANGES)
def test_each_step_of_a_source_is_read_from_it_in_one_segment(exports, live, steps):
    reads = [
        one
        for number, groups in enumerate(exports)
        if (one := read(f"{number}", *((low, low + n) for low, n in groups), steps=steps))
    ]
    lines = sorted(step for step in live if steps.holds(step))
    segments = cut_segments(reads, lines, steps)
    bounds = [(s.steps.start, s.steps.stop) for s in segments if s.steps.stop is not None]
    assert len(bounds) == len(segments)
    assert all(start < stop for start, stop in bounds)
    assert all(one[1] <= other[0] for one, other in pairwise(bounds))
    assert [step for s in segments for step in s.live_steps] == lines
    for step in range(steps.start, 41):
        holders = [s for s in segments if s.steps.holds(step)]
        has_row = [one.file.name for one in reads if steps.holds(step) and holds(one, step)]
        assert bool(holders) or not has_row
        for segment in holders:
            # Oldest first: later exports win.
            found = [one.file.name for one in segment.reads if holds(one, step)]
            assert found == has_row


def holds(one, step):
    groups = (one.facts.row_groups[index] for index in one.row_groups)
    return any(group.first_step <= step <= group.last_step for group in groups)
