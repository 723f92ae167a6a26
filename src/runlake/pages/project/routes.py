"""Addresses of a project's pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.pages.responses import page
from runlake.pages.source import in_thread, source_of

PAGE_OF_RUNS = 50


async def show_project(request: Request) -> Response:
    """Show the runs of a project."""
    names = [request.path_params[name] for name in ("entity", "project")]
    runs = await in_thread(source_of(request).runs, *names)
    rows = await in_thread(lambda: [(run.id, run.name, run.state) for run in runs[:PAGE_OF_RUNS]])
    return page(request, "project.html", rows=rows, title=names[1])


routes = [
    Route("/{entity:name}/{project:name}", show_project),
    Route("/{entity:name}/{project:name}/workspace", show_project),
]
