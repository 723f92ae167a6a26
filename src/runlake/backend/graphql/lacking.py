"""Adapt documents to backends with an older schema.

A backend refuses a document with fields that its schema does not have. The missing parts are parsed
from the error texts, remembered for each client, and left out of all later documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from runlake.backend.graphql.selection import Arguments, Operation, Selection, Value
from runlake.backend.http.client import Client
from runlake.errors import UnsupportedByBackend

NAME = r"[\"'`\\]*(\w+)[\"'`\\]*"
# Longer refusals are cut: the time for matching the patterns below grows faster than the text.
MAX_TEXTS = 200
MAX_CHARACTERS = 2_000
# The patterns match the error texts of graphql-js and its followers (graphql-core, gqlgen, Apollo),
# graphql-ruby, graphql-java, Hasura, Juniper and Hot Chocolate.
# They are compiled at the first refusal; that takes longer than importing most modules.
FIELD = (
    rf"(?i)\bfield {NAME} (?:does not exist|doesn't exist|not found|on|in)(?: (?:on|in))?(?: the)? "
    rf"type:? {NAME}"
)
ARGUMENT = (
    rf"(?i)unknown argument {NAME} on field [\"'`\\]*(?:(\w+)\.)?(\w+)[\"'`\\]*(?: of type {NAME})?"
)
REFUSED_ARGUMENT = rf"(?i)field {NAME} doesn't accept argument {NAME}"
PLACED_ARGUMENT = rf"(?i)UnknownArgument[^\w]+([\w/]+)\W[^'\"`]*unknown field argument {NAME}"
INPUT = rf"(?i)field {NAME} is not defined by (?:input )?type {NAME}"
UNKNOWN_INPUT = rf"(?i)value of type {NAME} not to include unknown field {NAME}"
REFUSED_INPUT = rf"(?i)InputObject {NAME} doesn't accept argument {NAME}"
TYPE = rf"(?i)unknown type {NAME}|{NAME} isn't a defined input type"
# Types of variables that have another name on older servers.
OLDER_TYPES = {"Int64": "Int"}
# A schema that lacks one of these offers no exports.
EXPORTS = frozenset({"parquetHistory", "parquetUrls"})
# Pairs of operation names. To the first name, a backend answers only with rows that are in no
# export. A backend without exports gets the second name, and answers with all rows.
ALL_ROWS = {"HistoryPage": "RunFullHistory", "SampledHistoryPage": "RunSampledHistory"}
# Fields without which no list can be read to its end.
NEEDED = frozenset({"edges", "node", "pageInfo", "hasNextPage"})
NEEDED_OF_TYPES = frozenset(
    {
        ("Artifact", "artifactSequence"),
        ("Artifact", "artifactType"),
        ("Artifact", "createdAt"),
        ("Artifact", "digest"),
        ("Artifact", "id"),
        ("Artifact", "size"),
        ("Artifact", "state"),
        ("Artifact", "versionIndex"),
        ("ArtifactAlias", "alias"),
        ("ArtifactCollection", "defaultArtifactType"),
        ("ArtifactCollection", "id"),
        ("ArtifactCollection", "name"),
        ("ArtifactCollection", "project"),
        ("ArtifactCollectionMembership", "aliases"),
        ("ArtifactCollectionMembership", "artifact"),
        ("ArtifactCollectionMembership", "artifactCollection"),
        ("ArtifactCollectionMembership", "files"),
        ("ArtifactSequence", "name"),
        ("ArtifactSequence", "project"),
        ("ArtifactType", "id"),
        ("ArtifactType", "name"),
        ("Entity", "name"),
        ("File", "displayName"),
        ("File", "name"),
        ("LogLine", "line"),
        ("LogLine", "number"),
        ("Project", "entity"),
        ("Project", "name"),
        ("Project", "runs"),
        ("Project", "sweeps"),
        ("Run", "files"),
        ("Run", "name"),
        ("Run", "project"),
        ("ServerFeature", "isEnabled"),
        ("ServerFeature", "name"),
        ("Sweep", "name"),
        ("Tag", "name"),
        ("VersionedArtifactEdge", "version"),
    }
)
# A variable may be left out if its value has no effect, or if it is only the size of a page.
SAYS_NOTHING: tuple[Any, ...] = (None, False, "", "{}", [])
SIZES = frozenset({"first", "perPage", "fileLimit"})
VARIABLE = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True)
class Lack:
    """A field, argument or type that a backend's schema does not have.

    Parameters
    ----------
    kind : {"field", "argument", "input", "type"}
        Kind of the missing part; "input" is a field of an input object.
    name : str
        Name of the missing part.
    owner : str
        For a missing field or input field, the type that should have it, as the backend's error
        names this type. For a missing argument, the field that should have it. Empty for a missing
        type.
    operation : str
        The only operation from which the part is left out: for an input field, and for a field if
        the backend's error names a type that W&B's schema does not have. Empty if the part is left
        out of every operation.
    """

    kind: str
    name: str
    owner: str
    operation: str = ""

    def __str__(self) -> str:
        if self.kind == "type":
            return f"type {self.name!r}"
        kind = "input field" if self.kind == "input" else self.kind
        return f"{kind} {self.name!r} of {self.owner!r}" if self.owner else f"{kind} {self.name!r}"


_known: WeakKeyDictionary[Client, frozenset[Lack]] = WeakKeyDictionary()


def fit(
    client: Client, document: str, variables: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return a document and its variables without the parts that the backend does not have.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        A document of this package, such as `documents.RUN`.
    variables : mapping
        Values of all variables that the document declares.

    Returns
    -------
    tuple of str and mapping
        The document and the variables, both unchanged if no missing part is known.

    Raises
    ------
    UnsupportedByBackend
        If the response would be wrong or useless without one of the missing parts.
    """
    known = _known.get(client)
    if not known:
        return document, variables
    fitted = _fitted(document, known)
    lack = fitted.missed
    for name, dropped in fitted.dropped:
        if name not in SIZES and variables.get(name) not in SAYS_NOTHING:
            lack = lack or dropped
    operation = fitted.operation
    if lack is not None:
        raise _unsupported(client, operation.name, lack)
    sent = {name: variables[name] for name, _ in operation.variables if name in variables}
    return str(operation), sent


