"""Checks the values of the schema's own scalars, so that resolvers get values of the right type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema

from runlake.server.store.database import INTEGERS

MAX_SHOWN = 60


def install_scalars(schema: GraphQLSchema) -> None:
    """Make a schema refuse values that are not valid for its scalars.

    Raises
    ------
    TypeError
        If the schema lacks one of the scalars.
    """
    for name, check in CHECKS.items():
        scalar = schema.type_map.get(name)
        if not isinstance(scalar, GraphQLScalarType):
            raise TypeError(f"{name} is no scalar of the schema")
        scalar.coerce_input_value = check


def _int64(value: Any) -> int:
    # JavaScript writes integers and doubles alike, so a double without a fraction is accepted.
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(number, int) or isinstance(number, bool) or number not in INTEGERS:
        raise GraphQLError(f"Int64 cannot represent {_shown(value)}: no integer of 64 bits.")
    return number


def _json_string(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"JSONString cannot represent {_shown(value)}: no string.")
    return value


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python refuses to write integers with thousands of digits.
        return "an integer of thousands of digits"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "Int64": _int64,
    "JSONString": _json_string,
}
