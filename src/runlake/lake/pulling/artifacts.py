"""Pull the artifacts that runs logged and used: their fields, manifests and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query, query_run
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.cache.artifacts.contents import artifact_place, store_content
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.files import Fetcher
from runlake.cache.artifacts.held import (
    LOGGED,
    TOTALS,
    USED,
    HeldVersion,
    find_version,
    names_of,
    place_of,
    read_list,
    read_manifest_of,
    store_version,
    stored_entries,
)
from runlake.cache.artifacts.manifest import Entry, Manifest, download_manifest, parse_manifest
from runlake.cache.companions import ARTIFACTS, read_rows
from runlake.cache.layout import ArtifactPlace, RunDirectory
from runlake.errors import (
    BackendError,
    CacheError,
    FileTransferError,
    MissingExtra,
    NotCached,
)
from runlake.exports.progress import Count, FileCount
from runlake.lake.pulling.request import matches
from runlake.values import RunPath

PER_PAGE = 100
FILES_AT_ONCE = 4
COMMITTED = "COMMITTED"
# A backend may offer exports as artifacts of this type; their rows are pulled with the history.
HISTORY_TYPE = "wandb-history"
DOCUMENTS = {LOGGED: documents.RUN_OUTPUT_ARTIFACTS, USED: documents.RUN_INPUT_ARTIFACTS}
Numbers = tuple[int, int]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PulledArtifacts:
    """The artifacts of a run that a pull stored.

    Parameters
    ----------
    rows : list of dict
        A row per artifact of the run; the rows are then stored in a file beside the run's exports.
        The last row has the numbers of logged and used artifacts.
    n_bytes : int
        Number of bytes that were downloaded.
    n_versions : int
        Number of artifact versions whose files this pull has added to the disk.
    problem : str or None
        Why an artifact is missing; None if all are there.
    """

    rows: list[Row]
    n_bytes: int = 0
    n_versions: int = 0
    problem: str | None = None


class ArtifactPulls:
    """Pulls the artifacts of runs; a version that several runs share is pulled once.

    Parameters
    ----------
    client : Client
        The backend.
    stop : Stop
        When set, no further file is downloaded.
    """

    def __init__(self, client: Client, stop: Stop) -> None:
        self._client = client
        self._place = artifact_place(client.settings)
        self._stop = stop
        self._guard = threading.Lock()
        self._guards: dict[str, threading.Lock] = {}
        # Why a stored version is incomplete; None if it is complete. The keys are the version's id
        # and whether its files were requested.
        self._done: dict[tuple[str, bool], str | None] = {}

    def pull(self, run: RunPath, asked: Sequence[str], numbers: Numbers | None) -> PulledArtifacts:
        """Pull the artifacts of a run, and return what was stored.

        Parameters
        ----------
        run : RunPath
            The run.
        asked : sequence of str
            Names and patterns of the artifacts whose files are pulled. The fields of all artifacts
            are pulled.
        numbers : tuple of int or None
            How many artifacts the run has logged, and how many it has used; None if unknown.
        """
        rows: list[Row] = []
        problems: list[str] = []
        totals = [0, 0]
        counted = _Received()
        n_versions = 0
        for at, mode in enumerate((LOGGED, USED)):
            if numbers is not None and numbers[at] == 0:
                continue
            try:
                nodes, totals[at] = list_artifacts(self._client, run, mode)
            except BackendError as error:
                problems.append(f"the artifacts that it {mode} could not be listed ({error})")
                continue
            for node in nodes:
                self._stop.check()
                is_new, problem = self._store(node, is_asked(node, asked), counted)
                n_versions += is_new
                if problem is not None:
                    problems.append(problem)
                rows.append(_row(mode, node))
        # As the backend counts them in its list of runs, to see later whether there are more.
        rows.append({"mode": TOTALS, LOGGED: totals[0], USED: totals[1]})
        more = f" and {len(problems) - 1:,} more" if len(problems) > 1 else ""
        problem = f"artifacts could not be pulled: {problems[0]}{more}" if problems else None
        return PulledArtifacts(rows, counted.n_bytes, n_versions, problem)

    def _store(
        self, node: Mapping[str, Any], with_files: bool, counted: _Received
    ) -> tuple[bool, str | None]:
        """Store the fields of an artifact version, and if requested, its files.

        Return whether this call has added the files to the disk, and the reason if the fields or a
        file could not be stored.
        """
        artifact_id = str(node["id"])
        with self._guard:
            # Many runs may use one version: one thread stores it, and the others wait for it.
            guard = self._guards.setdefault(artifact_id, threading.Lock())
        with guard:
            # A version that was stored with its files needs no second visit without them.
            for known in ((artifact_id, True), (artifact_id, with_files)):
                if known in self._done:
                    return False, self._done[known]
            try:
                is_new, problem = self._store_once(node, with_files, counted), None
            except (BackendError, FileTransferError, MissingExtra) as error:
                is_new, problem = False, str(error)
            self._done[artifact_id, with_files] = problem
            return is_new, problem

    def _store_once(self, node: Mapping[str, Any], with_files: bool, counted: _Received) -> bool:
        former = find_version(self._place, str(node["id"]), names_of(node))
        if former is not None and former.node.get("digest") != node.get("digest"):
            former = None
        held = replace(former or HeldVersion(node), node=node, listed_at=time.time())
        if not with_files:
            self._write(held)
            return False
        data = query(self._client, documents.ARTIFACT_TO_PULL, {"id": held.id})
        found = data.get("artifact") or {}
        what = f"'{held.path}'"
        with answer_to(self._client, "FetchArtifactManifest", what):
            creator = found.get("createdBy") or {}
            edges = (found.get("usedBy") or {}).get("edges") or []
            held = replace(
                held,
                created_by=creator if creator.get("__typename") == "Run" else None,
                used_by=tuple(edge["node"] for edge in edges if edge.get("node")),
            )
        if has_files(self._place, held):
            self._write(held)
            return False
        # Not compared with the artifact's digest: if a version was logged as a change of an earlier
        # version, its digest is that of the change alone.
        content = download_manifest(self._client, found, what)
        manifest = parse_manifest(content, what)
        name = store_content(self._client, content, what=f"The manifest of {what}")
        counted.add(len(content))
        self._fetch(held, manifest, counted)
        self._write(replace(held, manifest=name))
        return True

    def _write(self, held: HeldVersion) -> None:
        try:
            store_version(self._place, held)
        except OSError as error:
            raise CacheError(
                f"The fields of artifact '{held.path}' cannot be stored in the cache at "
                f"{str(self._place.root)!r} ({error.strerror or error}).",
                path=str(self._place.root),
            ) from error

    def _fetch(self, held: HeldVersion, manifest: Manifest, counted: _Received) -> None:
        fetcher = Fetcher(self._client, held.path, counted=FileCount(Count(counted)))

        def fetch(entry: Entry) -> None:
            self._stop.check()
            fetcher.fetch(entry)

        with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="runlake-artifact") as pool:
            futures = [pool.submit(fetch, entry) for entry in stored_entries(manifest)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                # The version is incomplete in any case, so downloads that have not begun are not
                # needed.
                pool.shutdown(cancel_futures=True)
                raise


class _Received:
    """A `Progress` that counts the bytes that arrive, and shows nothing."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def add(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Ignore the start of a download, because no progress is shown."""

    def advance(self, n_done: int) -> None:
        """Add the bytes that have arrived to the count."""
        self.n_bytes += n_done

    def finish(self) -> None:
        """Ignore the end of a download, because no progress is shown."""


