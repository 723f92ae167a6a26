"""What groups artifacts: types and collections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runlake.backend import artifact_documents as documents
from runlake.backend.client import Client
from runlake.backend.graphql import query
from runlake.errors import ArtifactNotFoundError
from runlake.errors.screen import for_screen
from runlake.public.artifact_lists import Artifacts
from runlake.public.pages import Page, Pages, SizedPages, page_of

ALIASES_PER_PAGE = 1000


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
        found = (data.get("project") or {}).get("artifactType")
        if not found:
            raise ArtifactNotFoundError(
                f"Could not find an artifact type {self.type!r} in '{self.entity}/{self.project}' "
                f"at {self._client.origin}.",
                operation="ProjectArtifactType",
                origin=self._client.origin,
            )
        return dict(found)

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
        return for_screen(f"<ArtifactType {self.type}>")


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
        super().__init__(per_page, start)
        self._client = client
        self.entity = entity
        self.project = project

    def _fetch(self, cursor: str | None) -> Page[ArtifactType]:
        variables = {
            "entity": self.entity,
            "project": self.project,
            "cursor": cursor,
            "perPage": self.per_page,
        }
        project = _query_project(self._client, documents.ARTIFACT_TYPES, variables)
        page = page_of(project.get("artifactTypes"))
        return page.holding(
            [
                ArtifactType(self._client, self.entity, self.project, node["name"], node)
                for node in page.objects
            ]
        )

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactTypes {self.entity}/{self.project}>")


class ArtifactCollection:
    """A collection: the versions of one artifact.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project, name, type : str
        The collection.
    attrs : dict, optional
        Its fields; one request if omitted.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        name: str,
        type: str,  # noqa: A002 - W&B's name
        attrs: dict[str, Any] | None = None,
    ) -> None:
        self._client = client
        self.entity = entity
        self.project = project
        self._attrs = self.load(entity, project, type, name) if attrs is None else attrs
        self._aliases: list[str] | None = None

    def load(self, entity: str, project: str, type_: str, name: str) -> dict[str, Any]:
        """Ask the backend for a collection.

        Parameters
        ----------
        entity, project, type_, name : str
            The collection.

        Returns
        -------
        dict
            Its fields.

        Raises
        ------
        ArtifactNotFoundError
            If the project has no such collection of this type.
        """
        variables = {"entity": entity, "project": project, "type": type_, "name": name}
        data = query(self._client, documents.ARTIFACT_COLLECTION, variables)
        kind = (data.get("project") or {}).get("artifactType") or {}
        if not kind.get("artifactCollection"):
            raise ArtifactNotFoundError(
                f"Could not find a collection {name!r} of type {type_!r} in '{entity}/{project}' "
                f"at {self._client.origin}.",
                operation="ProjectArtifactCollection",
                origin=self._client.origin,
            )
        return dict(kind["artifactCollection"])

    @property
    def id(self) -> str:
        """The backend's own id of the collection."""
        return str(self._attrs["id"])

    @property
    def name(self) -> str:
        """The name of the collection."""
        return str(self._attrs["name"])

    @property
    def type(self) -> str:
        """The type of its artifacts."""
        return str(self._attrs["type"]["name"])

    @property
    def description(self) -> str | None:
        """What people wrote about it."""
        return self._attrs.get("description")

    @property
    def created_at(self) -> str:
        """When it was made, as ISO 8601 in UTC."""
        return str(self._attrs["createdAt"])

    @property
    def updated_at(self) -> str | None:
        """When it was last changed, as ISO 8601 in UTC."""
        return self._attrs.get("updatedAt")

    @property
    def tags(self) -> list[str]:
        """The tags of the collection."""
        return [edge["node"]["name"] for edge in self._attrs["tags"]["edges"]]

    @property
    def aliases(self) -> list[str]:
        """The aliases of all its versions; asked for at the first access."""
        if self._aliases is None:
            self._aliases = list(_Aliases(self._client, self.id))
        return list(self._aliases)

    def is_sequence(self) -> bool:
        """Tell whether versions are logged to the collection, rather than linked into it."""
        return bool(self._attrs.get("__typename") == "ArtifactSequence")

    def artifacts(self, per_page: int = 50, start: str | None = None) -> Artifacts:
        """List the versions in the collection, newest first.

        Parameters
        ----------
        per_page : int
            Versions per request.
        start : str, optional
            The ``cursor`` of an earlier list, to go on there.

        Returns
        -------
        Artifacts
            Fetched as far as it is looked at.
        """
        names = (self.entity, self.project, self.name, self.type)
        return Artifacts(self._client, *names, per_page=per_page, start=start)

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactCollection {self.name} ({self.type})>")


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
        super().__init__(per_page, start)
        self._client = client
        self.entity = entity
        self.project = project
        self.type_name = type_name
        self.filters = filters
        self.order = order

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
        found = (project.get("artifactType") or {}).get("artifactCollections") or {}
        page = page_of(found, found.get("totalCount", 0))
        return page.holding([self._open(node) for node in page.objects if node.get("project")])

    def _open(self, node: dict[str, Any]) -> ArtifactCollection:
        project = node["project"]
        names = (project["entity"]["name"], project["name"], node["name"], node["type"]["name"])
        return ArtifactCollection(self._client, *names, node)

    def __repr__(self) -> str:
        return for_screen(
            f"<ArtifactCollections {self.entity}/{self.project}/{self.type_name} ({len(self)})>"
        )


class _Aliases(Pages[str]):
    """The aliases in a collection."""

    def __init__(self, client: Client, collection_id: str) -> None:
        super().__init__(ALIASES_PER_PAGE)
        self._client = client
        self._collection_id = collection_id

    def _fetch(self, cursor: str | None) -> Page[str]:
        variables = {"id": self._collection_id, "cursor": cursor, "perPage": self.per_page}
        data = query(self._client, documents.ARTIFACT_COLLECTION_ALIASES, variables)
        page = page_of((data.get("artifactCollection") or {}).get("aliases"))
        return page.holding([node["alias"] for node in page.objects])


def _query_project(client: Client, document: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Send a query about a project and return the project's part of the answer."""
    project = query(client, document, variables).get("project")
    if not project:
        raise ArtifactNotFoundError(
            f"Could not find project '{variables['entity']}/{variables['project']}' at "
            f"{client.origin}, or this API key may not read it.",
            operation="ProjectArtifactTypes",
            origin=client.origin,
        )
    return dict(project)
