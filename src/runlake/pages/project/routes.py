"""Handlers for the addresses of a project's pages and of their data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from runlake.errors import (
    BackendError,
    InvalidArgument,
    NotCached,
    ProjectNotFoundError,
    RunlakeError,
)
from runlake.pages.addresses import path_of
from runlake.pages.project import compare, parallel
from runlake.pages.project.colors import color_of_run
from runlake.pages.project.columns import entries
from runlake.pages.project.conditions import condition, joined, parse_filter
from runlake.pages.project.curves import Range, read_charts
from runlake.pages.project.listing import (
    CONFIG,
    SUMMARY,
    RunPage,
    check_project,
    read_named,
    read_page,
    whole_answer,
)
from runlake.pages.project.python_line import compare_line, table_line
from runlake.pages.project.table import Found, chart_questions, page_values, read_view
from runlake.pages.project.view import MAX_PER_PAGE, PER_PAGE, ProjectView, is_canonical
from runlake.pages.responses import (
    DATA,
    base_of,
    data,
    is_copy,
    json_answer,
    link_to,
    page,
)
from runlake.pages.source import in_thread, source_of

# Fields of the form that adds a condition to the filter.
TYPED = ("where", "is", "value")
# Statuses with which some backends refuse a wrong filter or order; most answer with status 200.
REFUSED = (400, 422)
NAMES = ("runs", "table", "workspace")


async def show_project(request: Request) -> Response:
    """Show the runs of a project as a table, with charts of their curves."""
    entity, project = (request.path_params[name] for name in ("entity", "project"))
    stem, dot, suffix = project.rpartition(".")
    if dot and stem and suffix in DATA:
        try:
            return await _shown(request, entity, project, has_charts=True)
        except (ProjectNotFoundError, NotCached):
            # No project has this name, so the suffix asks for the data of a project.
            return await _table_data(request, entity, stem, suffix)
    return await _shown(request, entity, project, has_charts=True)


async def show_table(request: Request) -> Response:
    """Show the runs of a project as a table."""
    names = (request.path_params[name] for name in ("entity", "project"))
    return await _shown(request, *names, has_charts=False)


async def _shown(request: Request, entity: str, project: str, *, has_charts: bool) -> Response:
    view = ProjectView.from_query(entity, project, request.query_params)
    if is_copy(request):
        # A copy has one page of a project.
        view = view.but(per_page=MAX_PER_PAGE)
    source = source_of(request)
    typed = {name: request.query_params.get(name, "") for name in TYPED}
    address = _address(request, "" if has_charts else "table")
    error: str | None = None
    found = Found(RunPage([], 0))
    try:
        # One address for each view, without the empty fields that browsers send with a form.
        if not is_canonical(request.query_params, TYPED):
            return _canonical(view, typed, address)
        found = await in_thread(read_view, source, view, has_charts=has_charts)
    except RunlakeError as failed:
        if not _is_wrong_view(failed, view):
            raise
        error = str(failed)
        # If the visitor may not read the project, raise the error of a missing project instead.
        await in_thread(check_project, source, view)
    values = page_values(view, found, address=address, is_live=source.is_live, error=error)
    template = "project.html" if has_charts else "project_table.html"
    return page(
        request,
        template,
        400 if error else 200,
        **values,
        **_data_links(request, "table", view),
        typed=typed,
        copied=chart_questions(values),
        data_base=_data_base(request),
        title=project,
    )


def _canonical(view: ProjectView, typed: dict[str, str], address: str) -> Response:
    """Redirect to the canonical address of a view.

    The condition that was typed into the form becomes a part of the filter, and empty values are
    left out of the address.
    """
    if typed["where"]:
        added = condition(typed["where"], typed["is"] or "eq", typed["value"])
        view = view.but(filter=json.dumps(joined([parse_filter(view.filter), added])), page=1)
    return RedirectResponse(_with_query(address, view.query()), 303)


async def show_comparison(request: Request) -> Response:
    """Show the configs and summaries of the selected runs side by side."""
    view, rows = await _selected(request)
    lines = await in_thread(compare.compared, rows, shows_equal=bool(view.all))
    n_lines = len(lines)
    return page(
        request,
        "project_compare.html",
        rows=rows,
        parts=[
            (part, [one for one in lines[: compare.MAX_ROWS] if one.part == part])
            for part in (CONFIG, SUMMARY)
        ],
        n_more=max(0, n_lines - compare.MAX_ROWS),
        missing=[one for one in view.run if one not in {row.id for row in rows}],
        view=view,
        looks=_colors(rows),
        toggle=f"{_address(request, 'compare')}?{view.but(all='' if view.all else '1').query()}",
        back=_with_query(_address(request), view.but(all="").query()),
        python=compare_line(view, is_live=source_of(request).is_live),
        **_data_links(request, "compare", view),
        data_base=_data_base(request),
        title="Compare runs",
    )


async def show_parallel(request: Request) -> Response:
    """Show runs as lines in parallel coordinates."""
    view = _view(request)
    source = source_of(request)
    error = None
    found = RunPage([], 0)
    try:
        found = await in_thread(read_page, source, _whole(view))
    except RunlakeError as failed:
        if not _is_wrong_view(failed, view):
            raise
        error = str(failed)
    columns = [name for name in view.column if name.partition(".")[0] in (CONFIG, SUMMARY)]
    names = columns or parallel.default_axes(found.rows)
    offered = [*entries(found.rows, CONFIG), *entries(found.rows, SUMMARY)]
    return page(
        request,
        "project_parallel.html",
        400 if error else 200,
        picture=parallel.picture_of(found.rows, names),
        names=names,
        offered=list(dict.fromkeys([*names, *offered]))[:400],
        total=found.total,
        error=error,
        view=view,
        kept=view.pairs(without=("column", "page", "per_page")),
        address=_address(request, "parallel"),
        back=_with_query(_address(request), view.query()),
        python=table_line(view, is_live=source.is_live) if error is None else "",
        **_data_links(request, "table", view),
        data_base=_data_base(request),
        title="Parallel coordinates",
    )


async def send_charts(request: Request) -> Response:
    """Send the charts of the requested keys as JSON, for the script of the page."""
    query = request.query_params
    view = _view(request)
    part = Range.from_texts(query.get("low"), query.get("high"))
    if not view.key:
        raise InvalidArgument("Name a key: charts.json?key=loss.")
    if not view.run and not view.is_grouped:
        first = await in_thread(read_page, source_of(request), view.but(per_page=PER_PAGE))
        ids = [row.id for row in first.rows if row.id not in view.hide]
        view = view.but(run=tuple(ids[:10]))
    charts = await in_thread(read_charts, source_of(request), view, view.key, part)
    return await in_thread(json_answer, request, {"charts": charts})


async def send_table(request: Request) -> Response:
    """Send all runs that match a view as a JSON, CSV or Parquet file."""
    names = [request.path_params[name] for name in ("entity", "project", "suffix")]
    return await _table_data(request, *names)


async def _table_data(request: Request, entity: str, project: str, suffix: str) -> Response:
    if suffix not in DATA:
        raise HTTPException(404)
    view = ProjectView.from_query(entity, project, request.query_params)
    frame = await _answered(view, lambda: whole_answer(source_of(request), view))
    return await in_thread(data, request, frame, suffix, project)


async def send_comparison(request: Request) -> Response:
    """Send the comparison of the selected runs as a JSON, CSV or Parquet file."""
    suffix = request.path_params["suffix"]
    view, rows = await _selected(request)
    frame = compare.frame_of(rows, compare.compared(rows, shows_equal=bool(view.all)))
    return data(request, frame, suffix, f"{view.project}-comparison")


async def _selected(request: Request) -> tuple[ProjectView, list[Any]]:
    view = _view(request)
    if len(view.run) > compare.MAX_COMPARED:
        view = view.but(run=view.run[: compare.MAX_COMPARED])
    source = source_of(request)
    rows = await in_thread(read_named, source, view, view.run)
    if not rows:
        await in_thread(check_project, source, view)
    return view, rows


async def _answered(view: ProjectView, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Call ``read`` in a thread, and return its frame.

    Raises
    ------
    InvalidArgument
        If the filter or the order of the view is wrong.
    """
    try:
        return await in_thread(read)
    except RunlakeError as error:
        if _is_wrong_view(error, view):
            raise InvalidArgument(str(error)) from error
        raise


