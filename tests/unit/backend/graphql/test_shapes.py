"""Answers of a wrong shape are found before they are read."""

from pathlib import Path

import pytest

from runlake.backend.graphql.shapes import answer_to, find_misplaced, int64
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.errors import ProtocolError, Unreachable
from runlake.settings import Secret, Settings


@pytest.fixture
def client():
    return Client(Settings("http://h:1", "http://h:1", Path("c"), Secret("k" * 40)))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"run": None},
        {"project": {"runs": {"edges": [{"node": {"name": 5}}, None]}}},
        {"files": []},
        {"files": {"edges": None}},
        {"other": ["anything"]},
    ],
)
def test_an_answer_may_have_nulls_and_unknown_fields(data):
    assert find_misplaced(data) is None


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ([], "data is of type list"),
        ({"run": "x"}, "data.run is of type str"),
        ({"project": {"runs": {"edges": {}}}}, "data.project.runs.edges is of type dict"),
        ({"runs": {"edges": [3]}}, "data.runs.edges is of type int"),
        ({"files": {"edges": [{"node": 1}]}}, "data.files.edges.node is of type int"),
    ],
)
def test_a_misplaced_value_is_named_by_its_path(data, place):
    assert find_misplaced(data) == place


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, float("inf"), float("nan"), None, "x", []])
def test_a_number_that_does_not_fit_is_refused(value):
    with pytest.raises((OverflowError, TypeError, ValueError)):
        int64(value)
    assert int64("-9223372036854775808") == -(2**63)


@pytest.mark.parametrize("error", [KeyError("k"), TypeError("t"), OverflowError(), IndexError()])
def test_an_error_of_reading_names_operation_and_subject(client, error):
    why = "answered Op about 'e/p/r' with JSON of a wrong shape"
    with pytest.raises(ProtocolError, match=why), answer_to(client, "Op", "'e/p/r'"):
        raise error


def test_errors_of_the_request_pass(client):
    with pytest.raises(Unreachable), answer_to(client, "Op", "x"):
        raise Unreachable("no answer")


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        ([("a", 1, True), ("b", 1, True), ("c", 0, False)], None),
        ([(None, 1, False)], None),
        ([(None, 1, True)], "has no cursor"),
        ([("a", 1, True), ("a", 1, True)], "page 2 leads back"),
        ([("start", 1, True)], "page 1 leads back"),
        ([(f"{n}", 0, True) for n in range(4)], None),
        ([(f"{n}", 0, True) for n in range(5)], "page 5 has nothing new"),
        ([(f"{n}", n == 3, True) for n in range(8)], None),
    ],
)
def test_a_list_without_end_is_an_error(client, pages, problem):
    walk = Walk(client, "the runs of 'e/p'", "start")
    for cursor, n_new, has_next in pages:
        walk.check()
        walk.note(cursor, n_new, has_next=has_next)
    if problem is None:
        walk.check()
        return
    with pytest.raises(ProtocolError, match=f"lists the runs of 'e/p' without end: .*{problem}"):
        walk.check()
