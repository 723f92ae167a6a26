"""Values that a scalar of the schema does not have are refused before any resolver is called."""

import pytest
from graphql import build_schema, graphql_sync

from runlake.server.graphql.scalars import install_scalars

SCHEMA = """
scalar Int64 scalar JSONString
type Query { big(v: Int64): String text(v: JSONString): String }
"""


@pytest.fixture
def schema():
    built = build_schema(SCHEMA)
    install_scalars(built)
    assert built.query_type is not None
    for field in built.query_type.fields.values():
        field.resolve = lambda _, __, v: repr(v)
    return built


def ask(schema, field, kind, value):
    document = f"query($v: {kind}) {{ {field}(v: $v) }}"
    return graphql_sync(schema, document, variable_values={"v": value})


@pytest.mark.parametrize(
    ("value", "read"),
    [(0, "0"), (2**63 - 1, str(2**63 - 1)), (-(2**63), str(-(2**63))), (5.0, "5")],
)
def test_an_integer_of_64_bits_is_read(schema, value, read):
    assert ask(schema, "big", "Int64", value).data == {"big": read}
    assert graphql_sync(schema, f"{{ big(v: {value}) }}").data == {"big": read}


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, 10**5_000, 1.5, float("nan"), float("inf"), True, "1", [], {}],
    ids=type,
)
def test_any_other_value_is_no_int64(schema, value):
    (error,) = ask(schema, "big", "Int64", value).errors
    assert "Int64 cannot represent" in error.message
    assert len(error.message) < 300


def test_a_literal_of_thousands_of_digits_is_no_int64(schema):
    answer = graphql_sync(schema, f"{{ big(v: {'9' * 5_000}) }}")
    assert answer.errors


@pytest.mark.parametrize("value", [1, True, ["{}"], {"a": 1}])
def test_json_is_sent_as_a_string(schema, value):
    (error,) = ask(schema, "text", "JSONString", value).errors
    assert "JSONString cannot represent" in error.message
    assert ask(schema, "text", "JSONString", "{}").data == {"text": "'{}'"}


def test_a_schema_without_the_scalars_is_refused():
    with pytest.raises(TypeError, match="Int64"):
        install_scalars(build_schema("type Query { a: Int }"))
