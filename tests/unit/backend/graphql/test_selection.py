"""Documents as values: their text is what was parsed, and parts can be removed."""

import pytest
from graphql import parse, print_ast

from runlake.backend.graphql import artifact_documents, documents
from runlake.backend.graphql.parse_document import parse_document
from runlake.backend.graphql.selection import TYPES

DOCUMENTS = {
    name: text
    for module in (documents, artifact_documents)
    for name, text in vars(module).items()
    if name.isupper() and isinstance(text, str) and text.lstrip().startswith(("query", "mutation"))
}
DOCUMENT = """
query Op($a: String!, $b: Int = 3) {
  project(name: $a) { runs(first: $b, filters: {x: $a, y: 1}) { edges { node { id n: name } } } }
}
"""


def test_there_are_documents():
    assert len(DOCUMENTS) > 10


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_text_of_a_parsed_document_means_the_same(name):
    document = DOCUMENTS[name]
    operation = parse_document(document)
    assert print_ast(parse(str(operation))) == print_ast(parse(document))
    assert operation.name in document


@pytest.mark.parametrize("name", [n for n in DOCUMENTS if "query" in DOCUMENTS[n].split("(")[0]])
def test_the_type_of_every_object_in_a_query_is_known(name):
    for owner, selection in parse_document(DOCUMENTS[name]).placed():
        # Who made an artifact is a user or a run.
        is_union = selection.name.startswith(("...", "__typename"))
        assert owner not in {"", "Edge", "Connection"} or is_union, str(selection)[:80]


def test_selections_are_placed_in_the_types_of_the_schema():
    placed = [(owner, one.name) for owner, one in parse_document(DOCUMENT).placed()]
    assert placed == [
        ("Query", "project"),
        ("Project", "runs"),
        ("RunConnection", "edges"),
        ("RunEdge", "node"),
        ("Run", "id"),
        ("Run", "name"),
    ]
    assert TYPES["runs"] == "Run"


def test_a_removed_selection_takes_its_variables_with_it():
    operation = parse_document(DOCUMENT.replace("= 3", ""))
    left = operation.mapped(lambda _, one, __: None if one.name == "runs" else one)
    assert left.variables == (("a", "String!"),)
    assert str(left) == "query Op($a: String!) { project(name: $a) }"


def test_children_are_changed_first_and_an_emptied_parent_is_said_to_be():
    emptied = []

    def change(_, one, is_emptied):
        if is_emptied:
            emptied.append(one.name)
        return None if one.name in {"id", "name"} or is_emptied else one

    assert parse_document(DOCUMENT.replace("= 3", "")).mapped(change).selections == ()
    assert emptied == ["node", "edges", "runs", "project"]


@pytest.mark.parametrize(
    "text", ["type A { b: Int }", "query { ...named } fragment named on A { b }"]
)
def test_other_documents_are_refused(text):
    with pytest.raises((TypeError, ValueError)):
        parse_document(text)
