"""Compare the runs of a lake with a backend, to find runs that can be deleted at the backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_project
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.cache.artifacts.held import LOGGED, place_of, read_list
from runlake.cache.companions import ARTIFACTS, FILES, SYSTEM, read_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.run_facts import incomplete_reason
from runlake.cache.store import StoredManifest
from runlake.cache.stored_files import ALL_FILES
from runlake.cache.upkeep.tree import CachedRun, walk_runs
from runlake.errors import BackendError, NotCached, ProjectNotFoundError
from runlake.lake.pulling.artifacts import Damages, is_asked, is_history
from runlake.lake.pulling.files import is_intact
from runlake.lake.pulling.held import has_system_metrics
from runlake.lake.pulling.listing import Listed, list_pages
from runlake.lake.pulling.request import PullRequest, Selection
from runlake.lake.verify_packed import has_packed_rows
from runlake.values import Question, RunPath

if TYPE_CHECKING:
    import polars as pl

COMPLETE, INCOMPLETE, CHANGED = "complete", "incomplete", "changed"
RUNS_PER_PAGE = 250
GONE, ONLY_HERE, ONLY_THERE = "gone", "only here", "only there"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run in the lake compares with the run at the backend.

    Parameters
    ----------
    run : RunPath
        The path of the run.
    status : str
        "complete", "incomplete", "changed", "gone", "only here" or "only there".
    reason : str
        Why the run has this status, in words.
    has_all_files : bool
        True if all files of the run were requested.
    pulled_at : float or None
        When the run was pulled, in seconds since 1970.
    n_artifacts : int or None
        Number of artifacts that the run has logged at the backend; None if unknown.
    n_missing_artifacts : int or None
        Number of these artifacts whose files are incomplete in the lake; None if unknown.
    """

    run: RunPath
    status: str
    reason: str
    has_all_files: bool = False
    pulled_at: float | None = None
    n_artifacts: int | None = None
    n_missing_artifacts: int | None = None


def verify(root: Path, client: Client) -> pl.DataFrame:
    """Compare all runs of a lake with a backend, and return the frame that `Lake.verify` describes.

    Parameters
    ----------
    root : Path
        Root of the cache.
    client : Client
        The backend.
    """
    import polars as pl

    verdicts = sorted(_verdicts(root, client), key=lambda one: str(one.run))
    return pl.DataFrame(
        {
            "entity": [one.run.entity for one in verdicts],
            "project": [one.run.project for one in verdicts],
            "run_id": [one.run.run_id for one in verdicts],
            "status": [one.status for one in verdicts],
            "reason": [one.reason for one in verdicts],
            "has_all_files": [one.has_all_files for one in verdicts],
            "pulled_at": [
                None if one.pulled_at is None else datetime.fromtimestamp(one.pulled_at, UTC)
                for one in verdicts
            ],
            "n_artifacts": [one.n_artifacts for one in verdicts],
            "n_missing_artifacts": [one.n_missing_artifacts for one in verdicts],
        },
        schema={
            **dict.fromkeys(("entity", "project", "run_id", "status", "reason"), pl.String),
            "has_all_files": pl.Boolean,
            "pulled_at": pl.Datetime("us", "UTC"),
            "n_artifacts": pl.Int64,
            "n_missing_artifacts": pl.Int64,
        },
    )


def _verdicts(root: Path, client: Client) -> Iterator[Verdict]:
    by_project: dict[tuple[str, str], dict[str, CachedRun]] = {}
    damages = Damages()
    for cached in walk_runs(root):
        directory = cached.directory
        if directory.base_url != client.settings.base_url:
            yield _verdict(cached, ONLY_HERE, f"it is from {directory.base_url}")
            continue
        run = directory.run
        by_project.setdefault((run.entity, run.project), {})[run.run_id] = cached
    for (entity, project), here in by_project.items():
        try:
            there = _list(client, entity, project)
        except ProjectNotFoundError:
            for cached in here.values():
                yield _verdict(cached, GONE, "its project is gone")
            continue
        n_artifacts = _count_artifacts(client, entity, project)
        for run_id, cached in here.items():
            listed = there.pop(run_id, None)
            if listed is None:
                yield _verdict(cached, GONE, "it is gone")
            else:
                verdict = _compare(cached, listed, damages)
                yield _with_artifacts(cached, verdict, n_artifacts.get(run_id), damages)
        for run_id, listed in there.items():
            verdict = Verdict(listed.path, ONLY_THERE, "it was never pulled")
            n_logged = n_artifacts.get(run_id)
            yield replace(verdict, n_artifacts=n_logged, n_missing_artifacts=n_logged)


def _list(client: Client, entity: str, project: str) -> dict[str, Listed]:
    request = PullRequest((Selection(entity, project, {}),), Question(), ())
    pages = list_pages(client, request)
    return {listed.path.run_id: listed for page in pages for listed in page.runs}


