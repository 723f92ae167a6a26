"""What a read touches, decided from a pull and a question."""

from pathlib import Path

import pyarrow as pa
import pytest

from runlake.cache.disk.file_state import FileState
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.manifest import Manifest
from runlake.exports.validator import Validator
from runlake.history.plan import sizes
from runlake.history.plan.plan import LivePage, plan_read
from runlake.values import Question, RunPath, StepRange

RUN = RunPath("e", "p", "r")
EARLY, LATE = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


def stored(name, *groups, modified=EARLY):
    names = {"_step": pa.int64(), "loss": pa.float64(), "acc": pa.float64()}
    columns = KnownColumns({key: ColumnFacts.of(dtype) for key, dtype in names.items()})
    rows = tuple(RowGroup(last - first + 1, first, last) for first, last in groups)
    facts = ExportFacts(rows, True, len(columns), columns)
    return StoredExport(
        name, Path(name), Validator(None, modified), 100, None, FileState(100, 0), facts
    )


def plan(exports, *, live=(), last_step=None, left_out=0, keys=None, low=None, high=None):
    ends = [export.facts.last_step for export in exports] + list(live or ())
    last = max(ends, default=-1) if last_step is None else last_step
    manifest = Manifest(RUN, "running", None, None, last, {}, (), live)
    pulled = PullResult(manifest, Path(), LoadedExports(exports), n_left_out=left_out)
    return plan_read(pulled, Question.from_arguments(keys, "all", low, high))


def names(found):
    return [read.file.name for read in found.exports]


def test_exports_are_read_oldest_first_and_by_name_within_a_second():
    some = [stored("b", (0, 9)), stored("a", (0, 9), modified=LATE), stored("c", (5, 9))]
    assert names(plan(some)) == ["b", "c", "a"]
    assert names(plan(some[::-1])) == ["b", "c", "a"]


def test_only_row_groups_columns_and_live_steps_of_the_question_are_read():
    found = plan(
        [stored("a", (0, 9), (10, 19)), stored("b", (20, 29))],
        live=(30, 31, 32),
        keys=["acc"],
        low=12,
        high=31,
    )
    groups = {read.file.name: read.row_groups for read in found.exports}
    assert groups == {"a": (1,), "b": (0,)}
    assert [[column.key for column in read.columns] for read in found.exports] == [["acc"]] * 2
    assert found.n_live_steps == 1
    assert [page.steps for page in found.live_pages] == [(30,)]
    assert not found.needs_merge


def test_live_rows_are_requested_in_pages_of_one_segment(monkeypatch):
    monkeypatch.setattr(sizes, "LIVE_PAGE_ROWS", 2)
    found = plan([stored("a", (0, 9))], live=(5, 7, 20, 21, 22))
    assert found.live_pages == (
        LivePage((5, 7), is_alone=False),
        LivePage((20, 21), is_alone=True),
        LivePage((22,), is_alone=True),
    )
    assert (found.live_pages[1].start, found.live_pages[1].stop) == (20, 22)


@pytest.mark.parametrize(
    ("arguments", "walk"),
    [
        ({"last_step": 9}, None),
        ({"last_step": 50}, StepRange(10, 51)),
        ({"last_step": 50, "high": 20}, StepRange(10, 20)),
        ({"last_step": 50, "low": 30}, StepRange(30, 51)),
        ({"last_step": 50, "low": 60}, None),
        ({"last_step": 50, "live": (12, 15)}, StepRange(16, 51)),
        # From the cache alone the missing rows cannot be fetched.
        ({"last_step": 50, "left_out": 3}, None),
        ({"last_step": 50, "left_out": None}, None),
    ],
)
def test_steps_that_the_backend_does_not_list_are_walked(arguments, walk):
    found = plan([stored("a", (0, 9))], **arguments)
    assert found.walk == walk
    assert found.is_walk == (walk is not None)


def test_a_run_without_exports_and_lists_is_walked_from_its_first_step():
    assert plan([], live=None, last_step=7).walk == StepRange(0, 8)


def test_a_plan_says_what_it_reads():
    found = plan(
        [stored("b", (10, 29), modified=LATE), stored("a", (0, 9), (10, 19))],
        live=(29, 40),
        last_step=60,
        keys=["loss", "acc"],
        low=5,
    )
    lines = str(found).splitlines()
    assert lines[0] == "Read all of loss, acc of 'e/p/r', steps [5, end):"
    assert lines[1].startswith("  export a: 2 of 2 row groups, 20 rows, steps 0 to 19, 3 of 3 col")
    assert lines[2].startswith("  export b: 1 of 1 row group, 20 rows, steps 10 to 29")
    assert "  live: 2 rows in 2 requests, steps 29 to 40" in lines
    assert any(line.startswith("  live: steps [41, 61), page after page") for line in lines)
    assert "  steps [10, 20): a, b merged by step" in lines
    assert any("b, live rows merged by step" in line for line in lines)


def test_a_plan_that_reads_nothing_says_so():
    assert str(plan([stored("a", (0, 9))], low=100)).endswith("nothing: no row can be in the range")
    assert "every row, because the backend offers no exports" in str(
        plan([], live=None, last_step=7)
    )
