"""A GraphQL document as a tree, from which parts can be taken out (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

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
        return f"{name}{brackets(self.arguments)}{self.directives}{below}"


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
        declared = tuple((f"${name}", declared) for name, declared in self.variables)
        asked = " ".join(map(str, self.selections))
        return f"{self.kind} {self.name}{brackets(declared)} {{ {asked} }}"

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
    found = TYPES.get(selection.name, "")
    is_connection = any(child.name == "edges" for child in selection.children)
    return f"{found}Connection" if is_connection else found


def brackets(pairs: Arguments) -> str:
    """Return arguments as they stand behind a name; nothing where there are none."""
    return f"({_joined(pairs)})" if pairs else ""


def _joined(pairs: Arguments) -> str:
    return ", ".join(f"{name}: {_shown(value)}" for name, value in pairs)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{{{_joined(value)}}}"
