"""Artifact types, and lists of types and collections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.features import fetch_features
from runlake.backend.graphql.query import query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import ArtifactNotFoundError, UnsupportedError
from runlake.errors.screen import line_for_screen
from runlake.public.artifacts.collection import ArtifactCollection
from runlake.public.artifacts.lists import known_length
from runlake.public.lists.filters import checked_filters
from runlake.public.lists.in_project import PagesInProject
from runlake.public.lists.pages import Page, SizedPages


class ArtifactType:
    """An artifact type of a project: ``dataset``, ``model``, ...

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, type_name : str
        The project, and the name of the artifact type.
    attrs : dict, optional
        Fields that were loaded already. If omitted, the constructor loads them with one request.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        type_name: str,
        attrs: dict[str, Any] | None = None,
    ) -> None:
        self._client = client
        self.entity = entity
        self.project = project
        self.type = type_name
        self._attrs = self.load() if attrs is None else attrs
        with answer_to(client, "ProjectArtifactType", repr(type_name)):
            # Read each field once, so that a wrong shape is an error here, not at a later access.
            _ = (self.id, self.name)

    def load(self) -> dict[str, Any]:
        """Fetch the fields of the type with one request.

        Returns
        -------
        dict
            The fields, by the backend's names.

        Raises
        ------
        ArtifactNotFoundError
            If the project has no such type.
        """
        variables = {"entity": self.entity, "project": self.project, "type": self.type}
        data = query(self._client, documents.ARTIFACT_TYPE, variables)
        with answer_to(self._client, "ProjectArtifactType", repr(self.type)):
            found = dict((data.get("project") or {}).get("artifactType") or {})
        if not found:
            raise _no_such_type(self._client, self.entity, self.project, self.type)
        return found

    @property
    def id(self) -> str:
        """The backend's own id of the type."""
        return str(self._attrs["id"])

    @property
    def name(self) -> str:
        """The name of the type."""
        return str(self._attrs["name"])

    @property
    def description(self) -> str | None:
        """The description of the type."""
        return self._attrs.get("description")

    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """List the collections of the type; the arguments are those of `ArtifactCollections`."""
        names = (self.entity, self.project, self.type)
        return ArtifactCollections(self._client, *names, filters, order, per_page, start)

    def collection(self, name: str) -> ArtifactCollection:
        """Fetch a collection of the type, by its name, with one request."""
        return ArtifactCollection(self._client, self.entity, self.project, name, self.type)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactType {self.type}>")


class ArtifactTypes(PagesInProject[ArtifactType]):
    """The artifact types of a project, fetched page by page as they are accessed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        The project to list.
    per_page : int
        Types per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
    """

    _operation = "ProjectArtifactTypes"

    def _key(self, one: ArtifactType) -> str:
        return one.name

    @property
    def _what(self) -> str:
        return f"the artifact types of '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactType]:
        return self._page(self._ask(documents.ARTIFACT_TYPES, cursor).get("artifactTypes"))

    def _open(self, edge: dict[str, Any]) -> ArtifactType:
        node = edge["node"]
        return ArtifactType(self._client, self.entity, self.project, node["name"], node)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactTypes {self._place}>")


class _Collections(PagesInProject[ArtifactCollection], SizedPages[ArtifactCollection]):
    """Base class of lists of artifact collections, filtered and ordered by the backend."""

    _operation = "ProjectArtifactCollections"

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        super().__init__(client, entity, project, per_page, start)
        self.filters = None if filters is None else checked_filters(filters)
        self.order = order

    @property
    def _chosen(self) -> dict[str, Any]:
        """The requested filters and the order, as GraphQL variables."""
        filters = None if self.filters is None else json.dumps(self.filters)
        return {"order": self.order, "filters": filters}

    def _key(self, one: ArtifactCollection) -> str:
        return one.id

    def _page_of(self, owner: Mapping[str, Any]) -> Page[ArtifactCollection]:
        """Return the page of collections in ``owner``, the GraphQL object of a project or type."""
        found = owner.get("artifactCollections") or {}
        return self._page(found, found.get("totalCount"))

    def _open(self, edge: dict[str, Any]) -> ArtifactCollection | None:
        # The backend leaves out the project of collections that this API key must not read.
        is_shown = edge["node"].get("project")
        return ArtifactCollection.from_attrs(self._client, edge["node"]) if is_shown else None


class ArtifactCollections(_Collections):
    """A project's artifact collections of one type, fetched page by page.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, type_name : str
        The project, and the name of the artifact type.
    filters : mapping, optional
        Filters in the backend's language: ``{"name": "data"}``.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Collections per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        type_name: str,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        super().__init__(client, entity, project, filters, order, per_page, start)
        self.type_name = type_name

    @property
    def _what(self) -> str:
        return f"the collections of type {self.type_name!r} in '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactCollection]:
        project = self._ask(
            documents.ARTIFACT_COLLECTIONS, cursor, type=self.type_name, **self._chosen
        )
        of_type = project.get("artifactType")
        if not of_type:
            raise _no_such_type(self._client, self.entity, self.project, self.type_name)
        return self._page_of(of_type)

    def __repr__(self) -> str:
        return line_for_screen(
            f"<ArtifactCollections {self._place}/{self.type_name}{known_length(self)}>"
        )


class ProjectArtifactCollections(_Collections):
    """A project's artifact collections of all types, fetched page by page.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        The project to list.
    filters : mapping, optional
        Filters in the backend's language: ``{"name": "data"}``.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Collections per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
    """

    @property
    def _what(self) -> str:
        return f"the artifact collections of '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactCollection]:
        if documents.COLLECTION_FILTERS in fetch_features(self._client):
            project = self._ask(documents.PROJECT_COLLECTIONS, cursor, **self._chosen)
        elif self.order is None and self.filters is None:
            project = self._ask(documents.PROJECT_COLLECTIONS_PLAIN, cursor)
        else:
            raise UnsupportedError(
                f"{self._client.origin} is too old to filter and order the artifact collections "
                "of a project. List all, and filter and sort in Python."
            )
        return self._page_of(project)

    def __len__(self) -> int:
        if self._last is None:
            self._reach(0)
        # An older backend sends no count, so all pages are fetched and their objects are counted.
        if self._last is not None and self._last.total is None:
            self._reach(None)
        return super().__len__()

    def __repr__(self) -> str:
        return line_for_screen(f"<ProjectArtifactCollections {self._place}{known_length(self)}>")


def _no_such_type(
    client: Client, entity: str, project: str, type_name: str
) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(
        f"Could not find an artifact type {type_name!r} in '{entity}/{project}' at "
        f"{client.origin}.",
        operation="ProjectArtifactType",
        origin=client.origin,
    )
