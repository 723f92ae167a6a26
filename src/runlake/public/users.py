"""People with an account on a backend."""

from __future__ import annotations

from runlake.errors.screen import line_for_screen
from runlake.public.lists.attributes import Attributes


class User(Attributes):
    """A user, with the fields that the backend sent: ``name``, ``username``, ``email``, ..."""

    # For type checkers; the values are found by `Attributes.__getattr__`.
    id: str
    name: str | None
    username: str | None
    email: str | None
    entity: str | None
    admin: bool | None

    @property
    def api_keys(self) -> list[str]:
        """Names of the user's API keys, never the keys themselves; empty if not loaded."""
        return self._names("apiKeys")

    @property
    def teams(self) -> list[str]:
        """Names of the user's teams; empty if not loaded."""
        return self._names("teams")

    def _names(self, field: str) -> list[str]:
        edges = (self._attrs.get(field) or {}).get("edges") or []
        return [str(edge["node"]["name"]) for edge in edges]

    def __repr__(self) -> str:
        known = (self._attrs.get(field) for field in ("email", "username", "name", "id"))
        return line_for_screen(f"<User {next(filter(None, known), '???')}>")
