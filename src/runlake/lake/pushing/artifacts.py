"""Send the artifacts that runs logged, ordered by version, and link artifacts that runs used."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import mutate
from runlake.backend.http.client import Client
from runlake.cache.artifacts.held import (
    LOGGED,
    USED,
    HeldVersion,
    place_of,
    read_list,
    read_manifest_of,
    stored_entries,
)
from runlake.cache.artifacts.manifest import XXH128, Entry, Manifest
from runlake.cache.artifacts.references import ARTIFACT_SCHEME, parse_artifact_reference
from runlake.cache.layout import RunDirectory
from runlake.errors import ArtifactNotFoundError, CacheCorrupt, NotCached, RunlakeError
from runlake.lake.pulling.artifacts import Damages, is_history
from runlake.lake.pushing.sdk import SdkProcess, sdk_process
from runlake.public.artifacts.artifacts import fetch_artifact
from runlake.values import ArtifactPath, RunPath

# Converts owner and project in the lake to owner and project at the backend.
FindPlace = Callable[[str, str], tuple[str, str]]
# The backend from which a version was pulled, and the version's id there: two backends may give the
# same id to two versions.
VersionKey = tuple[str, str]


@dataclass(slots=True)
class RunArtifacts:
    """The artifacts of a run, and what is lost when they are pushed.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory in the lake.
    logged, used : list of HeldVersion
        Artifact versions that the run logged and whose files are in the lake, and artifact versions
        that the run used.
    lost : list of str
        Descriptions of what the copies of these artifacts will lack.
    ids : dict of str to str
        The id at the backend of each artifact that was sent or linked, by the artifact's id in the
        lake.
    problems : list of str
        Messages about artifacts that could not be sent or linked.
    """

    directory: RunDirectory
    logged: list[HeldVersion] = field(default_factory=list)
    used: list[HeldVersion] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The base URL of the backend from which the run was pulled."""
        return self.directory.base_url

    def key(self, artifact_id: str) -> VersionKey:
        """Return the key of an artifact version: the run's backend, and the version's id there."""
        return self.origin, artifact_id

    def manifest(self, held: HeldVersion) -> Manifest:
        """Read the manifest of an artifact version from the lake.

        Raises
        ------
        CacheCorrupt
            If the manifest is damaged or gone.
        """
        found = read_manifest_of(place_of(self.directory), held)
        if found is None:
            raise _damaged(self.directory, f"the manifest of artifact '{held.path}'")
        return found

    def n_bytes_of(self, held: HeldVersion) -> int:
        """Return the size in bytes of a version's files; references do not count."""
        return sum(entry.size or 0 for entry in _own_files(self.manifest(held)))


def artifacts_to_send(directory: RunDirectory) -> RunArtifacts:
    """Find the artifacts of a run that a push would send or link; send nothing.

    Raises
    ------
    NotCached
        If the fields of an artifact are no longer in the lake.
    """
    found = RunArtifacts(directory)
    listed = read_list(directory)
    if listed is None:
        found.lost.append("artifacts, which were not pulled (pull with artifacts=True)")
    for row in listed or ():
        held = row.version
        if is_history(held.node):
            continue
        if row.mode == USED:
            found.used.append(held)
        elif row.mode == LOGGED and held.manifest is not None:
            found.logged.append(held)
        else:
            found.lost.append(
                f"artifact {_name(held)!r}, whose files were not pulled (pull with artifacts=True)"
            )
    return found


def logs_artifacts(directory: RunDirectory) -> bool:
    """Return whether a push of the run would send artifacts."""
    try:
        return bool(artifacts_to_send(directory).logged)
    except NotCached:
        return False


def check_contents(artifacts: RunArtifacts, damages: Damages) -> None:
    """Raise `CacheCorrupt` if a file of an artifact to send is damaged or gone."""
    for held in artifacts.logged:
        damage = damages.first(place_of(artifacts.directory), held)
        if damage is not None:
            raise _damaged(artifacts.directory, damage.partition(" is damaged")[0])


