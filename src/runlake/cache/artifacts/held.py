"""Artifact versions that a pull has stored: their fields, manifests and contents on disk.

The fields of a version are stored in one file. All runs that logged or used the version share this
file. Beside its exports, each run has a list of its artifacts. The list names these files.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlake.backend.http.client import Client
from runlake.cache.artifacts.contents import artifact_place
from runlake.cache.artifacts.manifest import Entry, Manifest, fetch_manifest, parse_manifest
from runlake.cache.artifacts.references import parse_artifact_reference
from runlake.cache.companions import ARTIFACTS, Row, read_rows
from runlake.cache.disk.links import read_small_file
from runlake.cache.layout import ArtifactPlace, RunDirectory
from runlake.errors import NotCached, ProtocolError
from runlake.values import ArtifactPath

MAX_BYTES = 1 << 30
# Kinds of rows in the list of a run's artifacts; the last has the numbers of the other two.
LOGGED, USED, TOTALS = "logged", "used", "totals"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class HeldVersion:
    """The stored fields of an artifact version, and of the runs that logged or used it.

    Parameters
    ----------
    node : mapping
        Fields of the version, by the backend's names.
    created_by : mapping or None
        Fields of the run that logged the version, by the backend's names; None if no run did.
    used_by : tuple of mapping
        Fields of the runs that used the version.
    manifest : str or None
        Name of the manifest's content in the cache; None if the version's files were not pulled.
        Then ``created_by`` and ``used_by`` are not known either.
    listed_at : float
        When the backend listed the fields, in seconds since 1970.
    """

    node: Mapping[str, Any]
    created_by: Mapping[str, Any] | None = None
    used_by: tuple[Mapping[str, Any], ...] = ()
    manifest: str | None = None
    listed_at: float = 0.0

    @property
    def id(self) -> str:
        """The backend's id of the version."""
        return str(self.node["id"])

    @property
    def names(self) -> tuple[str, str, str]:
        """Entity, project and collection to which the version was logged."""
        return names_of(self.node)

    @property
    def path(self) -> ArtifactPath:
        """The path of the version."""
        return ArtifactPath(*self.names, f"v{self.node['versionIndex']}")

    @property
    def aliases(self) -> list[str]:
        """The aliases in the collection to which the version was logged."""
        return [
            str(one["alias"])
            for one in self.node.get("aliases") or ()
            if _collection_names(one.get("artifactCollection")) in {None, self.names}
        ]