def _count_artifacts(client: Client, entity: str, project: str) -> dict[str, int]:
    """Return the number of artifacts that each run has logged, by run id; empty if unknown."""
    found: dict[str, int] = {}
    cursor = None
    try:
        while True:
            variables = {
                "entity": entity,
                "project": project,
                "filters": "{}",
                "perPage": RUNS_PER_PAGE,
                "cursor": cursor,
                "order": None,
                "isFirst": False,
            }
            answer = query_project(client, documents.runs_artifacts(), variables)
            with answer_to(client, "Runs", "the artifacts of runs"):
                page = answer.get("runs") or {}
                for edge in page.get("edges") or ():
                    node = edge["node"]
                    found[node["name"]] = int(node["outputArtifacts"]["totalCount"])
                info = page.get("pageInfo") or {}
                cursor = info.get("endCursor")
            if not info.get("hasNextPage") or cursor is None:
                return found
    except BackendError:
        # An older backend may not have these fields.
        return {}


def _with_artifacts(
    cached: CachedRun, verdict: Verdict, n_logged: int | None, damages: Damages
) -> Verdict:
    """Return a verdict with its two counts of artifacts filled in.

    The artifact files on disk are read, because damaged files count as missing.
    """
    if n_logged is None:
        return verdict
    n_whole = 0
    with suppress(NotCached):
        for row in read_list(cached.directory) or ():
            is_logged = row.mode == LOGGED
            n_whole += is_logged and (
                # Exports that are offered as artifacts are pulled with the history.
                is_history(row.version.node)
                or damages.first(place_of(cached.directory), row.version) is None
            )
    # The lake may still have artifacts that were deleted at the backend.
    n_missing = max(0, n_logged - n_whole)
    return replace(verdict, n_artifacts=n_logged, n_missing_artifacts=n_missing)


def _compare(cached: CachedRun, listed: Listed, damages: Damages) -> Verdict:
    manifest = cached.manifest
    if manifest.freshness is not None and manifest.freshness != listed.freshness:
        names = zip(("state", "heartbeat", "number of lines"), manifest.freshness, strict=True)
        changed = [
            f"its {name} was {before}, and is {now}"
            for (name, before), now in zip(names, listed.freshness, strict=True)
            if before != now
        ]
        return _verdict(cached, CHANGED, "; ".join(changed))
    lack = _lack(cached.directory, manifest, listed, damages)
    if lack is not None:
        return _verdict(cached, INCOMPLETE, lack)
    if manifest.attrs != listed.attrs:
        fields = ", ".join(_differing(manifest.attrs or {}, listed.attrs))
        return _verdict(cached, CHANGED, f"its fields have changed: {fields}")
    return _verdict(cached, COMPLETE, "all its rows and fields are here as they are there")


def _differing(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*stored, *now} if stored.get(name) != now.get(name))


def _lack(
    directory: RunDirectory, manifest: StoredManifest, listed: Listed, damages: Damages
) -> str | None:
    """Describe what is missing or damaged of a run in the lake; None if the run is complete."""
    reason = incomplete_reason(manifest)
    if reason is None and manifest.attrs is None:
        reason = "its config and summary were never pulled"
    if reason is None and has_system_metrics(listed) and SYSTEM not in manifest.beside:
        reason = "its system metrics were never pulled"
    if reason is None and not all(one.is_whole for one in manifest.beside.values()):
        reason = "some of its files, artifacts or system metrics could not be downloaded"
    if reason is None:
        # After the checks above, because this one reads files for their digests.
        damaged = next(_damaged(directory, manifest), None)
        reason = None if damaged is None else f"the file {damaged!r} is damaged or gone"
    return reason or _damaged_artifact(directory, manifest, damages)


def _damaged_artifact(
    directory: RunDirectory, manifest: StoredManifest, damages: Damages
) -> str | None:
    """Describe the first requested artifact that is damaged on disk; None if all are intact."""
    companion = manifest.beside.get(ARTIFACTS)
    if companion is None:
        return None
    try:
        rows = read_list(directory) or ()
    except NotCached as error:
        return str(error)
    asked = (row.version for row in rows if is_asked(row.version.node, companion.asked))
    return next(filter(None, (damages.first(place_of(directory), one) for one in asked)), None)


def _damaged(directory: RunDirectory, manifest: StoredManifest) -> Iterator[str]:
    """Yield the names of the run's files that are damaged or gone."""
    gone = [one.file for one in manifest.offered_exports or () if not one.is_usable]
    # `Lake.pack` may have deleted the exports on purpose; their packed rows then count.
    if gone and not has_packed_rows(directory):
        yield from gone
    for kind, companion in manifest.beside.items():
        rows = read_rows(directory, kind)
        if rows is None:
            yield companion.file
        elif kind == FILES:
            yield from (str(row["name"]) for row in rows if not is_intact(directory, row))


def _verdict(cached: CachedRun, status: str, reason: str) -> Verdict:
    manifest = cached.manifest
    files = manifest.beside.get(FILES)
    has_all = files is not None and ALL_FILES in files.asked
    return Verdict(cached.directory.run, status, reason, has_all, manifest.pulled_at)