def list_artifacts(client: Client, run: RunPath, mode: str) -> tuple[list[dict[str, Any]], int]:
    """Return the artifacts that a run logged or used, and the number of artifacts.

    The artifacts are in the backend's order. Artifacts that are not committed yet, or are in
    projects that the API key must not read, are left out, but the number counts them too.
    """
    nodes: dict[str, dict[str, Any]] = {}
    walk = Walk(client, f"the artifacts {mode} by run '{run}'")
    cursor = None
    while True:
        walk.check()
        run_fields = query_run(
            client, DOCUMENTS[mode], run, run_variable="run", cursor=cursor, perPage=PER_PAGE
        )
        with answer_to(client, "RunOutputArtifacts", f"'{run}'"):
            page = run_fields.get("artifacts") or {}
            n_known = len(nodes)
            for edge in page.get("edges") or ():
                node = edge["node"]
                # The project is missing if the API key must not read it.
                if node["artifactSequence"].get("project") and node["state"] == COMMITTED:
                    nodes[str(node["id"])] = node
            info = page.get("pageInfo") or {}
            cursor, has_next = info.get("endCursor"), bool(info.get("hasNextPage"))
            total = page.get("totalCount")
        if not has_next:
            return list(nodes.values()), len(nodes) if total is None else int(total)
        walk.note(cursor, len(nodes) - n_known, has_next=has_next)


