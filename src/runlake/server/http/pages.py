"""Web pages of the backend, which a package adds by an entry point.

The package gets the address of the API, a directory for its cache, and a function that returns the
user of an API key. Its pages read data by requests to the API, as every client does.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.server.data_directory.custody import PAGES
from runlake.server.http.delivery import NO_GUESSING
from runlake.server.store.accounts import NAME_FORM, user_of_key
from runlake.server.store.database import Database

ENTRY_POINTS = "runlake.pages"
# Start of the addresses that belong to no entity, such as the address of the login page.
OWN = "/-/"
RUN_PAGE = re.compile(r"/[^/]+/[^/]+/runs/[^/]+")
LOGGER = logging.getLogger(__name__)

Mount = Callable[[str, Path, Callable[[str], str | None]], ASGIApp]


class Pages:
    """The application of the web pages; imports the pages' package at the first request.

    Parameters
    ----------
    base_url : str
        Address of the API.
    data_dir : Path
        The data directory.
    database : Database
        Contains the users and their keys.
    """

    def __init__(self, base_url: str, data_dir: Path, database: Database) -> None:
        self._base_url = base_url
        self._directory = data_dir / PAGES
        self._database = database
        self._app: ASGIApp | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page."""
        if self._app is None:
            # Load only one application: each has its own sessions, so a second one would not know
            # the visitors of the first.
            async with self._loading:
                if self._app is None:
                    # In a thread, because importing takes a second and other requests must go on.
                    self._app = await run_in_threadpool(self._load)
        await self._app(scope, receive, send)

    def _load(self) -> ASGIApp:
        for entry in entry_points(group=ENTRY_POINTS):
            try:
                mount: Mount = entry.load()
            except ImportError as error:
                LOGGER.warning("The pages %r cannot be shown: %s.", entry.name, error)
                continue
            self._directory.mkdir(mode=0o700, exist_ok=True)
            return mount(self._base_url, self._directory, self._user_of_key)
        return show_names

    def _user_of_key(self, key: str) -> str | None:
        user = user_of_key(self._database, key)
        return None if user is None else user.name


class PagesRoute(BaseRoute):
    """Passes requests for web pages to their application; no other request matches this route.

    Parameters
    ----------
    pages : ASGIApp
        Application that answers requests for pages.
    """

    def __init__(self, pages: ASGIApp) -> None:
        self._pages = pages

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for a page, as Starlette's type `Match`."""
        is_page = scope["type"] == "http" and is_page_address(scope["method"], scope["path"])
        return (Match.FULL if is_page else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a page."""
        await self._pages(scope, receive, send)


def is_page_address(method: str, path: str) -> bool:
    """Return whether a request may be for a page: its path begins with the name of an entity.

    The path ``/``, and paths that begin with `OWN`, also belong to pages.

    Examples
    --------
    >>> is_page_address("GET", "/team/p/workspace"), is_page_address("POST", "/team/p/workspace")
    (True, False)
    """
    if path.startswith(OWN):
        return True
    entity = path.removeprefix("/").partition("/")[0]
    return method in {"GET", "HEAD"} and (path == "/" or NAME_FORM.fullmatch(entity) is not None)


async def show_names(scope: Scope, receive: Receive, send: Send) -> None:
    """Show only the path of a run; used for all pages if no package of pages is installed."""
    path: str = scope["path"]
    is_run = RUN_PAGE.fullmatch(path) is not None
    names = html.escape(path.strip("/") if is_run else "Not found")
    text = "Read it with <code>runlake</code>." if is_run else "There is no such page."
    answer = HTMLResponse(
        f"<!doctype html><title>{names}</title><h1>{names}</h1><p>{text}</p>",
        200 if is_run else 404,
        # A name can be any text. The policy forbids scripts even if the escaping had a fault.
        {"Content-Security-Policy": "default-src 'none'", **NO_GUESSING},
    )
    await answer(scope, receive, send)
