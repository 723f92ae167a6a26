"""Sources of the data on pages: a backend with an API key, or a directory of pulled runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from threading import Lock
from typing import Any, Protocol, TypeAlias

from cachetools import TTLCache
from starlette.requests import Request

from runlake.backend.http.client import Client
from runlake.cache.layout import is_published_root
from runlake.cache.upkeep.run_query import query_runs
from runlake.errors import ArtifactNotFoundError, NotCached, OfflineError
from runlake.lake.backend_settings import settings_of
from runlake.lake.lake import Lake
from runlake.lake.lake_runs import LakeRuns
from runlake.lake.pulling.artifacts import HISTORY_TYPE
from runlake.lake.query.selection import Selection
from runlake.pages.responses import SOURCE
from runlake.pages.threads import in_thread
from runlake.public.api import Api
from runlake.public.artifacts.artifacts import Artifact, fetch_artifact
from runlake.public.artifacts.collection import ArtifactCollection
from runlake.public.artifacts.stored import stored_collections, stored_versions
from runlake.public.lists.filters import checked_filters
from runlake.public.projects import Project, Projects
from runlake.public.run.run import Run
from runlake.public.runs.runs import Runs
from runlake.public.sweeps import Sweep
from runlake.values import DEFAULT_ORDER, ArtifactPath

__all__ = ["ApiSource", "LakeSource", "ProjectRow", "RunList", "Source", "in_thread", "source_of"]

RunList: TypeAlias = Runs | LakeRuns

PROJECTS_PER_REQUEST = 200
# Runs are kept for a short time, because the charts of a page need the same run at the same time.
RUN_SECONDS, N_RUNS = 2.0, 256


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """An artifact collection in a list of collections.

    Parameters
    ----------
    type, name : str
        The collection's type and name.
    description : str or None
        The collection's description; None if there is none, or if it is not on disk.
    created_at : str or None
        When the collection was created, in ISO 8601; None if this is not on disk.
    """

    type: str
    name: str
    description: str | None = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project in a list of projects; None stands for an unknown value.

    Parameters
    ----------
    name : str
        The project's name.
    n_runs : int or None
        Number of the project's runs.
    created_at, updated_at : str or None
        When the project was created and last changed, in ISO 8601. For pulled runs: when the first
        and the last of the project's runs were created.
    """

    name: str
    n_runs: int | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Source(Protocol):
    """The data that one visitor may read. Its methods block, so call them with `in_thread`."""

    @property
    def is_live(self) -> bool:
        """Whether runs can get new rows while a page is open."""

    def entities(self) -> list[str]:
        """Return the entities whose projects can be shown."""

    def projects(self, entity: str) -> list[ProjectRow]:
        """Return the projects of an entity."""

    def runs(
        self,
        entity: str,
        project: str,
        *,
        filters: Mapping[str, Any] | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
    ) -> RunList:
        """Return a list of a project's runs.

        `Runs` and `LakeRuns`, the two classes of such lists, have most methods in common.
        """

    def run(self, entity: str, project: str, run_id: str) -> Run:
        """Return a run with its fields; raise `RunNotFoundError` or `NotCached` for unknown runs.

        A source may return the same object for two seconds.
        """

    def project(self, entity: str, project: str) -> Project | None:
        """Return a project, which lists its sweeps; None if there are only pulled runs."""

    def sweep(self, entity: str, project: str, sweep_id: str) -> Sweep:
        """Return a sweep; raise `SweepNotFoundError` or `NotCached` for unknown sweeps."""

    def collections(self, entity: str, project: str, limit: int) -> list[CollectionRow]:
        """Return at most ``limit`` artifact collections, ascending by type, then by name."""

    def versions(
        self, path: ArtifactPath, type_name: str, limit: int
    ) -> tuple[CollectionRow, list[Artifact]]:
        """Return a collection and at most ``limit`` of its versions, newest first.

        Raise `ArtifactNotFoundError` or `NotCached` for unknown collections.
        """

    def artifact(self, path: ArtifactPath, type_name: str) -> Artifact:
        """Return an artifact; raise `ArtifactNotFoundError` or `NotCached` for unknown ones."""