def is_asked(node: Mapping[str, Any], asked: Sequence[str]) -> bool:
    """Return whether ``asked`` requests the files of an artifact, by a name or a pattern.

    Artifacts that consist of exports of a run's history are never requested.
    """
    if is_history(node):
        return False
    collection = names_of(node)[2]
    return any(
        matches(name, asked) for name in (collection, f"{collection}:v{node['versionIndex']}")
    )


def is_history(node: Mapping[str, Any]) -> bool:
    """Return whether an artifact consists of exports of a run's history."""
    return bool(node["artifactType"]["name"] == HISTORY_TYPE)


def _row(mode: str, node: Mapping[str, Any]) -> Row:
    version = f"v{node['versionIndex']}"
    return {"mode": mode, "id": node["id"], "names": names_of(node), "version": version}


def has_files(place: ArtifactPlace, held: HeldVersion) -> bool:
    """Return whether the manifest and all files of a version are on disk, with their lengths."""
    manifest = read_manifest_of(place, held)
    return manifest is not None and all(
        _has_length(place, entry) for entry in stored_entries(manifest)
    )


def _has_length(place: ArtifactPlace, entry: Entry) -> bool:
    try:
        n_bytes = place.content(str(entry.content_name)).path.stat().st_size
    except OSError:
        return False
    # The size of a reference may be 0 in the manifest, whatever the file's is.
    return entry.ref is not None or entry.size is None or n_bytes == entry.size


class Damages:
    """Finds damaged artifact versions, and reads the files of each version only once."""

    def __init__(self) -> None:
        self._known: dict[tuple[ArtifactPlace, str], str | None] = {}

    def first(self, place: ArtifactPlace, held: HeldVersion) -> str | None:
        """Describe the first damaged or missing file of a version; None if all are intact."""
        if (place, held.id) not in self._known:
            self._known[place, held.id] = _first_damage(place, held)
        return self._known[place, held.id]


def _first_damage(place: ArtifactPlace, held: HeldVersion) -> str | None:
    manifest = read_manifest_of(place, held)
    if manifest is None:
        return f"the manifest of artifact '{held.path}' is damaged or gone"
    for entry in stored_entries(manifest):
        if not is_intact(place.content(str(entry.content_name)).path, entry):
            return f"the file {entry.path!r} of artifact '{held.path}' is damaged or gone"
    return None


def holds_artifacts(
    directory: RunDirectory,
    asked: Sequence[str],
    numbers: Numbers | None,
    known: dict[str, bool],
) -> bool:
    """Return whether all requested artifacts of a run are on disk.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    asked : sequence of str
        Names and patterns of the artifacts whose files were requested.
    numbers : tuple of int or None
        How many artifacts the run has logged, and how many it has used; None if unknown.
    known : dict of str to bool
        The keys are the ids of the versions that were checked before; the values say whether their
        files are on disk. This call adds the versions that it checks, so that a version that many
        runs use is checked once.
    """
    rows = read_rows(directory, ARTIFACTS)
    if rows is None:
        return False
    totals = next((row for row in rows if row["mode"] == TOTALS), None)
    # Other numbers mean that the run has logged or used more artifacts since.
    if totals is None or (numbers is not None and numbers != (totals[LOGGED], totals[USED])):
        return False
    try:
        listed = read_list(directory) or []
    except NotCached:
        return False
    for held in (one.version for one in listed):
        if is_asked(held.node, asked):
            if held.id not in known:
                known[held.id] = has_files(place_of(directory), held)
            if not known[held.id]:
                return False
    return True
