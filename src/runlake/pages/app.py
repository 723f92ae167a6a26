"""The application that serves all pages."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.pages import artifacts, files, home, static, sweeps
from runlake.pages.addresses import OWN, AsSent
from runlake.pages.project.routes import routes as project_routes
from runlake.pages.responses import ERRORS, SOURCE, WithHeaders
from runlake.pages.run.routes import routes as run_routes
from runlake.pages.source import Source


def build_pages(source: Source, *, base: str = "") -> ASGIApp:
    """Return an ASGI application that shows the data of a source; building it reads nothing.

    Parameters
    ----------
    source : Source
        Source of the data; the same for every visitor.
    base : str
        Path below which the pages are mounted, such as ``/wandb``. All links begin with this path.
    """
    return _OneSource(AsSent(WithHeaders(all_pages())), source, base.rstrip("/"))


def all_pages() -> ASGIApp:
    """Return all pages as an ASGI application; each request's scope must have the data source."""
    # The first route that matches is used. So the routes of runs come before those of projects, and
    # the routes of projects before those of entities.
    routes = [*static.routes, Route(f"/{OWN}/{{rest:names}}", _show_nothing)]
    routes += [*files.routes, *artifacts.routes, *sweeps.routes]
    routes += [*run_routes, *project_routes, *home.routes]
    pages = Starlette(routes=routes, exception_handlers=ERRORS)
    pages.router.redirect_slashes = False
    return pages


async def _show_nothing(_: Request) -> Response:
    raise HTTPException(404)


class _OneSource:
    """Adds the data source, and the path below which the pages are mounted, to every request."""

    def __init__(self, app: ASGIApp, source: Source, base: str) -> None:
        self._app = app
        self._source = source
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, SOURCE: self._source}
        if self._base:
            scope["root_path"] = self._base
        await self._app(scope, receive, send)