class ApiSource:
    """A source that reads runs, sweeps and artifacts from a backend.

    Parameters
    ----------
    api : Api
        Sends requests to the backend with the API key of the visitor.
    """

    is_live = True

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = api._client  # noqa: SLF001 - of the layer below
        self._runs: TTLCache[tuple[str, str, str], Run] = TTLCache(N_RUNS, RUN_SECONDS)
        self._lock = Lock()

    def entities(self) -> list[str]:
        """Return the entities of the API key's user: the user's own entity and the user's teams."""
        viewer = self.api.viewer
        return list(dict.fromkeys(filter(None, [viewer.entity, *viewer.teams])))

    def projects(self, entity: str) -> list[ProjectRow]:
        """Return the projects of an entity that the visitor may read."""
        listed = Projects(self._client, entity, PROJECTS_PER_REQUEST)
        return [ProjectRow(one.name, created_at=getattr(one, "created_at", None)) for one in listed]

    def runs(
        self,
        entity: str,
        project: str,
        *,
        filters: Mapping[str, Any] | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
    ) -> Runs:
        """Return the runs of a project, as a list that is fetched page by page."""
        return Runs(self._client, entity, project, checked_filters(filters), order, per_page)

    def run(self, entity: str, project: str, run_id: str) -> Run:
        """Return a run, with one request unless the run was loaded in the last two seconds."""
        names = (entity, project, run_id)
        with self._lock:
            found = self._runs.get(names)
        if found is None:
            # Not under the lock, so that charts of other runs do not wait for this request.
            found = Run(self._client, *names, lazy=False)
            with self._lock:
                self._runs[names] = found
        return found

    def project(self, entity: str, project: str) -> Project:
        """Return a project; this sends no request."""
        return Project(self._client, entity, project)

    def sweep(self, entity: str, project: str, sweep_id: str) -> Sweep:
        """Load a sweep with one request, and return it."""
        return Sweep(self._client, entity, project, sweep_id)

    def collections(self, entity: str, project: str, limit: int) -> list[CollectionRow]:
        """Return the artifact collections of a project, with one request per hundred of them."""
        found = islice(self.project(entity, project).collections(per_page=100), limit)
        return sorted(map(_collection_row, found), key=lambda one: (one.type, one.name))

    def versions(
        self, path: ArtifactPath, type_name: str, limit: int
    ) -> tuple[CollectionRow, list[Artifact]]:
        """Return a collection and its newest versions."""
        collection = self.artifact(path, type_name).collection
        return _collection_row(collection), list(islice(collection.artifacts(), limit))

    def artifact(self, path: ArtifactPath, type_name: str) -> Artifact:
        """Load a version of an artifact with one request, and return it.

        Raise `ArtifactNotFoundError` if the artifact has another type than ``type_name``.
        """
        found = fetch_artifact(self._client, path)
        if found.type != type_name:
            raise ArtifactNotFoundError(f"There is no artifact '{path}' of type {type_name!r}.")
        return found


