"""Find out what a pull would do: runs, bytes and requests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.cache.artifacts.contents import artifact_place
from runlake.cache.artifacts.held import LOGGED, USED, find_version, names_of
from runlake.cache.catalog import Catalog
from runlake.cache.companions import ARTIFACTS
from runlake.cache.held_run import HeldRun
from runlake.cache.layout import ArtifactPlace
from runlake.cache.paged_catalog import PagedCatalog
from runlake.cache.store import read_manifest
from runlake.errors import RunlakeError
from runlake.exports.decide import Decision, decide
from runlake.exports.download.storage_host import StorageHost
from runlake.exports.manifest import Manifest
from runlake.exports.manifests import RUNS_PER_PAGE, Manifests
from runlake.exports.offers import Offers
from runlake.exports.progress import Traffic
from runlake.history.plan import sizes
from runlake.history.runs.open import side_by_side
from runlake.lake.pulling.artifacts import PER_PAGE, has_files, is_asked, list_artifacts
from runlake.lake.pulling.failures import failure_of
from runlake.lake.pulling.files import FileNode, MetadataFiles, is_held, list_files
from runlake.lake.pulling.held import directory_of, has_system_metrics
from runlake.lake.pulling.listing import Listed
from runlake.lake.pulling.request import METADATA_FILE, PullRequest
from runlake.lake.report import Failure
from runlake.values import RunPath

PAGES_AT_ONCE = 4


@dataclass(slots=True)
class Estimate:
    """What a pull would do.

    Parameters
    ----------
    new, changed : list of str
        Paths of the runs that were never pulled, and of the other runs that have to be pulled.
    failed : dict of str to Failure
        Runs for which a request of the estimate failed.
    n_bytes : int or None
        Bytes of exports, files and artifacts to download; None if a host does not state a length.
    n_requests : int
        Number of requests for the new and the changed runs.
    n_artifacts : int
        Number of artifact versions to download. For each version, its whole size and one request
        per file are counted, although contents that are on disk are not downloaded again.
    """

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    failed: dict[str, Failure] = field(default_factory=dict)
    n_bytes: int | None = 0
    n_requests: int = 0
    n_artifacts: int = 0


@dataclass(frozen=True, slots=True)
class _Cost:
    n_bytes: int | None
    n_requests: int
    artifacts: tuple[dict[str, Any], ...] = ()


def estimate(
    client: Client, needed: Sequence[Listed], request: PullRequest, stop: Stop
) -> Estimate:
    """Request the lengths of the exports that a pull would download, and store nothing.

    Parameters
    ----------
    client : Client
        The backend.
    needed : sequence of Listed
        The runs to pull.
    request : PullRequest
        What to pull of each run.
    stop : Stop
        Ends the requests when it is set.

    Returns
    -------
    Estimate
        The runs, bytes and requests of the pull. The whole length of an export is counted, even if
        only some of its keys are requested.
    """
    pages = list(_pages([one.path for one in needed]))
    # The manifests of a page, and its metadata, unless the files of each run are listed.
    has_metadata_only = request.files == (METADATA_FILE,)
    found = Estimate(n_requests=(2 if has_metadata_only else 1) * len(pages))
    catalog = PagedCatalog(client.settings.cache_dir)
    executor = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="runlake-manifests")

    def ask(listed: Listed) -> tuple[_Cost, ...] | RunlakeError:
        try:
            manifest = manifests.fetch(client, listed.path)
            history = _history_cost(client, catalog, listed, manifest, request, stop)
            known = None
            if has_metadata_only:
                known = metadata[listed.path].find(listed.path)
            files = _file_cost(client, listed, request, known)
            return history, files, _artifact_cost(client, listed, request)
        except RunlakeError as error:
            # Returned instead of raised, because the other runs are estimated too.
            return error

    try:
        manifests = Manifests(client, list(chain.from_iterable(pages)), executor)
        metadata: dict[RunPath, MetadataFiles] = {}
        for page in pages:
            metadata |= dict.fromkeys(page, MetadataFiles(client, page, executor))
        costs = side_by_side(client, ask, needed)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    versions: dict[str, dict[str, Any]] = {}
    for listed, cost in zip(needed, costs, strict=True):
        path = str(listed.path)
        if isinstance(cost, RunlakeError):
            found.failed[path] = failure_of(cost)
            continue
        is_new = read_manifest(directory_of(client.settings, listed)).pulled_at is None
        (found.new if is_new else found.changed).append(path)
        for part in cost:
            found.n_requests += part.n_requests
            found.n_bytes = _sum(found.n_bytes, part.n_bytes)
            versions |= {str(node["id"]): node for node in part.artifacts}
    for node in versions.values():
        _add_version(artifact_place(client.settings), found, node)
    return found


def _pages(runs: Sequence[RunPath]) -> Iterator[Sequence[RunPath]]:
    """Yield pages of runs, as `Manifests` divides them; all runs of a page are in one project."""
    by_project: dict[tuple[str, str], list[RunPath]] = {}
    for run in runs:
        by_project.setdefault((run.entity, run.project), []).append(run)
    for members in by_project.values():
        for start in range(0, len(members), RUNS_PER_PAGE):
            yield members[start : start + RUNS_PER_PAGE]


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _file_cost(
    client: Client, listed: Listed, request: PullRequest, known: list[FileNode] | None
) -> _Cost:
    directory = directory_of(client.settings, listed)
    nodes = list_files(client, listed.path, request.files) if known is None else known
    missing = [node for node in nodes if not is_held(directory, node)]
    n_bytes = sum(int(node.get("sizeBytes") or 0) for node in missing)
    return _Cost(n_bytes, len(missing) + (known is None))


def _artifact_cost(client: Client, listed: Listed, request: PullRequest) -> _Cost:
    """List the artifacts of a run; return the number of requests and the requested artifacts.

    Artifacts whose files are on disk already are returned too.
    """
    directory = directory_of(client.settings, listed)
    stored = read_manifest(directory).beside.get(ARTIFACTS)
    asked = dict.fromkeys([*(stored.asked if stored else ()), *request.artifacts])
    if not asked:
        return _Cost(0, 0)
    nodes: list[dict[str, Any]] = []
    n_requests = 0
    for at, mode in enumerate((LOGGED, USED)):
        if listed.n_artifacts is None or listed.n_artifacts[at]:
            found, _ = list_artifacts(client, listed.path, mode)
            n_requests += math.ceil(max(1, len(found)) / PER_PAGE)
            nodes += [node for node in found if is_asked(node, tuple(asked))]
    return _Cost(0, n_requests, tuple(nodes))


def _add_version(place: ArtifactPlace, found: Estimate, node: dict[str, Any]) -> None:
    """Add the requests and bytes of an artifact version to the estimate ``found``."""
    found.n_requests += 1
    held = find_version(place, str(node["id"]), names_of(node))
    if held is None or not has_files(place, held):
        found.n_artifacts += 1
        # The manifest, the URLs of the files, and the files.
        found.n_requests += 2 + int(node.get("fileCount") or 0)
        found.n_bytes = _sum(found.n_bytes, int(node.get("size") or 0))


def _history_cost(
    client: Client,
    catalog: Catalog,
    listed: Listed,
    manifest: Manifest,
    request: PullRequest,
    stop: Stop,
) -> _Cost:
    directory = directory_of(client.settings, listed)
    stored = read_manifest(directory)
    held = HeldRun(client.settings, directory, request.question, catalog=catalog)
    holds = {export.object: held.holds(export) for export in stored.exports.values()}
    decisions = decide(manifest, holds, stored.freshness, use_cache=True)
    offers = Offers(client, manifest)
    traffic = Traffic(stop=stop)
    n_bytes: int | None = 0
    n_requests = 0
    for export in manifest.exports:
        if decisions[export.object] is Decision.REUSE:
            continue
        n_requests += 1
        if decisions[export.object] is Decision.REVALIDATE:
            continue
        # The answer to a request for one byte states the length of the whole export.
        tail = StorageHost(offers, export, traffic).tail(1)
        n_bytes = _sum(n_bytes, None if tail is None else tail.n_bytes)
    n_requests += math.ceil(len(manifest.live_steps or ()) / sizes.LIVE_PAGE_ROWS)
    n_requests += has_system_metrics(listed)
    return _Cost(n_bytes, n_requests)
