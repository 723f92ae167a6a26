"""Choose the entity of a path without an entity: the configured or the user's default entity."""

from __future__ import annotations

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument
from runlake.values import check_text

# Placeholder if neither a path nor a setting names the entity. No entity can have this name.
UNNAMED = "<the viewer's>"
# The project of a run for which no project is named, as in the SDK.
UNNAMED_PROJECT = "uncategorized"


class DefaultEntity:
    """Base class of objects that look up the default entity of the API key's user."""

    _client: Client
    _default_entity: str | None = None

    @property
    def default_entity(self) -> str | None:
        """The default entity of the API key's user; the first access makes one request."""
        if self._default_entity is None:
            viewer = query(self._client, documents.DEFAULT_ENTITY, {}).get("viewer") or {}
            self._default_entity = viewer.get("entity")
        return self._default_entity

    def _entity(self, name: str | None) -> str:
        """Return ``name``; if it is None or `UNNAMED`, the configured or the user's default entity.

        Raises
        ------
        InvalidArgument
            If there is no such entity.
        """
        if name is not None and name != UNNAMED:
            return check_text(name, "The entity")
        entity = self._client.settings.entity or self.default_entity
        if not entity:
            raise InvalidArgument(
                f"The path names no entity, and {self._client.origin} has no default entity for "
                "this API key. Write 'entity/project', or set WANDB_ENTITY."
            )
        return entity
