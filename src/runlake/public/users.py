"""Who is asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runlake.public.attributes import Attributes


class User(Attributes):
    """A user of a backend, with the fields that it shows: ``name``, ``username``, ``email``, ...

    Parameters
    ----------
    attrs : mapping
        Fields by their names in GraphQL.
    """

    def __init__(self, attrs: Mapping[str, Any]) -> None:
        super().__init__(dict(attrs))

    @property
    def api_keys(self) -> list[str]:
        """Names of the user's API keys, not the keys."""
        return _names(self._attrs.get("apiKeys"))

    @property
    def teams(self) -> list[str]:
        """Names of the teams that the user is in."""
        return _names(self._attrs.get("teams"))

    def __repr__(self) -> str:
        for name in ("email", "username", "id"):
            if self._attrs.get(name):
                return f"<User {self._attrs[name]}>"
        return f"<User {self._attrs.get('name') or '???'!r}>"


def _names(connection: Mapping[str, Any] | None) -> list[str]:
    edges = (connection or {}).get("edges") or []
    return [edge["node"]["name"] for edge in edges if edge.get("node")]
