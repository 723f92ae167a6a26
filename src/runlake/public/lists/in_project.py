"""`PagesInProject`, the base class of lazy lists of a project's objects."""

from __future__ import annotations

from typing import Any, TypeVar

from runlake.backend.graphql.query import query_project
from runlake.backend.http.client import Client
from runlake.public.lists.pages import Pages

T = TypeVar("T")


class PagesInProject(Pages[T]):
    """A list of a project's objects, fetched page by page as they are accessed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        The project that the objects belong to.
    per_page : int
        Objects per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
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

    @property
    def _place(self) -> str:
        """The path of the project, for messages."""
        return f"{self.entity}/{self.project}"

    def _variables(self, cursor: str | None) -> dict[str, Any]:
        """Return the GraphQL variables of a page: project, cursor and page size."""
        page = {"cursor": cursor, "perPage": self.per_page}
        return {"entity": self.entity, "project": self.project, **page}

    def _ask(self, document: str, cursor: str | None, **variables: Any) -> dict[str, Any]:
        """Request a page, and return the ``project`` object of the GraphQL response."""
        return query_project(self._client, document, {**self._variables(cursor), **variables})
