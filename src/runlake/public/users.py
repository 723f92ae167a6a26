"""Users of a backend, and teams of users."""

from __future__ import annotations

from typing import Any

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
        """Names of the user's API keys, without the secrets; empty if the backend sent no names."""
        return self._names("apiKeys")

    @property
    def teams(self) -> list[str]:
        """Names of the user's teams; empty if the backend sent no teams."""
        return self._names("teams")

    def _names(self, field: str) -> list[str]:
        edges = (self._attrs.get(field) or {}).get("edges") or []
        return [str(edge["node"]["name"]) for edge in edges]

    def __repr__(self) -> str:
        known = (self._attrs.get(field) for field in ("email", "username", "name", "id"))
        return line_for_screen(f"<User {next(filter(None, known), '???')}>")


class Member(Attributes):
    """A member of a team, with the fields that the backend sent: ``name``, ``admin``, ..."""

    # For type checkers; the values are found by `Attributes.__getattr__`.
    name: str
    username: str | None
    email: str | None
    admin: bool | None
    account_type: str | None

    def __init__(self, team: str, attrs: dict[str, Any]) -> None:
        super().__init__(attrs)
        self.team = team

    def __repr__(self) -> str:
        return line_for_screen(f"<Member {self.name} ({self._attrs.get('accountType')})>")


class Team(Attributes):
    """A team, or the entity of a single user, with the fields that the backend sent.

    Parameters
    ----------
    attrs : dict
        Fields by their names in GraphQL.
    """

    # For type checkers; the values are found by `Attributes.__getattr__`.
    id: str
    name: str
    is_team: bool
    entity_type: str | None
    storage_bytes: int

    @property
    def members(self) -> list[Member]:
        """The members of the team; the entity of a single user has only this user."""
        return [Member(self.name, member) for member in self._attrs.get("members") or []]

    def __repr__(self) -> str:
        return line_for_screen(f"<Team {self.name}>")
