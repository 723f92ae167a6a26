"""GraphQL requests with odd arguments: for every field of the schema, and every known document."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    get_named_type,
    is_leaf_type,
    parse,
)
from tests.fuzz.odd_values import RARELY, any_value, odd_scalar

from runlake.server.graphql.schema import load_schema

DOCUMENTS = (
    "wandb.apis._generated.operations",
    "wandb.automations._generated.operations",
    "wandb.sdk.artifacts._generated.operations",
    "wandb.sdk.internal._generated.operations",
    "runlake.backend.graphql.documents",
    "runlake.backend.graphql.artifact_documents",
    "runlake.backend.graphql.artifact_mutations",
)
ODDS = 0.2
MAX_DEPTH = 2
FIELDS_OF_A_SELECTION = 5
Target = tuple[str, str]
Request = dict[str, Any]
# Plain values by the name of an argument, so that a request gets past the first check.
Plain = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class World:
    """What exists in the backend: plain values of arguments by name."""

    plain: Plain

    def value(self, rng: random.Random, name: str) -> Any:
        """Return a plain value of an argument; None if no value is known for its name."""
        known = self.plain.get(name)
        return rng.choice(known) if known else None


@cache
def schema() -> GraphQLSchema:
    return load_schema()


@cache
def targets() -> list[Target]:
    """Return (type, field) of each field with arguments that can be selected from a root."""
    found = []
    for type_name in _ways():
        fields = schema().type_map[type_name]
        assert isinstance(fields, GraphQLObjectType | GraphQLInterfaceType)
        found += [(type_name, name) for name, field in fields.fields.items() if field.args]
    return found


@cache
def _ways() -> dict[str, tuple[Target, ...]]:
    """Return the shortest way of fields from a root to each type that has fields."""
    ways: dict[str, tuple[Target, ...]] = {"Query": (), "Mutation": ()}
    waiting = list(ways)
    for type_name in waiting:
        found = schema().type_map[type_name]
        if not isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            continue
        for name, field in found.fields.items():
            inner = get_named_type(field.type)
            if inner.name not in ways and isinstance(
                inner, GraphQLObjectType | GraphQLInterfaceType
            ):
                ways[inner.name] = (*ways[type_name], (type_name, name))
                waiting.append(inner.name)
    return ways


class _Writer:
    """Writes one document with its variables."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self._rng = rng
        self._world = world
        self.declared: dict[str, str] = {}
        self.variables: dict[str, Any] = {}

    def field(self, type_name: str, name: str, odds: float, inner: str | None = None) -> str:
        owner = schema().type_map[type_name]
        assert isinstance(owner, GraphQLObjectType | GraphQLInterfaceType)
        field = owner.fields[name]
        given = [self._argument(key, arg, odds) for key, arg in field.args.items()]
        named = ", ".join(filter(None, given))
        selection = self._selection(field.type, 0) if inner is None else f"{{ {inner} }}"
        return f"{name}{f'({named})' if named else ''} {selection}"

    def _argument(self, name: str, argument: GraphQLArgument, odds: float) -> str:
        is_needed = isinstance(argument.type, GraphQLNonNull) or name in {"name", "entityName"}
        if not is_needed and self._rng.random() < 0.4:
            return ""
        value = value_of(self._rng, self._world, name, argument.type, odds)
        if not isinstance(value, dict | list) and self._rng.random() < 0.2:
            return f"{name}: {json.dumps(value)}"
        variable = f"v{len(self.variables)}"
        self.declared[variable], self.variables[variable] = str(argument.type), value
        return f"{name}: ${variable}"

    def _selection(self, selected: GraphQLOutputType, depth: int) -> str:
        kind = get_named_type(selected)
        if is_leaf_type(kind):
            return ""
        if isinstance(kind, GraphQLUnionType):
            return "{ __typename }"
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        names = list(kind.fields)
        chosen = self._rng.sample(names, min(len(names), FIELDS_OF_A_SELECTION))
        parts = ["__typename"]
        for name in chosen:
            inner = kind.fields[name]
            if is_leaf_type(get_named_type(inner.type)) or depth < MAX_DEPTH:
                given = [self._argument(key, arg, ODDS) for key, arg in inner.args.items()]
                named = ", ".join(filter(None, given))
                alias = f"a{len(parts)}: {name}" if named else name
                selection = self._selection(inner.type, depth + 1)
                parts.append(f"{alias}{f'({named})' if named else ''} {selection}")
        return f"{{ {' '.join(parts)} }}"


