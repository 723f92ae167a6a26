"""What groups artifacts: types, and lists of types and collections."""

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
from runlake.public.lists.pages import Page, Pages, SizedPages, page_of


class ArtifactType:
    """An artifact type of a project: ``dataset``, ``model``, ...

    Parameters
    ----------
    client : Client
        The backend.
    entity, project, type_name : str
        The type.
    attrs : dict, optional
        Its fields; one request if omitted.
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
            _ = (self.id, self.name)

    def load(self) -> dict[str, Any]:
        """Ask the backend for the type.

        Returns
        -------
        dict
            Its fields.

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
        """What people wrote about it."""
        return self._attrs.get("description")

    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """List the collections of the type; arguments as for `ArtifactCollections`."""
        names = (self.entity, self.project, self.type)
        return ArtifactCollections(self._client, *names, filters, order, per_page, start)

    def collection(self, name: str) -> ArtifactCollection:
        """Return a collection of the type; one request."""
        return ArtifactCollection(self._client, self.entity, self.project, name, self.type)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactType {self.type}>")


class ArtifactTypes(Pages[ArtifactType]):
    """The artifact types of a project.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project : str
        The project.
    per_page : int
        Types per request.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        super().__init__(client, per_page, start)
        self.entity = entity
        self.project = project

    def _key(self, one: ArtifactType) -> str:
        return one.name

    @property
    def _what(self) -> str:
        return f"the artifact types of '{self.entity}/{self.project}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactType]:
        variables = {
            "entity": self.entity,
            "project": self.project,
            "cursor": cursor,
            "perPage": self.per_page,
        }
        project = _query_project(self._client, documents.ARTIFACT_TYPES, variables)
        with answer_to(self._client, "ProjectArtifactTypes", f"'{self.entity}/{self.project}'"):
            page = page_of(project.get("artifactTypes"))
            names = (self.entity, self.project)
            types = [ArtifactType(self._client, *names, n["name"], n) for n in page.objects]
        return page.holding(types)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactTypes {self.entity}/{self.project}>")


class ArtifactCollections(SizedPages[ArtifactCollection]):
    """The collections of a type in a project.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project, type_name : str
        The type.
    filters : mapping, optional
        In the backend's filter language: ``{"name": "data"}``.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Collections per request.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.
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
        super().__init__(client, per_page, start)
        self.entity = entity
        self.project = project
        self.type_name = type_name
        self.filters = None if filters is None else checked_filters(filters)
        self.order = order

    def _key(self, one: ArtifactCollection) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the collections of type {self.type_name!r} in '{self.entity}/{self.project}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactCollection]:
        variables = {
            "entity": self.entity,
            "project": self.project,
            "type": self.type_name,
            "cursor": cursor,
            "perPage": self.per_page,
            "order": self.order,
            "filters": None if self.filters is None else json.dumps(self.filters),
        }
        project = _query_project(self._client, documents.ARTIFACT_COLLECTIONS, variables)
        kind = project.get("artifactType")
        if not kind:
            raise _no_such_type(self._client, self.entity, self.project, self.type_name)
        return _page_of_collections(self._client, kind)

    def __repr__(self) -> str:
        return line_for_screen(
            f"<ArtifactCollections {self.entity}/{self.project}/{self.type_name}"
            f"{known_length(self)}>"
        )


class ProjectArtifactCollections(SizedPages[ArtifactCollection]):
    """The collections of a project, of whatever type.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project : str
        The project.
    filters : mapping, optional
        In the backend's filter language: ``{"name": "data"}``.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Collections per request.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.
    """

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
        super().__init__(client, per_page, start)
        self.entity = entity
        self.project = project
        self.filters = None if filters is None else checked_filters(filters)
        self.order = order

    def _key(self, one: ArtifactCollection) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the artifact collections of '{self.entity}/{self.project}'"

    def _fetch(self, cursor: str | None) -> Page[ArtifactCollection]:
        variables = {
            "entity": self.entity,
            "project": self.project,
            "cursor": cursor,
            "perPage": self.per_page,
        }
        document = documents.PROJECT_COLLECTIONS_PLAIN
        if documents.COLLECTION_FILTERS in fetch_features(self._client):
            document = documents.PROJECT_COLLECTIONS
            variables["order"] = self.order
            variables["filters"] = None if self.filters is None else json.dumps(self.filters)
        elif self.order is not None or self.filters is not None:
            raise UnsupportedError(
                f"{self._client.origin} is too old to filter and order the artifact collections "
                "of a project. List them all, and choose in Python."
            )
        project = _query_project(self._client, document, variables)
        return _page_of_collections(self._client, project)

    def __len__(self) -> int:
        if self._last is None:
            self._reach(0)
        if self._last is not None and self._last.total is None:
            self._reach(None)
        return super().__len__()

    def __repr__(self) -> str:
        place = f"{self.entity}/{self.project}"
        return line_for_screen(f"<ProjectArtifactCollections {place}{known_length(self)}>")


def _page_of_collections(client: Client, owner: Mapping[str, Any]) -> Page[ArtifactCollection]:
    """Return a page of the collections of a project, or of a type in it."""
    with answer_to(client, "ProjectArtifactCollections", "collections"):
        found = owner.get("artifactCollections") or {}
        page = page_of(found, found.get("totalCount"))
        # Without a project it lies where this API key may not look.
        shown = [node for node in page.objects if node.get("project")]
        return page.holding([ArtifactCollection.from_attrs(client, node) for node in shown])


def _no_such_type(
    client: Client, entity: str, project: str, type_name: str
) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(
        f"Could not find an artifact type {type_name!r} in '{entity}/{project}' at "
        f"{client.origin}.",
        operation="ProjectArtifactType",
        origin=client.origin,
    )


def _query_project(client: Client, document: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Send a query about a project and return the project's part of the answer."""
    found = query(client, document, variables).get("project")
    with answer_to(client, "ProjectArtifactTypes", f"'{variables['entity']}'"):
        project = dict(found or {})
    if not project:
        raise ArtifactNotFoundError(
            f"Could not find project '{variables['entity']}/{variables['project']}' at "
            f"{client.origin}, or this API key may not read it.",
            operation="ProjectArtifactTypes",
            origin=client.origin,
        )
    return project