def _unsupported(client: Client, operation: str, lack: Lack) -> UnsupportedByBackend:
    return UnsupportedByBackend(
        f"{client.origin} cannot answer {operation}: its schema lacks the {lack}, without which "
        "the answer would be wrong or incomplete. Update the server, or do without this call.",
        operation=operation,
        origin=client.origin,
        lacks=str(lack),
    )


def lacked_field(client: Client, owner: str, name: str) -> Lack | None:
    """Return the `Lack` of a field if the backend is known not to have the field.

    If the backend refused a field of this name in a type that W&B's schema does not have, then the
    field counts as missing, whatever its ``owner``.

    Parameters
    ----------
    client : Client
        Client of the backend.
    owner : str
        Type that has the field in W&B's schema.
    name : str
        Name of the field.

    Returns
    -------
    Lack or None
        None if the backend may have the field.
    """
    return _field_lack(owner, name, _known.get(client, frozenset()))


def check_field(client: Client, owner: str, name: str) -> None:
    """Raise `UnsupportedByBackend` if the backend is known not to have a field.

    Parameters
    ----------
    client : Client
        Client of the backend.
    owner : str
        Type that has the field in W&B's schema.
    name : str
        Name of the field.

    Raises
    ------
    UnsupportedByBackend
        If the backend's schema does not have the field: then its value is unknown, not null.
    """
    lack = lacked_field(client, owner, name)
    if lack is not None:
        raise _unsupported(client, f"{owner}.{name}", lack)


def learn(client: Client, document: str, body: Any) -> None:
    """Remember the missing fields, arguments and types that a backend names in a refusal.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        The refused document, as it was before `fit` left out parts of it.
    body : Any
        The parsed JSON of the response; ignored if the response has data.
    """
    if not isinstance(body, dict) or not body.get("errors") or _has_data(body):
        return
    operation = _parsed(document)
    found = {lack for text in _texts(body["errors"]) for lack in _lacks(operation, text)}
    if found:
        _known[client] = _known.get(client, frozenset()) | found


@lru_cache(maxsize=256)
def _parsed(document: str) -> Operation:
    # Imported late: importing graphql-core takes longer than a request, and only backends with an
    # older schema need it.
    from runlake.backend.graphql.parse_document import parse_document

    return parse_document(document)


def _has_data(body: Mapping[str, Any]) -> bool:
    """Return whether a response has data, which means that the backend accepted the document."""
    data = body.get("data")
    return isinstance(data, dict) and any(value is not None for value in data.values())


def _texts(errors: object) -> Iterator[str]:
    for error in errors[:MAX_TEXTS] if isinstance(errors, list) else ():
        yield str(error.get("message") if isinstance(error, dict) else error)[:MAX_CHARACTERS]


