"""Parses GraphQL documents, and refuses documents that would take too long to execute.

The largest document of the SDK has 2,200 characters and 72 fields, nested in 11 levels. No document
of the SDK repeats a field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache, cached
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

MAX_CHARACTERS = 500_000
MAX_TOKENS = 20_000
# The fields of a fragment count at each use, so that nested fragments cannot exceed the limit.
MAX_FIELDS = 2_000
MAX_DEPTH = 25
# Scripts that create or read many runs use one field under some hundred aliases in one query.
MAX_REPEATS = 300
INTROSPECTION = {"__schema", "__type"}
# Documents are cached until their texts have this many characters in total. A parsed document takes
# about 60 times the size of its text.
CHARACTERS_IN_MEMORY = 1 << 18


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed GraphQL document.

    Parameters
    ----------
    text : str
        The document as the client sent it.
    node : DocumentNode
        The parsed document, which is not validated yet.
    is_introspection : bool
        True if the document requests the schema.
    """

    text: str
    node: DocumentNode
    is_introspection: bool

    @property
    def operation_name(self) -> str | None:
        """Name of the first operation in the document; None if it has no name."""
        found = [d for d in self.node.definitions if isinstance(d, OperationDefinitionNode)]
        return found[0].name.value if found and found[0].name else None


# Cached, because clients send the same few documents again and again.
@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda read: len(read.text)), lock=Lock())
def read_document(text: str) -> Document:
    """Parse a GraphQL document, and check its size.

    Parameters
    ----------
    text : str
        The ``query`` of a request.

    Returns
    -------
    Document
        The document, which is within the limits of this module.

    Raises
    ------
    GraphQLError
        If the text is not GraphQL, or is too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise GraphQLError(f"the query is longer than {MAX_CHARACTERS:,} characters")
    node = parse(text, no_location=True, max_tokens=MAX_TOKENS)
    names = _Sizes(node).check()
    return Document(text, node, not INTROSPECTION.isdisjoint(names))


class _Sizes:
    """Counts the fields of a document; a fragment counts again at each place that uses it."""

    def __init__(self, node: DocumentNode) -> None:
        self._node = node
        self._fragments = {
            definition.name.value: definition.selection_set
            for definition in node.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._measured: dict[str, tuple[int, int]] = {}
        self._names: set[str] = set()

    def check(self) -> set[str]:
        """Return the names of all fields; raise `GraphQLError` if the document is too large."""
        for definition in self._node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._measure(definition.selection_set)
        return self._names

    def _measure(self, selections: SelectionSetNode | None) -> tuple[int, int]:
        """Return the number of fields in a selection set, and the depth of the deepest field."""
        if selections is None:
            return 0, 0
        n_fields, depth = 0, 0
        for field in self._fields(selections):
            inner_fields, inner_depth = self._measure(field.selection_set)
            n_fields, depth = n_fields + 1 + inner_fields, max(depth, 1 + inner_depth)
        for name in self._spreads(selections):
            inner_fields, inner_depth = self._measure_fragment(name)
            n_fields, depth = n_fields + inner_fields, max(depth, inner_depth)
        if n_fields > MAX_FIELDS or depth > MAX_DEPTH:
            raise GraphQLError(
                f"the query is too large: it has more than {MAX_FIELDS:,} fields, or they are "
                f"nested more than {MAX_DEPTH} deep"
            )
        return n_fields, depth

    def _measure_fragment(self, name: str) -> tuple[int, int]:
        if name not in self._measured:
            # A fragment that contains itself adds no fields here; validation refuses it.
            self._measured[name] = (0, 0)
            self._measured[name] = self._measure(self._fragments.get(name))
        return self._measured[name]

    def _fields(self, selections: SelectionSetNode) -> list[FieldNode]:
        fields = [node for node in _flat(selections) if isinstance(node, FieldNode)]
        counts = Counter(field.name.value for field in fields)
        self._names |= counts.keys()
        for name, count in counts.items():
            if count > MAX_REPEATS:
                raise GraphQLError(
                    f"the query asks {count:,} times for {name!r}: {MAX_REPEATS} at most"
                )
        return fields

    def _spreads(self, selections: SelectionSetNode) -> list[str]:
        return [n.name.value for n in _flat(selections) if isinstance(n, FragmentSpreadNode)]


def _flat(selections: SelectionSetNode) -> Iterator[FieldNode | FragmentSpreadNode]:
    """Yield the fields and fragment spreads of a selection set and of its inline fragments."""
    for node in selections.selections:
        if isinstance(node, InlineFragmentNode):
            yield from _flat(node.selection_set)
        elif isinstance(node, (FieldNode, FragmentSpreadNode)):
            yield node
