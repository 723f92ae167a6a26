"""Connects fields of the schema to resolvers.

Each topic has a `Table` of resolvers; `install` sets the resolvers of all tables in the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from graphql import (
    GraphQLAbstractType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    is_abstract_type,
)

from runlake.server.graphql.context import Context

Fields = dict[str, Any]
Given = Mapping[str, Any]
Show = Callable[[Any], Any]
# A resolver takes the context, the value that has the field, and the arguments that are not null.
Resolve = Callable[[Context, Any, Given], Any]
Act = Callable[[Context, Given], Fields]


class Table:
    """Collects the resolvers of one topic, such as runs.

    The fields of a value that is a dict need no resolver.
    """

    def __init__(self) -> None:
        self.resolvers: dict[tuple[str, str], Callable[..., Any]] = {}
        self.type_names: dict[str, Show] = {}
        self.shown: set[str] = set()

    def shows(self, types: str | tuple[str, ...], fields: Mapping[str, Show]) -> None:
        """Add resolvers of fields that are computed from a database row alone.

        Parameters
        ----------
        types : str or tuple of str
            GraphQL types whose values are database rows; `install` requires a resolver for each
            field of such a type.
        fields : mapping
            GraphQL field name to a function that takes the row and returns the field.
        """
        for type_name in _tuple_of(types):
            self.shown.add(type_name)
            for name, show in fields.items():
                self.resolvers[type_name, name] = _by_value(show)

    def resolves(self, types: str | tuple[str, ...], *names: str) -> Callable[[Resolve], Resolve]:
        """Return a decorator that makes a function the resolver of some fields.

        The function takes the context, the value that has the field, and the arguments.
        """

        def add(resolve: Resolve) -> Resolve:
            for type_name in _tuple_of(types):
                for name in names:
                    self.resolvers[type_name, name] = _by_context(resolve)
            return resolve

        return add

    def mutation(self, *names: str) -> Callable[[Act], Act]:
        """Return a decorator that makes a function the resolver of some mutations.

        The function takes the context and the input fields.
        """

        def add(act: Act) -> Act:
            # One request may contain several mutations, which are executed one after the other.
            def forget_and_act(context: Context, _: Any, given: Given) -> Fields:
                context.forget_large()
                return act(context, given)

            self.resolves("Mutation", *names)(forget_and_act)
            return act

        return add

    def names_types_of(self, abstract: str, name: Show) -> None:
        """Set the function that names the object type of a value of an interface or a union.

        Parameters
        ----------
        abstract : str
            Name of an interface or a union.
        name : callable
            Takes a value and returns the name of its object type.
        """
        self.type_names[abstract] = name


def identity(value: Any) -> Any:
    """Return the value unchanged."""
    return value


def column(name: str) -> Show:
    """Return a function that takes a row and returns its column ``name``."""
    return itemgetter(name)


def constant(value: Any) -> Show:
    """Return a function that takes any value and returns the constant ``value``."""
    return lambda _: value


def install(schema: GraphQLSchema, tables: Iterable[Table]) -> None:
    """Set the resolvers of all tables in a schema.

    Raises
    ------
    TypeError
        If a table names a type that the schema does not have, or if a field has no resolver
        although its type was passed to `Table.shows`.
    """
    shown: set[str] = set()
    for table in tables:
        shown |= table.shown
        for (type_name, name), resolve in table.resolvers.items():
            _object_type(schema, type_name).fields[name].resolve = resolve
        for type_name, show in table.type_names.items():
            _abstract_type(schema, type_name).resolve_type = _by_value(show)
    for type_name in shown:
        fields = _object_type(schema, type_name).fields
        missing = [name for name, field in fields.items() if field.resolve is None]
        if missing:
            raise TypeError(f"{type_name} has fields without a resolver: {', '.join(missing)}")


def _tuple_of(types: str | tuple[str, ...]) -> tuple[str, ...]:
    return (types,) if isinstance(types, str) else types


def _by_value(show: Show) -> Callable[..., Any]:
    return lambda value, *_: show(value)


def _by_context(resolve: Resolve) -> Callable[..., Any]:
    def answer(value: Any, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        # Clients send null for arguments that are not given.
        given = arguments.get("input", arguments)
        named = {key: item for key, item in given.items() if item is not None}
        info.context.budget.check()
        found = resolve(info.context, value, named)
        info.context.budget.spend(found)
        return found

    return answer


def _object_type(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    found = schema.type_map.get(name)
    if not isinstance(found, GraphQLObjectType):
        raise TypeError(f"{name} is no object type of the schema")
    return found


def _abstract_type(schema: GraphQLSchema, name: str) -> GraphQLAbstractType:
    found = schema.type_map.get(name)
    if not is_abstract_type(found):
        raise TypeError(f"{name} is neither an interface nor a union")
    return found
