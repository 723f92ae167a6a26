"""The embedded backend has a resolver for each field of its schema, or does not start."""

from types import SimpleNamespace

import pytest
from graphql import build_schema, graphql_sync

from runlake.server.graphql.budget import Budget
from runlake.server.graphql.table import Table, column, constant, install

SCHEMA = "type Query { thing: Thing } type Thing { id: Int name: String }"


@pytest.fixture
def table():
    found = Table()
    found.shows("Thing", {"id": column("number")})
    found.resolves("Query", "thing")(lambda *_: {"number": 3})
    return found


def test_a_field_without_a_resolver_is_named_at_the_start(table):
    with pytest.raises(TypeError, match="Thing has fields without a resolver: name"):
        install(build_schema(SCHEMA), [table])


def test_a_type_may_have_resolvers_in_two_topics(table):
    other = Table()
    other.shows("Thing", {"name": constant("n")})
    schema = build_schema(SCHEMA)
    install(schema, [table, other])
    context = SimpleNamespace(budget=Budget())
    answer = graphql_sync(schema, "{ thing { id name } }", context_value=context)
    assert answer.data == {"thing": {"id": 3, "name": "n"}}


def test_a_type_that_the_schema_lacks_is_named(table):
    table.shows("Other", {"id": column("id")})
    with pytest.raises(TypeError, match="Other"):
        install(build_schema(SCHEMA), [table])
