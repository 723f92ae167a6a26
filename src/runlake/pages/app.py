"""One application of all pages."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.pages import artifacts, files, home, static, sweeps
from runlake.pages.addresses import OWN, AsSent
from runlake.pages.login import Gate, Login, OneSource
from runlake.pages.project.routes import routes as project_routes
from runlake.pages.responses import ERRORS, WithHeaders
from runlake.pages.run.routes import routes as run_routes
from runlake.pages.source import Source


def build_pages(source: Source | Login, *, base: str = "") -> ASGIApp:
    """Return the pages of a source as an ASGI application; nothing is read before a request.

    Parameters
    ----------
    source : Source or Login
        Where the pages read, the same for every visitor. Or a login, which knows the source of each
        visitor.
    base : str
        Path below which the pages are: ``/wandb``. Links begin with it.
    """
    # The order decides: the pages of a run come before those of a project and of an entity.
    routes = [*static.routes, Route(f"/{OWN}/{{rest:names}}", _show_nothing)]
    routes += [*files.routes, *artifacts.routes, *sweeps.routes]
    routes += [*run_routes, *project_routes, *home.routes]
    if isinstance(source, Login):
        routes = [*source.routes, *routes]
        gate = Middleware(Gate, login=source)
    else:
        gate = Middleware(OneSource, source=source)
    pages = Starlette(routes=routes, middleware=[gate], exception_handlers=ERRORS)
    pages.router.redirect_slashes = False
    return _Based(AsSent(WithHeaders(pages)), base)


async def _show_nothing(_: Request) -> Response:
    raise HTTPException(404)


class _Based:
    """Names the path below which the pages are."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app = app
        self._base = base.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._base:
            scope = {**scope, "root_path": self._base}
        await self._app(scope, receive, send)
