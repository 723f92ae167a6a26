"""The entrance to the pages of an embedded backend: only visitors who are logged in see the pages.

The pages are imported when the first visitor comes. The login page is shown at once, because its
code imports neither polars nor the code that reads runs.
"""

from __future__ import annotations

import threading
from functools import cache

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.pages import static
from runlake.pages.addresses import OWN, AsSent, with_query
from runlake.pages.login import LOGIN, LOGOUT, Login
from runlake.pages.responses import (
    DATA,
    ERRORS,
    SOURCE,
    VISITOR,
    WithHeaders,
    base_of,
    json_answer,
    link_to,
)
from runlake.pages.threads import in_thread

STATIC = f"/{OWN}/static/"
LOG_IN_FIRST = "Log in at '{}', or send the API key: curl -u api:KEY."


def build_entrance(login: Login) -> ASGIApp:
    """Return an ASGI application that shows the pages to visitors who have logged in."""
    outside = Starlette(routes=[*static.routes, *login.routes], exception_handlers=ERRORS)
    outside.router.redirect_slashes = False
    return AsSent(WithHeaders(_Entrance(outside, login)))


class _Entrance:
    """Shows the pages to visitors who are logged in, and tells all other visitors to log in.

    Parameters
    ----------
    outside : ASGIApp
        The pages that everybody may see: the login, and scripts and styles.
    login : Login
        Finds out which visitor sent a request.
    """

    def __init__(self, outside: ASGIApp, login: Login) -> None:
        self._outside = outside
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        path = scope["path"].removeprefix(base_of(request))
        if path in {LOGIN, LOGOUT} or path.startswith(STATIC):
            # Import the pages now: a visitor who sees the login form will need them soon.
            threading.Thread(target=_inside, daemon=True).start()
            await self._outside(scope, receive, send)
            return
        visitor = await self._login.visitor(request)
        if visitor is None:
            await _to_login(request)(scope, receive, send)
            return
        inside = await in_thread(_inside)
        await inside({**scope, SOURCE: visitor.source, VISITOR: visitor.name}, receive, send)


@cache
def _inside() -> ASGIApp:
    from runlake.pages.app import all_pages

    return all_pages()


def _to_login(request: Request) -> Response:
    suffix = request.scope["path"].rpartition(".")[2]
    login = link_to(request, OWN, "login")
    if suffix in DATA or request.method not in {"GET", "HEAD"}:
        answer = json_answer(request, {"error": LOG_IN_FIRST.format(login)}, 401)
        answer.headers["WWW-Authenticate"] = "Basic"
        return answer
    query = request.scope.get("query_string", b"").decode("latin-1")
    wanted = request.scope["path"] + (f"?{query}" if query else "")
    home = base_of(request) + "/"
    address = login if wanted == home else with_query(login, {"next": wanted})
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
