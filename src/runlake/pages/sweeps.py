"""Sweeps of a project: a list, and a page for each sweep."""

from __future__ import annotations

from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.errors import MissingExtra
from runlake.pages.responses import page
from runlake.pages.source import Source, in_thread, source_of
from runlake.public.sweeps import Sweep

MAX_LISTED = 500
NOT_PULLED = "A pull stores runs, and no sweeps; the runs of a sweep are in the list of runs."
PROJECT = "/{entity:name}/{project:name}"


async def show_sweeps(request: Request) -> Response:
    """Show the sweeps of a project."""
    names = (request.path_params["entity"], request.path_params["project"])

    def read(source: Source) -> Any:
        project = source.project(*names)
        if project is None:
            return [], NOT_PULLED
        return list(islice(project.sweeps(), MAX_LISTED)), ""

    sweeps, reason = await in_thread(read, source_of(request))
    # Older backends do not have all fields.
    rows = [(one.id, title_of(one), one.load()) for one in sweeps]
    return page(request, "sweeps.html", rows=rows, reason=reason, title=f"Sweeps of {names[1]}")


async def show_sweep(request: Request) -> Response:
    """Show a sweep: its config and its runs, the best first."""
    names = [request.path_params[name] for name in ("entity", "project", "sweep_id")]

    def read(source: Source) -> Any:
        sweep = source.sweep(*names)
        order = _order(sweep)
        runs = source.runs(
            *names[:2], filters={"sweep": sweep.id}, order=order or "+created_at", per_page=100
        )
        found = [(run, _metric(sweep, run)) for run in runs[:MAX_LISTED]]
        return sweep, order, found

    sweep, order, runs = await in_thread(read, source_of(request))
    return page(
        request,
        "sweep.html",
        sweep=sweep,
        order=order,
        runs=runs,
        fields=sweep.load(),
        heading=title_of(sweep),
        title=title_of(sweep),
    )


def title_of(sweep: Sweep) -> str:
    """Return a sweep's name, or its id if reading the name needs the missing extra ``sweeps``."""
    try:
        return sweep.name
    except MissingExtra:
        return sweep.id


def _order(sweep: Sweep) -> str | None:
    try:
        return sweep.order
    except MissingExtra:
        return None


def _metric(sweep: Sweep, run: Any) -> Any:
    order = _order(sweep)
    if order is None:
        return None
    key = order.partition(".")[2]
    value: Any = run.summary.get(key)
    return value


routes = [
    Route(f"{PROJECT}/sweeps", show_sweeps),
    Route(f"{PROJECT}/sweeps/{{sweep_id:name}}", show_sweep),
    Route(f"{PROJECT}/sweeps/{{sweep_id:name}}/{{tab:name}}", show_sweep),
]
