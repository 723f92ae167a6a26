"""One application of all pages."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.pages import home, static
from runlake.pages.addresses import AsSent
from runlake.pages.project.routes import routes as project_routes
from runlake.pages.responses import ERRORS, WithHeaders
from runlake.pages.run.routes import routes as run_routes
from runlake.pages.source import SCOPE_KEY, Source


def build_pages(source: Source, *, base: str = "") -> ASGIApp:
    """Return the pages of a source as an ASGI application; nothing is read before a request.

    Parameters
    ----------
    source : Source
        Where the pages read, the same for every visitor.
    base : str
        Path below which the pages are: ``/wandb``. Links begin with it.
    """
    middleware = [Middleware(_WithSource, source=source)]
    # The order decides: a run's page is none of a project's, and a project's none of an entity's.
    routes = [*static.routes, *run_routes, *project_routes, *home.routes]
    pages = Starlette(routes=routes, middleware=middleware, exception_handlers=ERRORS)
    pages.router.redirect_slashes = False
    return _Based(AsSent(WithHeaders(pages)), base)


class _WithSource:
    """Gives every request the same source."""

    def __init__(self, app: ASGIApp, source: Source) -> None:
        self._app = app
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, SCOPE_KEY: self._source}, receive, send)


class _Based:
    """Names the path below which the pages are."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if self._base:
            scope = {**scope, "root_path": self._base}
        await self._app(scope, receive, send)