def _is_wrong_view(error: RunlakeError, view: ProjectView) -> bool:
    """Return whether an error is about the filter or the order of a view, not about the backend."""
    if isinstance(error, InvalidArgument):
        return True
    # A backend that refuses a view without any choice has another problem than the view.
    is_refusal = type(error) is BackendError and error.facts.get("status") in (None, *REFUSED)
    return is_refusal and view != ProjectView(view.entity, view.project)


def _view(request: Request) -> ProjectView:
    entity, project = (request.path_params[name] for name in ("entity", "project"))
    return ProjectView.from_query(entity, project, request.query_params)


def _whole(view: ProjectView) -> ProjectView:
    return view.but(page=1, per_page=parallel.MAX_LINES)


def _colors(rows: Sequence[Any]) -> dict[str, str]:
    return {row.id: color_of_run(row.id) for row in rows}


def _address(request: Request, *more: str) -> str:
    parts = [request.path_params[name] for name in ("entity", "project")]
    return link_to(request, *parts, *filter(None, more))


def _data_base(request: Request) -> str:
    parts = [request.path_params[name] for name in ("entity", "project")]
    return f"{base_of(request)}{path_of(parts)}/"


def _with_query(address: str, query: str) -> str:
    return f"{address}?{query}" if query else address


def _data_links(request: Request, name: str, view: ProjectView) -> dict[str, Any]:
    """Return the template value ``data_links``: the format and address of each download."""
    query = "" if is_copy(request) else view.but(page=1, per_page=PER_PAGE).query()
    links = [(suffix, _address(request, f"{name}.{suffix}")) for suffix in DATA]
    return {"data_links": [(suffix, _with_query(link, query)) for suffix, link in links]}


PLACE = "/{entity:name}/{project:name}"
routes = [
    *(Route(f"{PLACE}/{name}.{{suffix:name}}", send_table) for name in NAMES),
    Route(f"{PLACE}/charts.json", send_charts),
    Route(f"{PLACE}/compare.{{suffix:name}}", send_comparison),
    Route(f"{PLACE}/parallel.{{suffix:name}}", send_table),
    Route(f"{PLACE}/compare", show_comparison),
    Route(f"{PLACE}/parallel", show_parallel),
    Route(f"{PLACE}/table", show_table),
    Route(f"{PLACE}/workspace", show_project),
    Route(f"{PLACE}/runs", show_table),
    Route(f"{PLACE}/", show_project),
    Route(PLACE, show_project),
]
