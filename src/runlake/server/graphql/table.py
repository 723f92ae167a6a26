"""How the fields of the schema are answered: each topic has a table, `install` puts it in."""

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
# Gets who asks, the value whose field it is, and the arguments that are not null.
Resolve = Callable[[Context, Any, Given], Any]
Act = Callable[[Context, Given], Fields]


class Table:
    """What answers the fields of one topic; the fields of a dict need no answer of their own."""

    def __init__(self) -> None:
        self.resolvers: dict[tuple[str, str], Callable[..., Any]] = {}
        self.type_names: dict[str, Show] = {}
        self.shown: set[str] = set()

    def shows(self, types: str | tuple[str, ...], fields: Mapping[str, Show]) -> None:
        """Answer fields from the value alone.

        Parameters
        ----------
        types : str or tuple of str
            Types whose values are rows; `install` wants all of their fields answered.
        fields : mapping
            By name in GraphQL, what returns the field of a value.
        """
        for type_name in _tuple_of(types):
            self.shown.add(type_name)
            for name, show in fields.items():
                self.resolvers[type_name, name] = _by_value(show)

    def resolves(self, types: str | tuple[str, ...], *names: str) -> Callable[[Resolve], Resolve]:
        """Answer fields by a function of who asks, the value and the arguments."""

        def add(resolve: Resolve) -> Resolve:
            for type_name in _tuple_of(types):
                for name in names:
                    self.resolvers[type_name, name] = _by_context(resolve)
            return resolve

        return add

    def mutation(self, *names: str) -> Callable[[Act], Act]:
        """Answer mutations by a function of who asks and the fields of the input."""

        def add(act: Act) -> Act:
            self.resolves("Mutation", *names)(lambda context, _, given: act(context, given))
            return act

        return add

    def names_types_of(self, abstract: str, name: Show) -> None:
        """Tell which type a value of an interface or a union has."""
        self.type_names[abstract] = name


def identity(value: Any) -> Any:
    """Show a value as it is."""
    return value


def column(name: str) -> Show:
    """Show what a value has under a name."""
    return itemgetter(name)


def constant(value: Any) -> Show:
    """Show the same for every value."""
    return lambda _: value


def install(schema: GraphQLSchema, tables: Iterable[Table]) -> None:
    """Let tables answer the fields of a schema.

    Raises
    ------
    TypeError
        If a table names what the schema does not have, or a type whose values are rows has a
        field that no table answers.
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
            raise TypeError(f"{type_name} has fields that nothing answers: {', '.join(missing)}")


def _tuple_of(types: str | tuple[str, ...]) -> tuple[str, ...]:
    return (types,) if isinstance(types, str) else types


def _by_value(show: Show) -> Callable[..., Any]:
    return lambda value, *_: show(value)


def _by_context(resolve: Resolve) -> Callable[..., Any]:
    def answer(value: Any, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        # The protocol sends null for what is not given.
        given = arguments.get("input", arguments)
        named = {key: item for key, item in given.items() if item is not None}
        return resolve(info.context, value, named)

    return answer


def _object_type(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    found = schema.type_map.get(name)
    if not isinstance(found, GraphQLObjectType):
        raise TypeError(f"{name} has no fields to answer")
    return found


def _abstract_type(schema: GraphQLSchema, name: str) -> GraphQLAbstractType:
    found = schema.type_map.get(name)
    if not is_abstract_type(found):
        raise TypeError(f"{name} is neither an interface nor a union")
    return found