def send_artifacts(
    client: Client, runs: Mapping[RunPath, RunArtifacts], find_place: FindPlace
) -> None:
    """Send the artifacts that runs logged, and link the artifacts that runs used.

    The backend must have the runs already.

    Parameters
    ----------
    client : Client
        The backend.
    runs : mapping of RunPath to RunArtifacts
        The artifacts of each run, by the run's path at the backend. This function adds to their
        ``ids``, ``problems`` and ``lost``.
    find_place : callable
        Takes an owner and a project in the lake, and returns those at the backend.
    """
    with ExitStack() as stack:
        sending = _Sending(client, stack)
        for there, artifacts, held in _in_order(runs):
            try:
                artifacts.ids[held.id] = sending.log(there, artifacts, held)
            except RunlakeError as error:
                artifacts.problems.append(f"its artifact {_name(held)!r} was not sent: {error}")
    # After all logged artifacts, because a run may use an artifact that another run of this push
    # logged. The SDK has closed the runs by now.
    for there, artifacts in runs.items():
        for held in artifacts.used:
            try:
                found = sending.sent.get(artifacts.key(held.id)) or _find(client, held, find_place)
                if found is None:
                    artifacts.lost.append(
                        f"that it used artifact {_name(held)!r}, which is not sent"
                    )
                    continue
                _use(client, there, held, found)
            except RunlakeError as error:
                artifacts.problems.append(f"that it used {_name(held)!r} was not sent: {error}")
                continue
            artifacts.ids[held.id] = found


def _in_order(
    runs: Mapping[RunPath, RunArtifacts],
) -> Iterator[tuple[RunPath, RunArtifacts, HeldVersion]]:
    """Yield each logged artifact after its earlier versions and the artifacts that it refers to."""
    every = [
        (there, artifacts, held) for there, artifacts in runs.items() for held in artifacts.logged
    ]
    every.sort(
        key=lambda one: (one[1].origin, one[2].names, int(one[2].node["versionIndex"]), one[2].id)
    )
    earlier = dict[VersionKey, VersionKey]()
    for (_, of_before, before), (_, of_held, held) in pairwise(every):
        key, key_before = of_held.key(held.id), of_before.key(before.id)
        if key != key_before and (of_before.origin, before.names) == (of_held.origin, held.names):
            earlier[key] = key_before
    by_key = dict[VersionKey, list[tuple[RunPath, RunArtifacts, HeldVersion]]]()
    for one in every:
        by_key.setdefault(one[1].key(one[2].id), []).append(one)
    started = set[VersionKey]()
    # A version waits on a stack for the versions that it needs.
    for wanted in list(by_key):
        waiting = [wanted]
        while waiting:
            needed = [] if waiting[-1] in started else _needed(by_key, earlier, waiting[-1])
            started.add(waiting[-1])
            missing = [one for one in needed if one not in started]
            waiting += missing
            if not missing:
                yield from by_key.pop(waiting.pop(), [])


def _needed(
    by_key: Mapping[VersionKey, list[tuple[RunPath, RunArtifacts, HeldVersion]]],
    earlier: Mapping[VersionKey, VersionKey],
    key: VersionKey,
) -> list[VersionKey]:
    """Return the keys of the versions that this push must send before the version ``key``."""
    _, artifacts, held = by_key[key][0]
    targets = {earlier[key]} if key in earlier else set[VersionKey]()
    manifest = read_manifest_of(place_of(artifacts.directory), held)
    for entry in manifest.entries.values() if manifest else ():
        target = parse_artifact_reference(entry.ref)
        if target is not None:
            targets.add(artifacts.key(target[0]))
    return [one for one in targets if one in by_key]