def names_of(node: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return entity, project and collection of an artifact, from its fields.

    Raises
    ------
    LookupError, TypeError
        If the fields have another shape, or the API key may not see the project.
    """
    collection = node["artifactSequence"]
    project = collection["project"]
    return str(project["entity"]["name"]), str(project["name"]), str(collection["name"])


def _collection_names(collection: Mapping[str, Any] | None) -> tuple[str, str, str] | None:
    if collection is None or collection.get("project") is None:
        return None
    return names_of({"artifactSequence": collection})


def store_version(place: ArtifactPlace, held: HeldVersion) -> None:
    """Write a `HeldVersion` to disk, in place of an older one of the same artifact version.

    Raises
    ------
    OSError
        If the cache cannot be written.
    """
    directory = place.collection(held.names)
    directory.mkdir(parents=True, exist_ok=True)
    document = {
        "node": held.node,
        "createdBy": held.created_by,
        "usedBy": held.used_by,
        "manifest": held.manifest,
        "listedAt": held.listed_at,
    }
    part = directory / f".{secrets.token_hex(8)}.part"
    try:
        part.write_bytes(json.dumps(document, separators=(",", ":")).encode())
        part.replace(place.version(held.names, held.id))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def find_version(
    place: ArtifactPlace, artifact_id: str, names: tuple[str, str, str] | None = None
) -> HeldVersion | None:
    """Return the stored fields of a version; None if their file is missing or damaged.

    Parameters
    ----------
    place : ArtifactPlace
        The cache directory and the backend.
    artifact_id : str
        The backend's id of the version.
    names : tuple of str, optional
        Entity, project and collection; if omitted, all collections are searched.
    """
    if names is not None:
        return _read(place.version(names, artifact_id))
    # The file's name depends only on the id, so one pattern finds the file in any collection.
    found = place.collections.glob(f"*/{place.version_name(artifact_id)}")
    return next(filter(None, map(_read, found)), None)


def find_named(place: ArtifactPlace, path: ArtifactPath) -> HeldVersion | None:
    """Return the stored version at a path; if the path has no alias, the latest version.

    Parameters
    ----------
    place : ArtifactPlace
        The cache directory and the backend.
    path : ArtifactPath
        A path in the collection to which the version was logged.

    Returns
    -------
    HeldVersion or None
        None if no version is stored. If an alias moved between two pulls, the version that was
        listed last is returned.
    """
    names = (path.entity, path.project, path.collection)
    alias = path.alias or LATEST
    found = [
        one
        for one in iter_versions(place, names)
        if alias in {f"v{one.node['versionIndex']}", *one.aliases}
    ]
    return max(found, key=lambda one: one.listed_at, default=None)


def iter_collections(
    place: ArtifactPlace, entity: str, project: str
) -> Iterator[list[HeldVersion]]:
    """Yield, for each collection of a project, a list of its stored versions, in no order."""
    try:
        directories = list(place.collections.iterdir())
    except OSError:
        return
    for directory in directories:
        versions = filter(None, map(_read, directory.glob("*.json")))
        first = next(versions, None)
        # All files of a directory are of one collection, so the others need not be read.
        if first is not None and first.names[:2] == (entity, project):
            yield [first, *versions]


def iter_versions(place: ArtifactPlace, names: tuple[str, str, str]) -> Iterator[HeldVersion]:
    """Yield the stored versions of a collection, in no particular order."""
    yield from filter(None, map(_read, place.collection(names).glob("*.json")))


def _read(path: Path) -> HeldVersion | None:
    try:
        document = json.loads(read_small_file(path, MAX_BYTES))
        held = HeldVersion(
            document["node"],
            document["createdBy"],
            tuple(document["usedBy"]),
            document["manifest"],
            float(document["listedAt"]),
        )
        # These raise an error if a field is missing or of a wrong type: here, where it is caught.
        _ = (held.id, held.path, held.aliases, held.node["artifactType"]["name"])
        _ = int(held.node["versionIndex"])
        _ = [one["id"] for one in held.used_by]
        _ = None if held.created_by is None else held.created_by["id"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return held


def read_list(directory: RunDirectory) -> list[HeldRow] | None:
    """Return the artifacts of a run in the lake; None if they were never pulled.

    The result is also None if the list of the artifacts is damaged.

    Raises
    ------
    NotCached
        If the file with the fields of an artifact is missing or damaged.
    """
    rows = read_rows(directory, ARTIFACTS)
    if rows is None:
        return None
    return [_held_row(directory, row) for row in rows if row["mode"] != TOTALS]


@dataclass(frozen=True, slots=True)
class HeldRow:
    """An artifact that a run in the lake logged or used.

    Parameters
    ----------
    mode : {"logged", "used"}
        Whether the run logged or used the artifact.
    version : HeldVersion
        The stored fields of the artifact version.
    """

    mode: str
    version: HeldVersion


def _held_row(directory: RunDirectory, row: Row) -> HeldRow:
    entity, project, collection = row["names"]
    found = find_version(place_of(directory), row["id"], (entity, project, collection))
    if found is None:
        raise NotCached(
            f"The fields of artifact '{entity}/{project}/{collection}:{row['version']}' of "
            f"'{directory.run}' are damaged or gone. Pull the run again.",
            path=str(directory.path),
        )
    return HeldRow(str(row["mode"]), found)


def load_manifest(client: Client, artifact_id: str, what: str) -> Manifest:
    """Fetch the manifest of a version or, offline, read it from disk; see `fetch_manifest`.

    Raises
    ------
    NotCached
        If offline mode is on, and the version's files were not pulled.
    """
    if not client.settings.offline:
        return fetch_manifest(client, artifact_id, what)
    place = artifact_place(client.settings)
    held = find_version(place, artifact_id)
    manifest = None if held is None else read_manifest_of(place, held)
    if manifest is None:
        raise not_pulled(place, what)
    return manifest


def read_manifest_of(place: ArtifactPlace, held: HeldVersion) -> Manifest | None:
    """Return the stored manifest of a version; None if it is damaged, or was not pulled."""
    if held.manifest is None:
        return None
    path = place.content(held.manifest).path
    try:
        content = read_small_file(path, MAX_BYTES)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != held.manifest:
            return None
        return parse_manifest(content, f"'{held.path}'")
    except (OSError, ProtocolError):
        return None


def stored_entries(manifest: Manifest) -> list[Entry]:
    """Return the entries whose contents a pull stores.

    References to files outside of artifacts are left out; references to files of artifacts are
    included.
    """
    return [
        entry
        for entry in manifest.entries.values()
        if entry.content_name is not None
        and (entry.ref is None or parse_artifact_reference(entry.ref) is not None)
    ]


def stored_names(directory: RunDirectory) -> tuple[list[str], list[str]]:
    """Return the paths of the cached files from which a run's artifacts are read.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.

    Returns
    -------
    tuple of list of str and list of str
        First the files with the fields of artifact versions; a later pull may replace these files.
        Then the manifests and contents, which never change. Paths are relative to the root of the
        cache, unique and sorted.
    """
    place = place_of(directory)
    try:
        listed = read_list(directory) or []
    except NotCached:
        return [], []
    fields, contents = set[Path](), set[Path]()
    for held in (row.version for row in listed):
        fields.add(place.version(held.names, held.id))
        manifest = read_manifest_of(place, held)
        if manifest is not None:
            names = [held.manifest, *(one.content_name for one in stored_entries(manifest))]
            contents |= {place.content(str(name)).path for name in names}
    return _relative(place.root, fields), _relative(place.root, contents)


def place_of(directory: RunDirectory) -> ArtifactPlace:
    """Return an `ArtifactPlace` for a run's cache and backend."""
    return ArtifactPlace(directory.root, directory.base_url)


def _relative(root: Path, paths: set[Path]) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in paths)


def not_pulled(place: ArtifactPlace, what: str) -> NotCached:
    """Return the error for an artifact whose files were not pulled."""
    return NotCached(
        f"The files of artifact {what} are not in the cache at {str(place.root)!r}, and "
        "this client is offline. Pull the run that logged or used it, with "
        "Lake.pull(..., artifacts=True).",
        path=str(place.root),
    )
