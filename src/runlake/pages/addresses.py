"""Builds and routes the URL paths of pages, in which names such as run ids are percent-encoded.

Servers decode a path before a request is routed; a slash in a name would then look like the end of
the name. So requests are routed by the path as it was sent, and each name is decoded separately.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes, urlencode

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

# First part of the addresses that belong to no entity; an entity cannot have this name.
OWN = "-"


def encoded(name: str) -> str:
    """Return a name percent-encoded, for use as one segment of a URL path.

    Examples
    --------
    >>> encoded("a/b?c")
    'a%2Fb%3Fc'
    """
    return quote(name, safe="", errors="surrogatepass")


def decoded(text: str) -> str:
    """Decode a percent-encoded segment of a URL path, and return the name."""
    content = unquote_to_bytes(text)
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return content.decode("utf-8", "replace")


def path_of(parts: Iterable[str]) -> str:
    """Return a URL path with the given names, each percent-encoded, without a slash at the end.

    Examples
    --------
    >>> path_of(["team", "a/b", "runs", "1"])
    '/team/a%2Fb/runs/1'
    """
    return "".join(f"/{encoded(part)}" for part in parts)


def with_query(path: str, query: dict[str, str]) -> str:
    """Return a URL path with a query string; parameters with empty values are left out."""
    named = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(named, errors='surrogatepass')}" if named else path


class _Name(Convertor[str]):
    """The route parameter type ``name``: one path segment, which is percent-decoded."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return decoded(value)

    def to_string(self, value: str) -> str:
        return encoded(value)


class _Names(Convertor[str]):
    """The route parameter type ``names``: the rest of a path with slashes, percent-decoded."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return decoded(value)

    def to_string(self, value: str) -> str:
        return quote(value, errors="surrogatepass")


register_url_convertor("name", _Name())
register_url_convertor("names", _Names())


class AsSent:
    """Lets an application route requests by the path as the client sent it, still percent-encoded.

    Parameters
    ----------
    app : ASGIApp
        The application; its routes use the convertors ``name`` and ``names``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw is not None:
            path = raw.partition(b"?")[0].decode("latin-1") or "/"
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)
