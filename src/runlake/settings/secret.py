"""Strings that are never shown: API keys, and URLs that may contain a password."""

from __future__ import annotations

from typing import Any

from runlake.errors import SettingsError


class Secret:
    """A string that repr and log lines do not show, and that cannot be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the string itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A secret cannot be pickled; look it up again where it is needed.")


def checked_key(key: object, source: str) -> Secret:
    """Return an API key as a `Secret`; raise `SettingsError` if malformed.

    ``source`` names the origin of the key in the error.
    """
    if not isinstance(key, str):
        raise SettingsError(
            f"The API key of {source} is of type {type(key).__name__}, not a string.",
            setting="api_key",
            source=source,
        )
    text = key.strip(" ")
    odd = next((c for c in text if not c.isascii() or not c.isprintable() or c == " "), None)
    if odd is not None or not text:
        what = "is blank" if odd is None else f"contains {_kind(odd)}, which no API key does"
        raise SettingsError(
            f"The API key of {source} {what}; copy it again.", setting="api_key", source=source
        )
    return Secret(text)


def _kind(character: str) -> str:
    if character.isspace():
        return "a line break" if character in "\r\n" else "a blank"
    return "a letter beyond ASCII" if character.isprintable() else "a control character"