class LakeSource:
    """A source that reads pulled runs from disk, and sends no requests.

    Parameters
    ----------
    lake : Lake
        The directory of pulled runs.
    """

    is_live = False

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def entities(self) -> list[str]:
        """Return the entities that have pulled runs, sorted."""
        frame = self.lake.runs(columns=["entity"])
        return sorted(set(frame["entity"].to_list()))

    def projects(self, entity: str) -> list[ProjectRow]:
        """Return the projects of an entity that have pulled runs, with the number of these runs."""
        frame = self.lake.runs({"entity": entity}, columns=["project", "created_at"])
        if frame.is_empty():
            raise NotCached(f"No run of {entity!r} was pulled.", path=str(self.lake.path))
        rows: dict[str, list[str]] = {}
        for project, created in frame.iter_rows():
            rows.setdefault(project, []).append(str(created or ""))
        return [
            ProjectRow(name, len(times), min(times) or None, max(times) or None)
            for name, times in rows.items()
        ]

    def runs(
        self,
        entity: str,
        project: str,
        *,
        filters: Mapping[str, Any] | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
    ) -> LakeRuns:
        """Return the pulled runs of a project."""
        del per_page
        here = {"entity": entity, "project": project}
        both = {"$and": [here, checked_filters(filters)]}
        return LakeRuns(self.lake.settings, Selection(self.lake.path, both, order))

    def run(self, entity: str, project: str, run_id: str) -> Run:
        """Return a run as it was when it was last pulled."""
        found = next(iter(self.runs(entity, project, filters={"name": run_id})), None)
        if found is None:
            raise NotCached(
                f"The run '{entity}/{project}/{run_id}' was not pulled.", path=str(self.lake.path)
            )
        return found

    def project(self, entity: str, project: str) -> None:
        """Return None, because a pull stores no sweeps."""
        del entity, project

    def sweep(self, entity: str, project: str, sweep_id: str) -> Sweep:
        """Raise `NotCached`, because a pull stores no sweeps."""
        raise NotCached(
            f"The sweep '{entity}/{project}/{sweep_id}' was not pulled.", path=str(self.lake.path)
        )

    def collections(self, entity: str, project: str, limit: int) -> list[CollectionRow]:
        """Return the artifact collections of which pulls stored versions.

        Artifacts in which a backend offers a run's history are left out: the history is pulled as
        rows, without these artifacts' files.
        """
        found = chain.from_iterable(
            stored_collections(one, entity, project) for one in self._clients()
        )
        rows = {
            CollectionRow(one.type, one.place.collection)
            for one in found
            if one.type != HISTORY_TYPE
        }
        return sorted(rows, key=lambda one: (one.type, one.name))[:limit]

    def versions(
        self, path: ArtifactPath, type_name: str, limit: int
    ) -> tuple[CollectionRow, list[Artifact]]:
        """Return a collection and its newest stored versions."""
        stored = chain.from_iterable(stored_versions(one, path) for one in self._clients())
        found = list(islice((one for one in stored if one.type == type_name), limit))
        if not found:
            raise self._not_pulled(path, type_name)
        return CollectionRow(type_name, path.collection), found

    def artifact(self, path: ArtifactPath, type_name: str) -> Artifact:
        """Return a version as it was when a run that logged or used it was last pulled."""
        for client in self._clients():
            with suppress(OfflineError):
                found = fetch_artifact(client, path)
                if found.type == type_name:
                    return found
        raise self._not_pulled(path, type_name)

    def _clients(self) -> list[Client]:
        """Return an offline client for each backend from which runs were pulled.

        The runs may be of any project, because runs use artifacts of other projects too.
        """
        query = "SELECT DISTINCT backend FROM runs ORDER BY backend"
        rows = query_runs(self.lake.path, query, (), lambda _: None)
        return [Client(settings_of(backend, self.lake.path)) for (backend,) in rows]

    def _not_pulled(self, path: ArtifactPath, type_name: str) -> NotCached:
        if is_published_root(self.lake.path):
            text = f"The artifact '{path}' is not here: a published lake has no artifacts."
        else:
            text = (
                f"The artifact '{path}' of type {type_name!r} was not pulled. Pull the run that "
                "logged or used it, with Lake.pull(..., artifacts=True)."
            )
        return NotCached(text, path=str(self.lake.path))


def _collection_row(one: ArtifactCollection) -> CollectionRow:
    return CollectionRow(one.type, one.name, one.description, one.created_at)


def source_of(request: Request) -> Source:
    """Return the source that the visitor of a request may read."""
    source: Source = request.scope[SOURCE]
    return source
