"""A GraphQL document as a tree of immutable values; removing a field returns a new tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

# The type of each field's value; for a connection, the type of its nodes.
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
    "members": "Member",
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
    """A field that a document selects, with the selections inside the field.

    Parameters
    ----------
    name : str
        Name of the field; ``... on TYPE`` for an inline fragment.
    alias : str
        Name of the field in the response.
    arguments : tuple of pairs
        Names and values; an input object is a tuple of pairs too.
    directives : str
        The directives' text in the document.
    children : tuple of Selection
        The selections inside the field; empty for a scalar.
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
        Name of the operation.
    variables : tuple of pairs
        Names, without the dollar sign, and types.
    selections : tuple of Selection
        The selected fields.
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
        """Yield each selection at any depth, as a pair of its parent's type and the selection."""
        root = "Mutation" if self.kind == "mutation" else "Query"
        return _placed(root, self.selections)

    def mapped(self, change: Change) -> Operation:
        """Return the operation with ``change`` applied to each selection.

        Children are changed before their parents. Variables that are then no longer used are
        removed.
        """
        root = "Mutation" if self.kind == "mutation" else "Query"
        selections = _mapped(root, self.selections, change)
        text = " ".join(map(str, selections))
        used = set(re.findall(r"\$(\w+)", text))
        variables = tuple(pair for pair in self.variables if pair[0] in used)
        return replace(self, selections=selections, variables=variables)


# A function of a selection's parent type, the selection, and whether all its children were removed.
# It returns the replacement; None removes the selection.
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
    """Return the name that W&B's schema gives to the type of a selected field's value."""
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
    """Return arguments as text in parentheses; ``""`` if there are none."""
    return f"({_joined(pairs)})" if pairs else ""


def _joined(pairs: Arguments) -> str:
    return ", ".join(f"{name}: {_shown(value)}" for name, value in pairs)


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{{{_joined(value)}}}"
