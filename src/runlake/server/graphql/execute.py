"""Executes GraphQL requests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from graphql import (
    Executor,
    GraphQLError,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    execute_sync,
    get_nullable_type,
    validate,
)

from runlake.server.graphql.budget import Budget
from runlake.server.graphql.context import Context
from runlake.server.graphql.document import CHARACTERS_IN_MEMORY, read_document
from runlake.server.graphql.left_out import named_feature
from runlake.server.graphql.table import Fields
from runlake.server.refused import Refused

# Each value of a list takes 15 us, and all other threads wait. The SDK sends 10,000 at a time.
MAX_LIST = 20_000
LONG_ANSWER = 1 << 20


def execute(schema: GraphQLSchema, body: Mapping[str, Any], context: Context) -> Fields:
    """Execute one GraphQL request and return the response.

    Parameters
    ----------
    schema : GraphQLSchema
        The schema, with resolvers.
    body : mapping
        ``query``, ``variables`` and ``operationName``; variables that the document does not
        declare are ignored, because the SDK sends such variables.
    context : Context
        The user and the stores.

    Returns
    -------
    dict
        The response: ``data``, and ``errors`` if something was wrong.
    """
    text = body.get("query") or ""
    try:
        document = read_document(text)
    except GraphQLError as error:
        return _failed(error.message)
    if document.is_introspection and context.user is None:
        return _failed("the schema is shown to users only: send an API key")
    _, problems = _find_problems(schema, text)
    if problems:
        messages = [problem.message for problem in problems]
        if feature := named_feature(messages):
            messages[0] = f"{messages[0]} {feature}"
        return {"data": None, "errors": [{"message": message} for message in messages]}
    variables = body.get("variables") or {}
    longest = _longest_list(variables)
    if longest > MAX_LIST:
        return _failed(f"a variable has a list of {longest:,} values: {MAX_LIST:,} at most")
    result = execute_sync(
        schema,
        document.node,
        variable_values=variables,
        operation_name=body.get("operationName") or None,
        context_value=context,
        executor_class=_Executor,
    )
    answer: Fields = {"data": result.data}
    if result.errors:
        answer["errors"] = [
            {"message": _message(error, context), "path": error.path} for error in result.errors
        ]
    return answer


class _Executor(Executor[Any]):
    """Returns lists of strings unchanged: graphql-core would spend 10 us on each string."""

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: Any,
        path: Any,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Return a list of strings unchanged; convert any other list as graphql-core does."""
        is_text = get_nullable_type(item_type) is GraphQLString
        if is_text and isinstance(items, list) and set(map(type, items)) <= {str}:
            return items
        return super().complete_iterable_value(
            item_type, field_details_list, info, path, items, position_context
        )


def _message(error: GraphQLError, context: Context) -> str:
    cause = error.original_error
    if isinstance(cause, sqlite3.OperationalError) and context.budget.is_over:
        return context.budget.reason
    # Anything else is a fault of the server: HTTP 500, with a traceback in its log.
    if not isinstance(cause, Refused | GraphQLError | None):
        raise cause
    return error.message


def _failed(message: str) -> Fields:
    return {"data": None, "errors": [{"message": message}]}


def encode_answer(answer: Fields, budget: Budget) -> bytes:
    """Encode a response as JSON; other threads can run while a long response is encoded."""
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if budget.n_bytes < LONG_ANSWER:
        return encoder.encode(answer).encode()
    # `encode` holds the interpreter's lock until the end; `iterencode` is Python and releases it.
    return "".join(encoder.iterencode(answer)).encode()


def is_request(body: Mapping[str, Any]) -> bool:
    """Return whether each member of a request body has the right type, or is null or missing."""
    parts = {"query": str, "operationName": str, "variables": dict}
    return all(isinstance(body.get(name), kind | None) for name, kind in parts.items())


def _longest_list(holder: dict[str, Any] | list[Any]) -> int:
    items, own = (holder.values(), 0) if isinstance(holder, dict) else (holder, len(holder))
    inner = [_longest_list(item) for item in items if isinstance(item, (dict, list))]
    return max(own, *inner, 0)


def operation_name(body: Mapping[str, Any]) -> str | None:
    """Return the request's ``operationName``; if absent, the operation's name in the document."""
    if body.get("operationName"):
        return str(body["operationName"])
    try:
        return read_document(body.get("query") or "").operation_name
    except GraphQLError:
        return None


# Cached, because clients send the same few documents again and again.
@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda found: len(found[0])), lock=Lock())
def _find_problems(schema: GraphQLSchema, text: str) -> tuple[str, list[GraphQLError]]:
    # The text is returned for the cache, which limits the total length of the texts.
    return text, validate(schema, read_document(text).node)
