"""What a backend offers for a run, parsed from its answer."""

import pytest

from runlake.exports.manifest import (
    LAST_STEP_UNKNOWN,
    Export,
    freshness_of,
    parse_manifest,
)
from runlake.values import RunPath

RUN = RunPath("e", "p", "r")


def parsed(urls=(), live=(), keys=None, last=None, **fields):
    history = None if keys is None and last is None else {"lastStep": last, "keys": keys or {}}
    parquet = {"parquetUrls": list(urls), "liveData": [{"_step": step} for step in live]}
    return parse_manifest(RUN, {"historyKeys": history, "parquetHistory": parquet, **fields})


def test_exports_are_named_by_their_path_whatever_signature_and_host():
    found = parsed(["http://a/x.parquet?sig=1", "http://a/y.parquet"], last=9).exports
    assert [export.object for export in found] == ["/x.parquet", "/y.parquet"]
    assert parsed(["http://b/x.parquet?sig=2"], last=9).exports[0].object == "/x.parquet"
    assert "sig=1" not in repr(found)
    assert Export("http://a:80/x").host == "a:80"


def test_one_path_on_two_hosts_is_two_exports_and_one_url_twice_is_one():
    found = parsed(["http://a/x", "http://b/x", "http://a/x?again"], last=9).exports
    assert [export.object for export in found] == ["a/x", "b/x"]


def test_live_steps_ascend_and_occur_once():
    assert parsed(live=[5, 3, 5], last=9).live_steps == (3, 5)


@pytest.mark.parametrize(
    ("last", "fields", "expected"),
    [
        (9, {}, (9, None)),
        (-1, {}, (-1, ())),
        # Null history keys mean no history.
        (None, {}, (-1, ())),
        (None, {"historyLineCount": 3}, (LAST_STEP_UNKNOWN, None)),
        (None, {"historyLineCount": 0}, (-1, ())),
    ],
)
def test_a_run_without_lists_has_all_rows_live_unless_it_has_none(last, fields, expected):
    found = parsed(last=last, **fields)
    assert (found.last_step, found.live_steps) == expected


def test_a_backend_that_reports_neither_field_may_have_rows():
    found = parse_manifest(RUN, {})
    assert (found.last_step, found.live_steps) == (LAST_STEP_UNKNOWN, None)


def test_keys_have_counts_and_types_and_odd_ones_are_named():
    keys = {
        "loss": {"typeCounts": [{"type": "number", "count": 4}, {"type": "string", "count": 1}]},
        "none": {"typeCounts": None},
        "odd": {"typeCounts": 3},
        "huge": {"typeCounts": [{"type": "number", "count": 2**70}]},
        "text": "x",
    }
    found = parsed(keys=keys, last=9, live=[9])
    assert found.key_counts == {"loss": 5, "none": 0}
    assert found.key_types["loss"] == ("number", "string")
    assert found.unread_keys == ("odd", "huge", "text")


@pytest.mark.parametrize(
    "answer", [{"parquetHistory": {"parquetUrls": [3]}}, {"historyKeys": {"lastStep": 2**64}}]
)
def test_an_answer_of_another_shape_is_an_error(answer):
    with pytest.raises((TypeError, OverflowError)):
        parse_manifest(RUN, answer)


@pytest.mark.parametrize(
    ("exported_to", "live", "first"),
    [
        ([9], (), 10),
        ([9, None, 4], (), 10),
        ([9], (12,), 13),
        ([], (), 0),
        ([19], (), None),
        ([30], (), None),
        ([9], (19,), None),
    ],
)
def test_steps_behind_all_known_ones_are_unlisted(exported_to, live, first):
    found = parsed(live=live, last=19, urls=["http://a/x"])
    assert found.first_unlisted(exported_to) == first


@pytest.mark.parametrize(
    ("count", "known"),
    [(5, 5), (0, 0), (-1, None), (2**63, None), ("5", None), (None, None), (5.0, None)],
)
def test_a_count_that_makes_no_sense_is_unknown(count, known):
    assert freshness_of("s", "t", count).line_count == known


def test_freshness_is_text_that_a_database_can_store():
    assert freshness_of(3, "a\ud800", None) == ("3", "a\\ud800", None)
    assert parsed(state="running", heartbeatAt="t", historyLineCount=2).freshness == (
        *("running", "t", 2),
    )


@pytest.mark.parametrize(
    ("state", "is_under_way"),
    [
        ("running", True),
        ("pending", True),
        ("preempting", True),
        ("finished", False),
        (None, False),
    ],
)
def test_a_run_is_under_way_by_its_state(state, is_under_way):
    assert parsed(state=state).is_under_way == is_under_way
