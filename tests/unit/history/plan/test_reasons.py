"""Why a read has no rows: the text names steps and keys that have some."""

import pyarrow as pa
import pytest

from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.manifest import Manifest
from runlake.history.plan.key_facts import find_key_facts
from runlake.history.plan.reasons import (
    describe_extent,
    describe_keys,
    explain_no_keys,
    explain_no_rows,
    explain_unknown_key,
    near_names,
)
from runlake.values import Question, RunPath

RUN = RunPath("e", "p", "r")


def manifest(last_step, live=()):
    return Manifest(RUN, "finished", None, None, last_step, {}, (), live)


def export(*groups, **n_nulls):
    keys = {key: ColumnFacts.of(pa.float64(), count) for key, count in n_nulls.items()}
    columns = KnownColumns({"_step": ColumnFacts.of(pa.int64()), **keys})
    rows = tuple(RowGroup(last - first + 1, first, last) for first, last in groups)
    return ExportFacts(rows, True, len(columns), columns)


EXPORTS = [export((0, 9), (20, 29), loss=0, acc=15)]


def why(keys=None, how="all", low=None, high=None, last_step=29, live=()):
    question = Question.from_arguments(keys, how, low, high)
    return explain_no_rows(manifest(last_step, live), question, EXPORTS)


def test_a_run_without_history_and_an_empty_range_need_no_reason():
    assert why(last_step=-1) is None
    assert why(low=5, high=5) is None


def test_a_range_behind_the_last_step_names_it():
    assert why(low=100) == "No rows of 'e/p/r' in steps [100, end): its last step is 29."


@pytest.mark.parametrize(("low", "high"), [(10, 20), (12, 15)])
def test_a_gap_names_the_steps_beside_it(low, high):
    assert why(low=low, high=high) == (
        f"No rows of 'e/p/r' in steps [{low}, {high}): "
        "the nearest steps known to have one are 9 and 20."
    )
    assert why(["loss"], low=low, high=high) == why(low=low, high=high)


def test_a_gap_before_all_rows_names_the_first():
    question = Question.from_arguments(None, "all", None, 3)
    found = explain_no_rows(manifest(29), question, [export((5, 29))])
    assert found is not None
    assert "the nearest step known to have one is 5" in found


def test_a_range_in_which_rows_may_be_live_is_no_gap():
    found = why(["loss"], low=12, high=15, live=(13,))
    assert "nearest" not in found
    assert found.endswith(
        "loss 20 rows, but none in this range. "
        "Exported up to step 29, live from 13; the last step is 29."
    )


def test_an_unknown_key_names_close_ones_and_how_far_the_run_is_exported():
    assert why(["los"]) == (
        "No rows of 'e/p/r' in steps [0, end). The run never logged 'los'; closest keys: 'loss'. "
        "Exported up to step 29; the last step is 29."
    )


def test_keys_that_never_occur_together_are_counted():
    found = why(["loss", "acc"])
    assert "loss 20 rows, acc 5 rows, together 0 in this range; how='any'" in found
    assert "how='any'" not in why(["loss", "acc"], "any")


@pytest.mark.parametrize(
    ("key", "known", "text"),
    [
        ("x", [], "The run never logged 'x', nor any other key."),
        ("val", ["val.b", "val.a", "value"], "'val' is the parent of 'val.a', 'val.b'; name these"),
        ("LOSS", ["loss", "lass"], "closest keys: 'loss'"),
        ("zzz", list("gfedcba"), "it has 'a', 'b', 'c', 'd', 'e' and 2 more."),
    ],
)
def test_an_unknown_key_is_explained_by_the_known_ones(key, known, text):
    assert text in explain_unknown_key(key, known)


def test_names_that_differ_by_case_come_first_and_once():
    assert near_names("Loss", ["loss", "LOSS", "losses"])[:2] == ["loss", "LOSS"]
    assert len(near_names("Loss", ["loss", "LOSS", "losses"])) == 3


def test_a_pattern_or_kind_that_matches_no_key_names_those_there_are():
    facts = find_key_facts(manifest(29), EXPORTS)
    assert explain_no_keys(RUN, facts, None, "bool") == (
        "No key of 'e/p/r' is of kind 'bool'; its kinds: 'number'."
    )
    assert explain_no_keys(RUN, facts, "los", None) == (
        "No key of 'e/p/r' matches 'los' as a whole; closest keys: 'loss'."
    )
    assert "it has 'acc', 'loss'" in explain_no_keys(RUN, facts, "zzz", "number")


def test_a_plan_says_what_is_known_of_each_key():
    lines = describe_keys(manifest(29), Question.from_arguments(["loss", "gone"]), EXPORTS)
    assert lines[0] == "loss: 20 rows of number type (within steps 0 to 29)"
    assert "never logged 'gone'" in lines[1]
    assert lines[2] == describe_extent(manifest(29), EXPORTS)
    assert describe_keys(manifest(29), Question(), EXPORTS)[0] == "2 keys"
    assert describe_keys(manifest(-1), Question(), []) == []


def test_the_extent_says_where_live_rows_begin():
    assert describe_extent(manifest(5, (3, 5)), []) == (
        "Steps go up to 5, none of them exported yet."
    )
    assert describe_extent(manifest(1234, (30, 1234)), EXPORTS) == (
        "Exported up to step 29, live from 30; the last step is 1,234."
    )
