"""Lazy lists of what a project has."""

from __future__ import annotations

from typing import Any, TypeVar

from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import ProjectNotFoundError
from runlake.public.lists.pages import Pages

T = TypeVar("T")


class PagesInProject(Pages[T]):
    """A lazy list of what a project has.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project : str
        The project.
    per_page : int
        Objects per request.
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

    @property
    def _place(self) -> str:
        """The project, for texts."""
        return f"{self.entity}/{self.project}"

    def _find(self, document: str, cursor: str | None, **variables: Any) -> dict[str, Any] | None:
        """Ask for a page; return the project's part of the answer, None without such a project."""
        place = {"entity": self.entity, "project": self.project}
        page = {"cursor": cursor, "perPage": self.per_page}
        return query(self._client, document, {**place, **page, **variables}).get("project")

    def _ask(self, document: str, cursor: str | None, **variables: Any) -> dict[str, Any]:
        """Ask for a page, and return the project's part of the answer."""
        project = self._find(document, cursor, **variables)
        if project is None:
            raise ProjectNotFoundError(
                f"Could not find project {self.project} of {self.entity} at {self._client.origin}. "
                "Check the spelling, and that this API key may read it.",
                operation=self._operation,
                origin=self._client.origin,
            )
        return project
