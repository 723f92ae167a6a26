"""Parse runlake's own GraphQL documents into `Operation` values; this module does no I/O."""

from __future__ import annotations

from graphql.language import ast, parse, print_ast

from runlake.backend.graphql.selection import Arguments, Operation, Selection, Value, brackets


def parse_document(document: str) -> Operation:
    """Return the single operation of a document; named fragments are not supported."""
    (found,) = parse(document, no_location=True).definitions
    if not isinstance(found, ast.OperationDefinitionNode):
        raise TypeError(f"{document!r} is not an operation.")
    variables = tuple(
        (one.variable.name.value, print_ast(one.type)) for one in found.variable_definitions or ()
    )
    name = found.name.value if found.name else ""
    return Operation(found.operation.value, name, variables, _selections(found.selection_set))


def _selections(found: ast.SelectionSetNode | None) -> tuple[Selection, ...]:
    return tuple(map(_selection, found.selections)) if found else ()


def _selection(node: ast.SelectionNode) -> Selection:
    directives = "".join(
        f" @{one.name.value}{brackets(_pairs(one))}" for one in node.directives or ()
    )
    if isinstance(node, ast.InlineFragmentNode) and node.type_condition:
        alias = name = f"... on {node.type_condition.name.value}"
        return Selection(name, alias, (), directives, _selections(node.selection_set))
    if not isinstance(node, ast.FieldNode):
        raise TypeError(f"{print_ast(node)!r} is not a field.")
    name = node.name.value
    alias = node.alias.value if node.alias else name
    return Selection(name, alias, _pairs(node), directives, _selections(node.selection_set))


def _pairs(node: ast.FieldNode | ast.DirectiveNode) -> Arguments:
    return tuple((one.name.value, _value(one.value)) for one in node.arguments or ())


def _value(node: ast.ValueNode) -> Value:
    if isinstance(node, ast.ObjectValueNode):
        return tuple((one.name.value, _value(one.value)) for one in node.fields)
    return print_ast(node)
