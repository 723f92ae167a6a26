"""Which steps are searched for rows that a backend counts but does not list."""

import pyarrow as pa
import pytest

from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.manifest import LAST_STEP_UNKNOWN, Manifest
from runlake.exports.unlisted import MAX_GAPS, Gap, find_gaps
from runlake.values import RunPath

COLUMNS = KnownColumns({"_step": ColumnFacts.of(pa.int64())})


def gaps(spans, lines, *, live=(), last=None, is_searched=False):
    exports = [
        ExportFacts((RowGroup(high - low + 1, low, high),), True, 1, COLUMNS) for low, high in spans
    ]
    end = max([*(high for _, high in spans), *(live or ())], default=-1)
    manifest = Manifest(
        RunPath("e", "p", "r"),
        *("finished", None, lines, end if last is None else last, {}, (), live),
        is_searched=is_searched,
    )
    return find_gaps(manifest, exports)


@pytest.mark.parametrize(
    "arguments",
    [
        {"lines": 10},
        {"lines": None},
        {"lines": 11, "live": (12,)},
        {"lines": 99, "is_searched": True},
        {"lines": 99, "live": None},
    ],
)
def test_no_step_is_searched_if_no_row_can_be_missing(arguments):
    assert gaps([(0, 9)], **arguments) == ()


def test_the_steps_above_come_first_then_the_widest_gap():
    assert gaps([(5, 9), (30, 39)], 99) == (
        Gap(40, LAST_STEP_UNKNOWN),
        Gap(10, 30),
        Gap(0, 5),
    )


def test_live_steps_divide_a_gap_at_its_ends_only():
    found = gaps([(0, 9), (30, 39)], 99, live=(12, 20))
    assert Gap(10, 12) in found
    assert Gap(21, 30) in found
    assert all(not (gap.start <= 15 < gap.stop) for gap in found)


def test_steps_up_to_a_later_last_step_are_read_anyway():
    assert gaps([(0, 9)], 15, last=20) == ()
    assert gaps([(5, 9)], 99, last=20) == (Gap(0, 5),)


def test_the_number_of_gaps_is_bounded():
    spans = [(step, step) for step in range(0, 1000, 2)]
    assert len(gaps(spans, 10**6)) == MAX_GAPS


def test_runs_without_exports_have_no_gaps():
    assert gaps([], 99, last=9) == ()
