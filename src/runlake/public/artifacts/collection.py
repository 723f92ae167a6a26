"""`ArtifactCollection`: versions of an artifact, with a common description, type and tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql import artifact_mutations as mutations
from runlake.backend.graphql.query import mutate, query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import ArtifactNotFoundError, InvalidArgument, InvalidType
from runlake.errors.screen import line_for_screen
from runlake.public.artifacts.lists import Artifacts
from runlake.public.artifacts.values import check_collection_name, check_tags, check_type
from runlake.public.lists.pages import Page, Pages

ALIASES_PER_PAGE = 1000


class ArtifactCollection:
    """A collection of artifact versions; `save` sends changed name, description, type and tags.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, name, type : str
        Path and type of the collection.
    organization : str, optional
        Accepted for compatibility and ignored.
    attrs : dict, optional
        Fields that were loaded already. If omitted, the constructor loads them with one request.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        name: str,
        type: str,  # noqa: A002 - W&B's name
        organization: str | None = None,
        attrs: dict[str, Any] | None = None,
    ) -> None:
        self._client = client
        self.organization = organization
        self._aliases: list[str] | None = None
        found = self.load(entity, project, type, name) if attrs is None else attrs
        with answer_to(client, "ProjectArtifactCollection", f"'{entity}/{project}/{name}'"):
            self._receive(found)

    @classmethod
    def from_attrs(cls, client: Client, attrs: dict[str, Any]) -> Self:
        """Build a collection from fields that the backend sent, without a request."""
        with answer_to(client, "ArtifactCollectionFragment", "a collection"):
            project, type_name = attrs["project"], attrs["type"]["name"]
            names = (project["entity"]["name"], project["name"], attrs["name"], type_name)
        return cls(client, *names, attrs=attrs)

    def _receive(self, attrs: dict[str, Any]) -> None:
        self._attrs = attrs
        self._saved_name = self._name = str(attrs["name"])
        self._saved_type = self._type = str(attrs["type"]["name"])
        self._description: str | None = attrs.get("description")
        edges = (attrs.get("tags") or {}).get("edges") or []
        self._tags = [edge["node"]["name"] for edge in edges if edge.get("node")]
        self._saved_tags = list(self._tags)

    def load(self, entity: str, project: str, type_: str, name: str) -> dict[str, Any]:
        """Fetch the fields of a collection with one request.

        Parameters
        ----------
        entity, project, type_, name : str
            Path and type of the collection.

        Returns
        -------
        dict
            The fields, by the backend's names.

        Raises
        ------
        ArtifactNotFoundError
            If the project has no such collection of this type.
        """
        variables = {"entity": entity, "project": project, "type": type_, "name": name}
        data = query(self._client, documents.ARTIFACT_COLLECTION, variables)
        with answer_to(self._client, "ProjectArtifactCollection", f"'{entity}/{project}/{name}'"):
            of_type = (data.get("project") or {}).get("artifactType") or {}
            found = dict(of_type.get("artifactCollection") or {})
        if not found.get("project"):
            raise ArtifactNotFoundError(
                f"Could not find a collection {name!r} of type {type_!r} in '{entity}/{project}' "
                f"at {self._client.origin}.",
                operation="ProjectArtifactCollection",
                origin=self._client.origin,
            )
        return found

    @property
    def id(self) -> str:
        """The backend's own id of the collection."""
        return str(self._attrs["id"])

    @property
    def entity(self) -> str:
        """The user or team that owns the project."""
        return str(self._attrs["project"]["entity"]["name"])

    @property
    def project(self) -> str:
        """The name of the project."""
        return str(self._attrs["project"]["name"])

    @property
    def project_id(self) -> str:
        """The backend's own id of the project."""
        return str(self._attrs["project"]["id"])

    @property
    def project_internal_id(self) -> str | None:
        """The backend's internal id of the project; None if the backend does not send it."""
        found = self._attrs["project"].get("internalId")
        return None if found is None else str(found)

    @property
    def name(self) -> str:
        """The name of the collection. To change it, assign a value and call `save`."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = check_collection_name(name)

    @property
    def type(self) -> str:
        """The type of the artifacts. To change it, assign a value and call `save`."""
        return self._type

    @type.setter  # noqa: A003 - W&B's name
    def type(self, type_name: str) -> None:
        if not self.is_sequence():
            raise InvalidArgument(
                f"The type of collection {self.name!r} cannot be changed: versions are linked to "
                "it and cannot be logged to it."
            )
        if not isinstance(type_name, str):
            raise InvalidType(f"An artifact type must be a string, not {type_name!r}.")
        self._type = type_name

    @property
    def description(self) -> str | None:
        """The description of the collection. To change it, assign a value and call `save`."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        if description is not None and not isinstance(description, str):
            raise InvalidType(f"The description must be a string, not {description!r}.")
        self._description = description

    @property
    def created_at(self) -> str:
        """Time of creation, as ISO 8601 in UTC."""
        return str(self._attrs["createdAt"])

    @property
    def updated_at(self) -> str | None:
        """Time of the last change, as ISO 8601 in UTC."""
        return self._attrs.get("updatedAt")

    @property
    def tags(self) -> list[str]:
        """The tags of the collection. To change them, change the list and call `save`."""
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._tags = check_tags(tags)

    @property
    def aliases(self) -> list[str]:
        """The aliases of all versions in the collection; the first access fetches them."""
        if self._aliases is None:
            self._aliases = list(_Aliases(self._client, self.id))
        return list(self._aliases)

    def is_sequence(self) -> bool:
        """Return True if versions are logged to the collection, False if they are linked to it."""
        return bool(self._attrs.get("__typename") == "ArtifactSequence")

    def artifacts(self, per_page: int = 50, start: str | None = None) -> Artifacts:
        """List the versions in the collection, newest first.

        Parameters
        ----------
        per_page : int
            Versions per request.
        start : str, optional
            The ``cursor`` of an earlier list, at which this list continues.

        Returns
        -------
        Artifacts
            A list, fetched page by page as it is accessed.
        """
        # The backend knows an edited name or type only after `save`.
        names = (self.entity, self.project, self._saved_name, self._saved_type)
        return Artifacts(self._client, *names, per_page=per_page, start=start)

    def save(self) -> None:
        """Send the edits of this object to the backend, with one to four requests.

        Raises
        ------
        InvalidArgument
            If a changed value is not allowed; this is checked before any request.
        BackendError
            If the backend refuses. Name and description are sent before type and tags. So if type
            or tags are refused, the name and description may have been changed already.
        """
        tags = check_tags(self._tags)
        # Before any request: a refused type must leave the collection unchanged.
        if self._type != self._saved_type:
            check_type(self._type, self._name)
            check_type(self._saved_type, self._name)
        # First, because tags are sent under the name of the collection.
        self._send_name()
        if self._type != self._saved_type:
            self._send_type()
        self._send_tags(mutations.TAG_COLLECTION, set(tags) - set(self._saved_tags))
        self._send_tags(mutations.UNTAG_COLLECTION, set(self._saved_tags) - set(tags))
        self._saved_tags = list(tags)

    def change_type(self, new_type: str) -> None:
        """Change the type of the collection now; the newer way is to set `type` and call `save`."""
        self.type = new_type
        check_type(self._type, self._name)
        if self._type != self._saved_type:
            check_type(self._saved_type, self._name)
        self._send_type()

    def delete(self) -> None:
        """Delete the collection and all its versions, with one request.

        If the versions are only linked to the collection, only the links are deleted; the versions
        stay in the collections to which they were logged.

        Raises
        ------
        BackendError
            If the backend refuses the request.
        """
        is_ours = self.is_sequence()
        document = mutations.DELETE_SEQUENCE if is_ours else mutations.DELETE_PORTFOLIO
        # If only the response was lost, a repetition would report that there is no such collection.
        mutate(self._client, document, {"id": self.id}, is_idempotent=False)

    def _send_name(self) -> None:
        is_ours = self.is_sequence()
        document = mutations.UPDATE_SEQUENCE if is_ours else mutations.UPDATE_PORTFOLIO
        given = {
            "artifactSequenceID" if is_ours else "artifactPortfolioID": self.id,
            "name": self._name,
            "description": self._description,
        }
        mutate(self._client, document, {"input": given}, is_idempotent=True)
        self._saved_name = self._name

    def _send_type(self) -> None:
        given = {"artifactSequenceID": self.id, "destinationArtifactTypeName": self._type}
        mutate(self._client, mutations.MOVE_SEQUENCE, {"input": given}, is_idempotent=True)
        self._saved_type = self._type

    def _send_tags(self, document: str, tags: set[str]) -> None:
        if not tags:
            return
        given = {
            "entityName": self.entity,
            "projectName": self.project,
            "artifactCollectionName": self._saved_name,
            "tags": [{"tagName": tag} for tag in sorted(tags)],
        }
        mutate(self._client, document, {"input": given}, is_idempotent=True)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactCollection {self.name} ({self.type})>")


class _Aliases(Pages[str]):
    """The aliases of all versions in a collection, fetched page by page."""

    _operation = "ArtifactCollectionAliases"

    def __init__(self, client: Client, collection_id: str) -> None:
        super().__init__(client, ALIASES_PER_PAGE)
        self._collection_id = collection_id

    def _key(self, one: str) -> str:
        return one

    @property
    def _what(self) -> str:
        return "the aliases of a collection"

    def _fetch(self, cursor: str | None) -> Page[str]:
        variables = {"id": self._collection_id, "cursor": cursor, "perPage": self.per_page}
        data = query(self._client, documents.ARTIFACT_COLLECTION_ALIASES, variables)
        return self._page((data.get("artifactCollection") or {}).get("aliases"))

    def _open(self, edge: dict[str, Any]) -> str:
        alias: str = edge["node"]["alias"]
        return alias
