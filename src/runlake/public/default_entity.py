"""The default entity: where a path names none, the one of the settings, else the user."""

from __future__ import annotations

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument
from runlake.values import check_text

# Stands for an entity that no path and no setting names; no entity has such a name.
UNNAMED = "<the viewer's>"
# The project of what names none.
UNNAMED_PROJECT = "uncategorized"


class DefaultEntity:
    """What knows the entity that stands in where a path leaves it out."""

    _client: Client
    _default_entity: str | None = None

    @property
    def default_entity(self) -> str | None:
        """The entity of the API key's user; one request, when it is first looked at."""
        if self._default_entity is None:
            viewer = query(self._client, documents.DEFAULT_ENTITY, {}).get("viewer") or {}
            self._default_entity = viewer.get("entity")
        return self._default_entity

    def _entity(self, name: str | None) -> str:
        """Return a named entity, else the configured one, else the user's."""
        if name is not None and name != UNNAMED:
            return check_text(name, "The entity")
        entity = self._client.settings.entity or self.default_entity
        if not entity:
            raise InvalidArgument(
                f"No entity is named, and {self._client.origin} knows none for this API key. Write "
                "'entity/project', or set WANDB_ENTITY."
            )
        return entity
