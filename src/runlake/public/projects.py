"""A project, and the list of an entity's projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runlake.backend.graphql import documents
from runlake.backend.graphql.lacking import check_field
from runlake.backend.graphql.query import query, query_project
from runlake.backend.http.client import Client
from runlake.errors import ProjectNotFoundError
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.public.lists.attributes import Attributes, frame_of
from runlake.public.lists.pages import Page, Pages
from runlake.public.sweeps import Sweeps
from runlake.public.users import User

if TYPE_CHECKING:
    from runlake.public.artifacts.collections import ArtifactTypes, ProjectArtifactCollections


class Project(Attributes):
    """A project, which contains runs; `Api.project` returns it without its fields.

    Its fields, such as ``created_at``, are attributes; the first access loads all of them.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        Owner and name of the project.
    attrs : mapping, optional
        Fields that were loaded already.
    """

    # For type checkers; the values are found by `Attributes.__getattr__`.
    created_at: str
    is_benchmark: bool

    def __init__(
        self, client: Client, entity: str, project: str, attrs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(dict(attrs or {}))
        self._client = client
        self.entity = entity
        self.name = project

    def __getattr__(self, name: str) -> Any:
        # copy, pickle and notebooks look up names with underscores, which must not cost a request.
        if not name.startswith("_") and not self.__dict__.get("_attrs"):
            self._load()
        return super().__getattr__(name)

    def _load(self) -> dict[str, Any]:
        if not self._attrs:
            variables = {"project": self.name, "entity": self.entity}
            self._attrs = dict(query_project(self._client, documents.PROJECT, variables))
        return self._attrs

    @property
    def id(self) -> str:
        """The backend's own id of the project.

        Raises
        ------
        ProjectNotFoundError
            If there is no such project. The error is also a ``ValueError``.
        """
        attrs = self._load()
        if "id" not in attrs:
            check_field(self._client, "Project", "id")
        return str(attrs["id"])

    @property
    def owner(self) -> User:
        """The user who created the project.

        Raises
        ------
        ProjectNotFoundError
            If there is no such project, or the backend names no user.
        """
        user = self._load().get("user")
        if user is None:
            raise ProjectNotFoundError(f"No user found for project {self.name}.")
        return User(user)

    @property
    def path(self) -> list[str]:
        """The names of the entity and the project."""
        return [self.entity, self.name]

    @property
    def url(self) -> str:
        """The URL of the project's page."""
        entity, project = (quote(name, safe="") for name in self.path)
        return f"{self._client.settings.app_url}/{entity}/{project}/workspace"

    def sweeps(
        self,
        per_page: int = 50,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
    ) -> Sweeps:
        """List the sweeps of the project.

        Parameters
        ----------
        per_page : int
            Sweeps per request.
        filters : dict, optional
            As for `Api.runs`, if the backend can filter sweeps.
        order : str, optional
            Accepted for compatibility, but ignored with a warning: a backend lists sweeps in one
            order only.

        Returns
        -------
        Sweeps
            A list, fetched page by page as it is accessed; the project itself is not loaded.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        UnsupportedError
            If filters are given and the backend is too old to filter sweeps.
        """
        if order is not None:
            warn("order is not used: a backend has one order of sweeps. Sort the list in Python.")
        return Sweeps(self._client, self.entity, self.name, per_page, filters)

    def artifacts_types(self, per_page: int = 50) -> ArtifactTypes:
        """List the artifact types of the project.

        Parameters
        ----------
        per_page : int
            Types per request.

        Returns
        -------
        ArtifactTypes
            A list, fetched page by page as it is accessed.
        """
        from runlake.public.artifacts.collections import ArtifactTypes

        return ArtifactTypes(self._client, self.entity, self.name, per_page)

    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
    ) -> ProjectArtifactCollections:
        """List the artifact collections of the project, of all types.

        Parameters
        ----------
        filters : mapping, optional
            Filters in the backend's language: ``{"name": "data"}``.
        order : str, optional
            Field to order by, with ``-`` for descending: ``-createdAt``.
        per_page : int
            Collections per request.

        Returns
        -------
        ProjectArtifactCollections
            A list, fetched page by page as it is accessed.
        """
        from runlake.public.artifacts.collections import ProjectArtifactCollections

        names = (self.entity, self.name)
        return ProjectArtifactCollections(self._client, *names, filters, order, per_page)

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return HTML that shows the page of the project."""
        return frame_of(self.url, height, hidden=hidden, shows="project")

    def _card(self, height: int | None = None) -> str:
        from runlake.public.cards.runs import show_project

        return show_project(self, height)

    def _repr_html_(self) -> str:
        return self._card()

    def __repr__(self) -> str:
        return line_for_screen(f"<Project {'/'.join(self.path)}>")


class Projects(Pages[Project]):
    """The projects of an entity, fetched page by page as they are accessed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity : str
        The owner of the projects.
    per_page : int
        Projects per request.
    """

    _operation = "GetProjects"

    def __init__(self, client: Client, entity: str, per_page: int = 50) -> None:
        super().__init__(client, per_page)
        self.entity = entity

    def _key(self, one: Project) -> str:
        return one.name

    @property
    def _what(self) -> str:
        return f"the projects of '{self.entity}'"

    @property
    def length(self) -> None:
        """Always None, because the backend does not send the number of projects."""
        return None

    def _fetch(self, cursor: str | None) -> Page[Project]:
        variables = {"entity": self.entity, "cursor": cursor, "perPage": self.per_page}
        return self._page(query(self._client, documents.PROJECTS, variables).get("models"))

    def _open(self, edge: dict[str, Any]) -> Project:
        node = edge["node"]
        return Project(self._client, self.entity, str(node["name"]), node)

    def __repr__(self) -> str:
        return line_for_screen(f"<Projects {self.entity}>")