def _lacks(operation: Operation, text: str) -> Iterator[Lack]:
    """Yield the parts of an operation that the schema lacks, according to an error message."""
    # Only names that the document contains count, because an error text may quote anything.
    fields = {(owner, selection.name) for owner, selection in operation.placed()}
    names = {name for _, name in fields}
    for name, owner in re.findall(FIELD, text):
        if name in names:
            is_ours = (owner, name) in fields
            yield Lack("field", name, owner, "" if is_ours else operation.name)
    arguments = [(field, name) for name, _, field, _ in re.findall(ARGUMENT, text)]
    arguments += re.findall(REFUSED_ARGUMENT, text)
    arguments += [(path.split("/")[-1], name) for path, name in re.findall(PLACED_ARGUMENT, text)]
    yield from (Lack("argument", name, field) for field, name in arguments if field in names)
    inputs = re.findall(INPUT, text)
    unknown = re.findall(REFUSED_INPUT, text) + re.findall(UNKNOWN_INPUT, text)
    inputs += [(name, owner) for owner, name in unknown]
    yield from (Lack("input", name, owner, operation.name) for name, owner in inputs)
    types = {re.sub(r"\W", "", declared) for _, declared in operation.variables}
    yield from (Lack("type", a or b, "") for a, b in re.findall(TYPE, text) if (a or b) in types)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A document without the parts that a backend does not have.

    Parameters
    ----------
    operation : Operation
        The operation to send.
    dropped : tuple of pairs
        Variables that are not sent, each with the missing argument or input field that uses it.
    missed : Lack or None
        A missing part without which the result would be wrong or useless; None if there is none.
    """

    operation: Operation
    dropped: tuple[tuple[str, Lack], ...]
    missed: Lack | None


@lru_cache(maxsize=256)
def _fitted(document: str, known: frozenset[Lack]) -> _Fitted:
    operation = _parsed(document)
    has_exports = EXPORTS.isdisjoint(lack.name for lack in known)
    known = frozenset(lack for lack in known if lack.operation in {"", operation.name})
    missed: list[Lack] = []
    dropped: dict[str, Lack] = {}

    def change(owner: str, selection: Selection, is_emptied: bool) -> Selection | None:
        lack = _field_lack(owner, selection.name, known)
        is_emptied = is_emptied or (selection.name in EXPORTS and not has_exports)
        if lack is None and is_emptied and owner == "Mutation":
            name = Selection("__typename", "__typename", (), "", ())
            selection, is_emptied = replace(selection, children=(name,)), False
        if lack is None and not is_emptied:
            dropped.update(_dropped(selection, known))
            return replace(
                selection, arguments=_without(selection.name, selection.arguments, known)
            )
        if selection.name in NEEDED or (owner, selection.name) in NEEDED_OF_TYPES:
            missed.append(lack or Lack("field", selection.name, owner))
        return None

    fitted = operation.mapped(change)
    variables = []
    for name, declared in fitted.variables:
        base = re.sub(r"\W", "", declared)
        lack = Lack("type", base, "")
        if lack in known and base not in OLDER_TYPES:
            missed.append(lack)
        older = OLDER_TYPES.get(base, base) if lack in known else base
        variables.append((name, declared.replace(base, older)))
    if not fitted.selections and not missed:
        missed += [lack for lack in known if _is_about(operation, lack)]
    name = operation.name if has_exports else ALL_ROWS.get(operation.name, operation.name)
    left = replace(fitted, name=name, variables=tuple(variables))
    return _Fitted(left, tuple(dropped.items()), missed[0] if missed else None)


def _field_lack(owner: str, name: str, known: frozenset[Lack]) -> Lack | None:
    fields = [lack for lack in known if lack.kind == "field" and lack.name == name]
    return next((lack for lack in fields if lack.operation or lack.owner == owner), None)


def _without(field: str, arguments: Arguments, known: frozenset[Lack]) -> Arguments:
    lacking = {lack.name for lack in known if lack.kind == "argument" and lack.owner == field}
    inputs = {lack.name for lack in known if lack.kind == "input"}
    return tuple(
        (name, _without_inputs(value, inputs)) for name, value in arguments if name not in lacking
    )


def _dropped(selection: Selection, known: frozenset[Lack]) -> Iterator[tuple[str, Lack]]:
    """Yield the variables used only by a field's missing arguments, each with the missing part."""
    sent = set(VARIABLE.findall(str(replace(selection, children=()))))
    for lack in known:
        if lack.kind in {"argument", "input"}:
            left = _without(selection.name, selection.arguments, frozenset({lack}))
            kept = set(VARIABLE.findall(str(replace(selection, children=(), arguments=left))))
            yield from ((name, lack) for name in sent - kept)


def _without_inputs(value: Value, names: set[str]) -> Value:
    if isinstance(value, str):
        return value
    return tuple((name, _without_inputs(one, names)) for name, one in value if name not in names)


def _is_about(operation: Operation, lack: Lack) -> bool:
    return any(lack.name in {one.name, *dict(one.arguments)} for _, one in operation.placed())