class _Sending:
    """Logs each artifact version once, in an SDK process that starts with the first version.

    Parameters
    ----------
    client : Client
        The backend.
    stack : ExitStack
        Ends the SDK process when the stack is closed.
    """

    def __init__(self, client: Client, stack: ExitStack) -> None:
        self.sent: dict[VersionKey, str] = {}
        self._client = client
        self._stack = stack
        self._process: SdkProcess | None = None

    def log(self, there: RunPath, artifacts: RunArtifacts, held: HeldVersion) -> str:
        """Make a version an output of a run; return the version's id at the backend."""
        key = artifacts.key(held.id)
        if key in self.sent:
            # Two runs logged this version, so only the link to the second run is sent.
            _log_again(self._client, there, held)
            return self.sent[key]
        if self._process is None:
            self._process = self._stack.enter_context(sdk_process(self._client))
        manifest = artifacts.manifest(held)
        place = place_of(artifacts.directory)
        entries = []
        for entry in manifest.entries.values():
            target = parse_artifact_reference(entry.ref)
            if target is not None and artifacts.key(target[0]) not in self.sent:
                artifacts.lost.append(
                    f"the artifact to which {entry.path!r} of {_name(held)!r} refers"
                )
            is_file = entry.ref is None and entry.content_name is not None
            path = place.content(str(entry.content_name)).path if is_file else None
            entries.append(
                {
                    "path": entry.path,
                    "digest": entry.digest,
                    "size": entry.size,
                    "ref": self._reference(artifacts, entry),
                    "extra": dict(entry.extra),
                    "local_path": None if path is None else str(path),
                }
            )
        algorithms = {entry.algorithm for entry in _own_files(manifest)}
        self.sent[key] = self._process.log(
            {
                "entity": there.entity,
                "project": there.project,
                "run_id": there.run_id,
                "name": held.names[2],
                "type": held.node["artifactType"]["name"],
                "description": held.node["description"],
                "metadata": metadata_of(held.node),
                "algorithm": XXH128 if algorithms == {XXH128} else "MD5",
                "aliases": held.aliases,
                "tags": tags_of(held.node),
                "entries": entries,
            }
        )
        return self.sent[key]

    def _reference(self, artifacts: RunArtifacts, entry: Entry) -> str | None:
        """Return the reference of a manifest's entry, as the copied manifest needs it.

        If the reference names an artifact version that was sent, it gets the version's new id.
        """
        target = parse_artifact_reference(entry.ref)
        sent = None if target is None else self.sent.get(artifacts.key(target[0]))
        if target is None or sent is None:
            return entry.ref
        # A reference has the artifact's id in hex, GraphQL has it in base64.
        return f"{ARTIFACT_SCHEME}://{base64.b64decode(sent).hex()}/{target[1]}"


def _own_files(manifest: Manifest) -> Iterable[Entry]:
    return (entry for entry in stored_entries(manifest) if entry.ref is None)


def metadata_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an artifact version's metadata; ``node`` has the fields of the version."""
    return dict(json.loads(node.get("metadata") or "null") or {})


def tags_of(node: Mapping[str, Any]) -> list[str]:
    """Return an artifact version's tags; ``node`` has the fields of the version."""
    return [str(tag["name"]) for tag in node.get("tags") or ()]


def _name(held: HeldVersion) -> str:
    return f"{held.path.collection}:{held.path.alias}"


def _damaged(directory: RunDirectory, what: str) -> CacheCorrupt:
    return CacheCorrupt(
        f"For '{directory.run}', {what} is damaged or gone. Pull the run again.",
        path=str(directory.path),
    )


def _find(client: Client, held: HeldVersion, find_place: FindPlace) -> str | None:
    """Find a version that an earlier push has sent; return the version's id at the backend.

    Return None if the backend has no version with the same name and digest.
    """
    entity, project, collection = held.names
    path = ArtifactPath(*find_place(entity, project), collection, held.path.alias)
    try:
        found = fetch_artifact(client, path)
    except ArtifactNotFoundError:
        return None
    return str(found.id) if found.digest == held.node["digest"] else None


def _use(client: Client, there: RunPath, held: HeldVersion, artifact_id: str) -> None:
    variables = {
        "entityName": there.entity,
        "projectName": there.project,
        "runName": there.run_id,
        "artifactID": artifact_id,
        "usedAs": _name(held),
    }
    mutate(client, documents.USE_ARTIFACT, variables, is_idempotent=True)


def _log_again(client: Client, there: RunPath, held: HeldVersion) -> None:
    variables = {
        "artifactTypeName": held.node["artifactType"]["name"],
        "artifactCollectionNames": [held.names[2]],
        "entityName": there.entity,
        "projectName": there.project,
        "runName": there.run_id,
        "digest": held.node["digest"],
        "aliases": [],
        "tags": [],
    }
    mutate(client, documents.LOG_ARTIFACT, variables, is_idempotent=True)
