"""Backends with an older schema: what they lack is learned from their refusals, and left out."""

from pathlib import Path

import pytest

from runlake.backend.graphql.lacking import check_field, fit, lacked_field, learn
from runlake.backend.http.client import Client
from runlake.errors import UnsupportedByBackend
from runlake.settings import Secret, Settings

DOCUMENT = """
query Op($name: String!, $order: String, $ids: [Int64!]) {
  project(name: $name) {
    id
    runs(order: $order) { edges { node { name state } } pageInfo { hasNextPage } }
  }
}
"""


@pytest.fixture
def client():
    return Client(Settings("http://h:1", "http://h:1", Path("c"), Secret("k" * 40)))


def refuse(client, *texts):
    learn(client, DOCUMENT, {"errors": [{"message": text} for text in texts]})


@pytest.mark.parametrize(
    "text",
    [
        'Cannot query field "state" on type "Run".',
        "Field 'state' doesn't exist on type 'Run'",
        "field 'state' not found in type: 'Run'",
        "Validation error: Field 'state' in type 'Run' is undefined",
    ],
)
def test_a_field_is_left_out_once_a_server_lacks_it(client, text):
    assert fit(client, DOCUMENT, {"name": "p"}) == (DOCUMENT, {"name": "p"})
    refuse(client, text)
    document, variables = fit(client, DOCUMENT, {"name": "p", "order": None})
    assert "state" not in document
    assert "node { name }" in document
    assert variables == {"name": "p", "order": None}
    assert lacked_field(client, "Run", "state") is not None
    assert lacked_field(client, "Sweep", "state") is None
    with pytest.raises(UnsupportedByBackend, match="field 'state' of 'Run'") as caught:
        check_field(client, "Run", "state")
    assert "state" in str(caught.value.lacks)


def test_an_argument_is_left_out_only_if_its_value_says_nothing(client):
    refuse(client, 'Unknown argument "order" on field "Project.runs".')
    document, variables = fit(client, DOCUMENT, {"name": "p", "order": None})
    assert "order" not in document
    assert variables == {"name": "p"}
    with pytest.raises(UnsupportedByBackend, match="argument 'order' of 'runs'"):
        fit(client, DOCUMENT, {"name": "p", "order": "-created_at"})


def test_a_needed_field_that_is_missing_is_an_error(client):
    refuse(client, 'Cannot query field "name" on type "Run".')
    with pytest.raises(UnsupportedByBackend, match="cannot answer Op"):
        fit(client, DOCUMENT, {"name": "p"})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {
            "data": {"project": {}},
            "errors": [{"message": 'Cannot query field "state" on type "Run"'}],
        },
        {"errors": [{"message": 'Cannot query field "other" on type "Run"'}]},
        {"errors": "Cannot query"},
        {"errors": [{"message": None}, 3]},
    ],
)
def test_other_answers_teach_nothing(client, body):
    learn(client, DOCUMENT, body)
    assert fit(client, DOCUMENT, {}) == (DOCUMENT, {})


def test_what_one_server_lacks_another_may_have(client):
    refuse(client, 'Cannot query field "state" on type "Run".')
    other = Client(Settings("http://h:2", "http://h:2", Path("c"), Secret("k" * 40)))
    assert fit(other, DOCUMENT, {})[0] == DOCUMENT
