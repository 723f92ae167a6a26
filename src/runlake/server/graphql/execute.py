"""Executes GraphQL requests."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
    parse,
    validate,
)

from runlake.server.graphql.context import Context
from runlake.server.graphql.table import Fields
from runlake.server.refused import Refused

# Bytes of GraphQL texts; a parsed document takes about 60 times the size of its text.
CHARACTERS_IN_MEMORY = 1 << 18
# Each value of a list takes 15 us, and all other threads wait. The SDK sends 10,000 at a time.
MAX_LIST = 20_000


def execute(schema: GraphQLSchema, body: Mapping[str, Any], context: Context) -> Fields:
    """Answer one GraphQL request.

    Parameters
    ----------
    schema : GraphQLSchema
        The schema with its resolvers.
    body : mapping
        ``query``, ``variables`` and ``operationName``; variables that the document does not
        declare are ignored, because the SDK sends such variables.
    context : Context
        The user and the stores.

    Returns
    -------
    dict
        ``data``, and ``errors`` if something was wrong.
    """
    text = body.get("query") or ""
    try:
        _, document = _read_document(text)
    except GraphQLError as error:
        return {"data": None, "errors": [{"message": error.message}]}
    _, problems = _find_problems(schema, text)
    if problems:
        return {"data": None, "errors": [{"message": problem.message} for problem in problems]}
    variables = body.get("variables") or {}
    longest = _longest_list(variables)
    if longest > MAX_LIST:
        message = f"a variable has a list of {longest:,} values: {MAX_LIST:,} at most"
        return {"data": None, "errors": [{"message": message}]}
    result = execute_sync(
        schema,
        document,
        variable_values=variables,
        operation_name=body.get("operationName") or None,
        context_value=context,
    )
    answer: Fields = {"data": result.data}
    if result.errors:
        for problem in result.errors:
            # Anything else is a fault of the server: HTTP 500, with a traceback in its log.
            if not isinstance(problem.original_error, Refused | GraphQLError | None):
                raise problem.original_error
        answer["errors"] = [
            {"message": error.message, "path": error.path} for error in result.errors
        ]
    return answer


def is_request(body: Mapping[str, Any]) -> bool:
    """Return whether each part of a request has its type; null and missing parts are allowed."""
    parts = {"query": str, "operationName": str, "variables": dict}
    return all(isinstance(body.get(name), kind | None) for name, kind in parts.items())


def _longest_list(holder: dict[str, Any] | list[Any]) -> int:
    items, own = (holder.values(), 0) if isinstance(holder, dict) else (holder, len(holder))
    inner = [_longest_list(item) for item in items if isinstance(item, (dict, list))]
    return max(own, *inner, 0)


def operation_name(body: Mapping[str, Any]) -> str | None:
    """Return the request's ``operationName``, else the name of the operation in the document."""
    if body.get("operationName"):
        return str(body["operationName"])
    try:
        _, document = _read_document(body.get("query") or "")
    except GraphQLError:
        return None
    named = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return named[0].name.value if named and named[0].name else None


# Cached, because clients send the same few texts again and again.
@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda read: len(read[0])), lock=Lock())
def _read_document(text: str) -> tuple[str, DocumentNode]:
    return text, parse(text, no_location=True)


@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda found: len(found[0])), lock=Lock())
def _find_problems(schema: GraphQLSchema, text: str) -> tuple[str, list[GraphQLError]]:
    return text, validate(schema, _read_document(text)[1])
