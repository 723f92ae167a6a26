"""Addresses of a run's page and of its data."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.pages.responses import page
from runlake.pages.source import in_thread, source_of


async def show_run(request: Request) -> Response:
    """Show a run."""
    names = [request.path_params[name] for name in ("entity", "project", "run_id")]
    run = await in_thread(source_of(request).run, *names)
    return page(request, "run.html", name=run.name, title=run.name)


routes = [Route("/{entity:name}/{project:name}/runs/{run_id:name}", show_run)]