def request_for(rng: random.Random, world: World, target: Target) -> Request:
    """Return a request that selects a field, with odd arguments."""
    writer = _Writer(rng, world)
    type_name, name = target
    text = writer.field(type_name, name, ODDS)
    for owner, step in reversed(_ways()[type_name]):
        text = writer.field(owner, step, 0.0, text)
    declared = ", ".join(f"${name}: {kind}" for name, kind in writer.declared.items())
    root = "mutation" if (_ways()[type_name] or [target])[0][0] == "Mutation" else "query"
    operation = rng.choice(("Odd", "HistoryPage", "SampledHistoryPage"))
    text = f"{root} {operation}{f'({declared})' if declared else ''} {{ {text} }}"
    return {"query": text, "variables": writer.variables, "operationName": operation}


def value_of(rng: random.Random, world: World, name: str, kind: Any, odds: float) -> Any:
    """Return a value of an input type: plain if one is known, odd now and then."""
    if isinstance(kind, GraphQLNonNull):
        return value_of(rng, world, name, kind.of_type, odds)
    if rng.random() < odds * RARELY:
        return any_value(rng)
    if isinstance(kind, GraphQLList):
        if rng.random() < odds * RARELY:
            return ["n"] * 300_000
        sizes = (0, 1, 1, 2) if odds else (1,)
        return [value_of(rng, world, name, kind.of_type, odds) for _ in range(rng.choice(sizes))]
    if isinstance(kind, GraphQLInputObjectType):
        return {
            key: value_of(rng, world, key, field.type, odds)
            for key, field in kind.fields.items()
            if _is_given(rng, world, key, field)
        }
    return _leaf(rng, world, name, kind, odds)


def _leaf(rng: random.Random, world: World, name: str, kind: Any, odds: float) -> Any:
    plain = world.value(rng, name)
    if plain is not None and rng.random() >= odds:
        return plain
    if isinstance(kind, GraphQLEnumType):
        return rng.choice(list(kind.values))
    return odd_scalar(rng, get_named_type(kind).name)


def _is_given(rng: random.Random, world: World, name: str, field: GraphQLInputField) -> bool:
    is_needed = isinstance(field.type, GraphQLNonNull)
    return is_needed or rng.random() < (0.6 if name in world.plain else 0.3)


@cache
def known_documents() -> list[tuple[str, tuple[tuple[str, TypeNode], ...]]]:
    """Return the documents of the SDK and of the client, with their variables."""
    return list(_documents())


def _documents() -> Iterator[tuple[str, tuple[tuple[str, TypeNode], ...]]]:
    for module in map(importlib.import_module, DOCUMENTS):
        for text in vars(module).values():
            if not isinstance(text, str) or not text.lstrip().startswith(("query", "mutation")):
                continue
            (operation, *_) = parse(text).definitions
            assert isinstance(operation, OperationDefinitionNode)
            declared = operation.variable_definitions or ()
            yield text, tuple((node.variable.name.value, node.type) for node in declared)


def known_request(rng: random.Random, world: World) -> Request:
    """Return a document of the SDK or of the client, with odd variables."""
    text, declared = rng.choice(known_documents())
    variables = {name: _variable(rng, world, name, kind) for name, kind in declared}
    return {"query": text, "variables": variables}


def _variable(rng: random.Random, world: World, name: str, kind: TypeNode) -> Any:
    if isinstance(kind, NonNullTypeNode):
        return _variable(rng, world, name, kind.type)
    if isinstance(kind, ListTypeNode):
        return [_variable(rng, world, name, kind.type) for _ in range(rng.randrange(3))]
    found = schema().type_map.get(_name_of(kind))
    return any_value(rng) if found is None else value_of(rng, world, name, found, ODDS)


def _name_of(kind: TypeNode) -> str:
    assert isinstance(kind, NamedTypeNode)
    return kind.name.value
