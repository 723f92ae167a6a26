"""The first page, and the page of an entity: lists of projects."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from runlake.pages.responses import is_copy, link_to, page
from runlake.pages.source import in_thread, source_of


async def show_home(request: Request) -> Response:
    """Show the entities; redirect to the page of the entity if there is only one."""
    entities = await in_thread(source_of(request).entities)
    if len(entities) == 1 and not is_copy(request):
        return RedirectResponse(link_to(request, entities[0]), 303)
    return page(request, "home.html", entities=entities)


async def show_entity(request: Request) -> Response:
    """Show the projects of an entity."""
    entity = request.path_params["entity"]
    source = source_of(request)
    projects = await in_thread(source.projects, entity)
    if not projects and entity not in await in_thread(source.entities):
        raise HTTPException(404)
    return page(request, "entity.html", projects=projects, title=entity)


routes = [
    Route("/", show_home),
    Route("/{entity:name}", show_entity),
    Route("/{entity:name}/", show_entity),
    Route("/{entity:name}/projects", show_entity),
]
