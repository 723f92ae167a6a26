"""GraphQL texts that would cost much are refused before they are executed."""

import pytest
from graphql import GraphQLError, get_introspection_query

from runlake.backend.graphql import artifact_documents, artifact_mutations, documents
from runlake.server.graphql.document import MAX_FIELDS, MAX_REPEATS, read_document


def spreading(depth, width):
    """Return fragments of which each contains the next one a few times."""
    fragments = ""
    for at in range(depth):
        fields = " ".join(f"a{n}: me {{ ...F{at + 1} }}" for n in range(width))
        fragments += f"fragment F{at} on User {{ {fields} }} "
    return f"{{ viewer {{ ...F0 }} }} {fragments} fragment F{depth} on User {{ id }}"


def nested(depth):
    return "{ a " * depth + "}" * depth


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{" + " ".join(f"a{n}: viewer" for n in range(MAX_REPEATS + 1)) + "}", "301 times for 'v"),
        ("{ ... { " + " ".join(f"a{n}: viewer" for n in range(301)) + "} }", "301 times"),
        (
            "{" + " ".join(f"field{n}" for n in range(MAX_FIELDS + 1)) + "}",
            "more than 2,000 fields",
        ),
        (spreading(12, 2), "more than 2,000 fields"),
        (nested(26), "more than 25 deep"),
        (nested(5_000), "nested too deeply"),
        ("{" + "a " * 30_000 + "}", "20000 tokens"),
        ("{ a }" + " " * 500_000, "longer than 500,000 characters"),
    ],
)
def test_a_text_that_is_too_large_says_why(text, why):
    with pytest.raises(GraphQLError, match=why):
        read_document(text)


def test_a_fragment_in_itself_is_left_to_validation():
    assert read_document("{ ...A } fragment A on Query { ...A }").operation_name is None


def test_a_text_of_the_schema_is_known_by_its_fields():
    assert read_document(get_introspection_query()).is_introspection
    assert read_document(
        '{ ...A } fragment A on Query { __type(name: "Run") { name } }'
    ).is_introspection
    assert not read_document("query Viewer { viewer { __typename } }").is_introspection


def test_the_documents_of_the_client_are_small_enough():
    texts = [
        text
        for module in (documents, artifact_documents, artifact_mutations)
        for text in vars(module).values()
        if isinstance(text, str) and text.lstrip().startswith(("query", "mutation"))
    ]
    assert len(texts) > 20
    for text in texts:
        assert read_document(text).operation_name
