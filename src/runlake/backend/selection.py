"""A GraphQL document as a tree, from which parts can be taken out (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

TOKEN = re.compile(r'\.\.\.|"[^"]*"|@?\w+|[{}()\[\]:!$]')
# The type of what a field selects, or of the nodes of the connection that it selects.
TYPES = {
    "aliases": "ArtifactAlias",
    "apiKeys": "ApiKey",
    "artifact": "Artifact",
    "artifactCollection": "ArtifactCollection",
    "artifactCollectionMembership": "ArtifactCollectionMembership",
    "artifactCollections": "ArtifactCollection",
    "artifactMembership": "ArtifactCollectionMembership",
    "artifactMemberships": "ArtifactCollectionMembership",
    "artifactSequence": "ArtifactSequence",
    "artifactType": "ArtifactType",
    "artifactTypes": "ArtifactType",
    "artifacts": "VersionedArtifact",
    "bucket": "Run",
    "clientIDMapping": "ClientIDMapping",
    "currentManifest": "ArtifactManifest",
    "defaultArtifactType": "ArtifactType",
    "entity": "Entity",
    "features": "ServerFeature",
    "file": "File",
    "files": "File",
    "inputArtifacts": "Artifact",
    "logLines": "LogLine",
    "model": "Project",
    "models": "Project",
    "outputArtifacts": "Artifact",
    "pageInfo": "PageInfo",
    "parquetHistory": "ParquetHistory",
    "project": "Project",
    "run": "Run",
    "runs": "Run",
    "serverInfo": "ServerInfo",
    "sweep": "Sweep",
    "sweeps": "Sweep",
    "tags": "Tag",
    "teams": "Entity",
    "usedBy": "Run",
    "user": "User",
    "viewer": "User",
}
NODE_TYPES = {"VersionedArtifact": "Artifact"}

Value = str | tuple[tuple[str, "Value"], ...]
Arguments = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """A field that is asked for, with what is asked for below it.

    Parameters
    ----------
    name : str
        The field; of an inline fragment ``... on TYPE``.
    alias : str
        What the answer calls it.
    arguments : tuple of pairs
        By name; an input object is a tuple of pairs too.
    directives : str
        As they stand in the document.
    children : tuple of Selection
        Empty for a leaf.
    """

    name: str
    alias: str
    arguments: Arguments
    directives: str
    children: tuple[Selection, ...]

    def __str__(self) -> str:
        name = self.name if self.alias == self.name else f"{self.alias}: {self.name}"
        below = f" {{ {' '.join(map(str, self.children))} }}" if self.children else ""
        return f"{name}{_brackets(self.arguments)}{self.directives}{below}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One query or mutation.

    Parameters
    ----------
    kind : str
        ``query`` or ``mutation``.
    name : str
        Its name.
    variables : tuple of pairs
        Names, without the dollar sign, and types.
    selections : tuple of Selection
        What it asks for.
    """

    kind: str
    name: str
    variables: tuple[tuple[str, str], ...]
    selections: tuple[Selection, ...]

    def __str__(self) -> str:
        declared = tuple((f"${name}", kind) for name, kind in self.variables)
        asked = " ".join(map(str, self.selections))
        return f"{self.kind} {self.name}{_brackets(declared)} {{ {asked} }}"

    def placed(self) -> Iterator[tuple[str, Selection]]:
        """Yield every selection behind the type that it is a field of."""
        root = "Mutation" if self.kind == "mutation" else "Query"
        return _placed(root, self.selections)

    def mapped(self, change: Change) -> Operation:
        """Return the operation with changed selections, and the variables that they use."""
        root = "Mutation" if self.kind == "mutation" else "Query"
        selections = _mapped(root, self.selections, change)
        text = " ".join(map(str, selections))
        used = set(re.findall(r"\$(\w+)", text))
        variables = tuple(pair for pair in self.variables if pair[0] in used)
        return replace(self, selections=selections, variables=variables)


# Given the type that a selection is a field of, the selection, and whether all of its children
# went, returns what stands in its place, if anything.
Change = Callable[[str, Selection, bool], Selection | None]


@lru_cache(maxsize=256)
def parse_document(document: str) -> Operation:
    """Read a document of runlake's own; it holds one operation, and no fragment by name."""
    return _Reader(TOKEN.findall(document)).operation()


def _placed(parent: str, selections: tuple[Selection, ...]) -> Iterator[tuple[str, Selection]]:
    for selection in selections:
        yield parent, selection
        yield from _placed(_type_of(parent, selection), selection.children)


def _mapped(
    parent: str, selections: tuple[Selection, ...], change: Change
) -> tuple[Selection, ...]:
    kept = []
    for selection in selections:
        found = selection
        if selection.children:
            below = _mapped(_type_of(parent, selection), selection.children, change)
            found = replace(selection, children=below)
        changed = change(parent, found, bool(selection.children and not found.children))
        if changed is not None:
            kept.append(changed)
    return tuple(kept)


def _type_of(parent: str, selection: Selection) -> str:
    """Return the type of what a selection with children selects, as W&B's schema names it."""
    if selection.name.startswith("..."):
        return selection.name.split()[-1]
    if selection.name == "node":
        return NODE_TYPES.get(found := parent.removesuffix("Edge"), found)
    if selection.name == "edges":
        return f"{parent.removesuffix('Connection')}Edge"
    kind = TYPES.get(selection.name, "")
    is_connection = any(child.name == "edges" for child in selection.children)
    return f"{kind}Connection" if is_connection else kind


def _brackets(pairs: Arguments) -> str:
    return f"({_joined(pairs)})" if pairs else ""


def _joined(pairs: Arguments) -> str:
    return ", ".join(f"{name}: {_shown(value)}" for name, value in pairs)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{{{_joined(value)}}}"


class _Reader:
    """Reads a document token by token."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def operation(self) -> Operation:
        kind, name = self._next(), self._next()
        variables = []
        if self._takes("("):
            while not self._takes(")"):
                self._expect("$")
                variable = self._next()
                self._expect(":")
                variables.append((variable, self._type()))
        return Operation(kind, name, tuple(variables), self._selections())

    def _selections(self) -> tuple[Selection, ...]:
        if not self._takes("{"):
            return ()
        found = []
        while not self._takes("}"):
            found.append(self._selection())
        return tuple(found)

    def _selection(self) -> Selection:
        alias = name = self._next()
        if name == "...":
            alias = name = f"... {self._next()} {self._next()}"
        elif self._takes(":"):
            name = self._next()
        arguments = self._pairs(")") if self._takes("(") else ()
        directives = ""
        while self._peek().startswith("@"):
            directive = self._next()
            self._expect("(")
            directives += f" {directive}{_brackets(self._pairs(')'))}"
        return Selection(name, alias, arguments, directives, self._selections())

    def _pairs(self, end: str) -> Arguments:
        pairs = []
        while not self._takes(end):
            name = self._next()
            self._expect(":")
            pairs.append((name, self._value()))
        return tuple(pairs)

    def _value(self) -> Value:
        if self._takes("{"):
            return self._pairs("}")
        return f"${self._next()}" if self._takes("$") else self._next()

    def _type(self) -> str:
        kind = f"[{self._type()}]" if self._takes("[") else self._next()
        self._takes("]")
        return f"{kind}!" if self._takes("!") else kind

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, token: str) -> bool:
        is_next = self._peek() == token
        self._at += is_next
        return is_next

    def _expect(self, token: str) -> None:
        if not self._takes(token):
            raise AssertionError(f"{token!r} was expected, not {self._peek()!r}")
