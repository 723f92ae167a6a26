"""Pages of artifacts: lists, and for each version its files and the runs that made or used it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.cache.layout import is_published_root
from runlake.errors import BackendError, NotCached, OfflineError, RunlakeError, StaleWarning
from runlake.errors.user_line import silenced
from runlake.pages.contents import preview, send_file
from runlake.pages.responses import page
from runlake.pages.run.shell import python_line, show
from runlake.pages.source import LakeSource, Source, in_thread, source_of
from runlake.public.artifacts.artifacts import Artifact
from runlake.public.artifacts.entries import ArtifactManifestEntry
from runlake.public.run.run import Run
from runlake.values import ArtifactPath

T = TypeVar("T")
MAX_LISTED = 500
# For this many runs that used a version, the page also shows the artifacts that they logged.
MAX_FOLLOWED = 10
NOT_PULLED = "The artifacts were not pulled. Pull them with Lake.pull(..., artifacts=True)."
NOT_PUBLISHED = "A published lake has no artifacts."
PROJECT = "/{entity:name}/{project:name}"
COLLECTION = PROJECT + "/artifacts/{type:name}/{collection:name}"
VERSION = COLLECTION + "/{version:name}"


@dataclass(frozen=True, slots=True)
class Near:
    """A run that logged or used an artifact, with other artifacts that the run used or logged.

    Parameters
    ----------
    run : Run
        The run.
    artifacts : list of Artifact
        If the run logged the artifact: the artifacts that the run used. If the run used the
        artifact: the artifacts that the run logged.
    """

    run: Run
    artifacts: list[Artifact] = field(default_factory=list)


async def show_collections(request: Request) -> Response:
    """Show the artifact collections of a project, sorted by type and name."""
    names = _project(request)

    def read(source: Source) -> Any:
        found = source.collections(*names, MAX_LISTED)
        return found, "" if found or source.is_live else _why_missing(source)

    collections, reason = await in_thread(read, source_of(request))
    return page(
        request,
        "collections.html",
        collections=collections,
        reason=reason,
        max_listed=MAX_LISTED,
        title=f"Artifacts of {names[1]}",
    )


async def show_collection(request: Request) -> Response:
    """Show the versions of an artifact collection."""
    path = ArtifactPath(*_project(request), request.path_params["collection"])
    type_name = request.path_params["type"]

    def read(source: Source) -> Any:
        return source.versions(path, type_name, MAX_LISTED)

    collection, versions = await in_thread(read, source_of(request))
    return page(
        request,
        "collection.html",
        collection=collection,
        versions=versions,
        max_listed=MAX_LISTED,
        title=path.collection,
    )


async def show_artifact(request: Request) -> Response:
    """Show a version of an artifact: its files, and the runs that logged and used it."""

    def read(source: Source) -> Any:
        artifact = _artifact(source, request)
        try:
            entries = artifact.manifest.entries
        except NotCached:
            # A pull stores the fields of all artifacts of a run, but only the files asked for.
            return artifact, None, artifact.file_count, None, []
        listed = [entries[name] for name in islice(sorted(entries), MAX_LISTED)]
        # All pages of pulled runs show the state at the last pull, so a warning would say nothing.
        with nullcontext() if source.is_live else silenced(StaleWarning):
            return artifact, listed, len(entries), _producer(artifact), _consumers(artifact)

    artifact, entries, n_all, producer, consumers = await in_thread(read, source_of(request))
    return page(
        request,
        "artifact.html",
        artifact=artifact,
        entries=entries,
        n_all=n_all,
        producer=producer,
        consumers=consumers,
        title=artifact.name,
    )


async def show_entry(request: Request) -> Response:
    """Show a file of an artifact as text or as a picture."""
    name = request.path_params["file"]

    def read(source: Source) -> Any:
        artifact = _artifact(source, request)
        entry = artifact.get_entry(name)
        return artifact, entry, preview(name, entry.size or 0, _downloads(source, entry))

    artifact, entry, shown = await in_thread(read, source_of(request))
    return page(request, "entry.html", artifact=artifact, entry=entry, shown=shown, title=name)


async def send_entry(request: Request) -> Response:
    """Send a file of an artifact as a download."""
    name = request.path_params["file"]

    def read(source: Source) -> Response:
        entry = _artifact(source, request).get_entry(name)
        return send_file(request, name, _downloads(source, entry))

    return await in_thread(read, source_of(request))


async def show_artifacts_of_run(request: Request) -> Response:
    """Show the artifacts that a run logged and used."""
    names = (*_project(request), request.path_params["run_id"])

    def read(source: Source) -> Any:
        run = source.run(*names)
        try:
            logged = list(islice(run.logged_artifacts(), MAX_LISTED))
            used = list(islice(run.used_artifacts(), MAX_LISTED))
        except (NotCached, OfflineError):
            return run, [], [], _why_missing(source)
        return run, logged, used, ""

    run, logged, used, reason = await in_thread(read, source_of(request))
    return show(
        request,
        run,
        "artifacts",
        "run_artifacts.html",
        logged=logged,
        used=used,
        reason=reason,
        python=python_line(request, run, "logged_artifacts()"),
        links=[],
    )


def _project(request: Request) -> tuple[str, str]:
    return request.path_params["entity"], request.path_params["project"]


def _why_missing(source: Source) -> str:
    is_from_elsewhere = isinstance(source, LakeSource) and is_published_root(source.lake.path)
    return NOT_PUBLISHED if is_from_elsewhere else NOT_PULLED


def _artifact(source: Source, request: Request) -> Artifact:
    names = request.path_params
    path = ArtifactPath(*_project(request), names["collection"], names["version"])
    return source.artifact(path, names["type"])


def _producer(artifact: Artifact) -> Near | None:
    run = _readable(artifact.logged_by, None)
    return None if run is None else Near(run, _some(run.used_artifacts))


def _consumers(artifact: Artifact) -> list[Near]:
    nobody: list[Run] = []
    runs = _readable(artifact.used_by, nobody)[:MAX_LISTED]
    return [
        Near(run, _some(run.logged_artifacts) if place < MAX_FOLLOWED else [])
        for place, run in enumerate(runs)
    ]


def _some(artifacts: Callable[[], Any]) -> list[Artifact]:
    return _readable(lambda: list(islice(artifacts(), MAX_LISTED)), [])


def _readable(read: Callable[[], T], otherwise: T) -> T:
    """Call ``read`` and return its result; return ``otherwise`` if the runs cannot be read.

    The backend refuses to show runs that were deleted or that the visitor may not read. On pages of
    pulled runs, other runs were perhaps not pulled.
    """
    try:
        return read()
    except (BackendError, NotCached):
        return otherwise


def _downloads(source: Source, entry: ArtifactManifestEntry) -> Callable[[str], str]:
    if entry.ref is not None:
        raise RunlakeError(f"{entry.path!r} is a reference to {entry.ref!r}, which is not here.")
    # A backend's pages leave no copies in the cache; a pulled artifact is only in the cache.
    return lambda folder: entry.download(folder, skip_cache=source.is_live, progress=False)


routes = [
    Route("/{entity:name}/{project:name}/runs/{run_id:name}/artifacts", show_artifacts_of_run),
    Route(f"{PROJECT}/artifacts", show_collections),
    Route(COLLECTION, show_collection),
    Route(VERSION, show_artifact),
    Route(f"{VERSION}/files/{{file:names}}", show_entry),
    Route(f"{VERSION}/raw/{{file:names}}", send_entry),
    Route(f"{VERSION}/{{tab:name}}", show_artifact),
]
