"""Answers requests for the page with a run's charts, and for the data of this page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from runlake.errors import InvalidArgument
from runlake.history.frames.key_table import key_table
from runlake.pages.responses import data, is_copy, json_answer
from runlake.pages.run.columns import Columns, read_frame
from runlake.pages.run.curves import draw_charts
from runlake.pages.run.key_groups import (
    AXES,
    declared_axes,
    drawn_keys,
    explain_no_charts,
    group_keys,
    hidden_keys,
)
from runlake.pages.run.shell import is_live, links_of, python_line, run_of, show
from runlake.pages.run.view import View, whole_in
from runlake.pages.source import in_thread
from runlake.public.run.run import Run
from runlake.values import Question

# Maximum number of charts in one answer; a screen shows fewer.
MAX_CHARTS = 64
# Maximum number of points of a curve in a static copy, which cannot read more points for a zoom.
COPIED_POINTS = 2_000
COLUMNS = Columns()


async def show_charts(request: Request) -> Response:
    """Show the page for the charts of a run; its script reads and draws the charts."""
    run = await run_of(request)
    contents = None
    if is_copy(request):
        contents = await in_thread(contents_of, COLUMNS, run, 0, is_live=False)
    return show(
        request,
        run,
        "",
        "run_charts.html",
        stream="",
        pins=f"{run.entity}/{run.project}",
        copied=copied_of("", contents) if contents else (),
        links=links_of(request, "history"),
        python=python_line(request, run, "frame()"),
        view=View.of_query(request.query_params),
        search=request.query_params.get("search", ""),
    )


def copied_of(stream: str, contents: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the data requests whose responses a static copy stores, as names and parameters.

    The first request asks for the keys, and each further request for the chart of one key.
    ``run.js`` sends the same requests. ``stream`` is empty, or "system-" for system metrics.
    """
    keys = [key for _, some in contents["groups"] for key in some]
    charts = [(f"{stream}charts", {"key": [key], "points": COPIED_POINTS}) for key in keys]
    return [(f"{stream}contents", {}), *charts]


async def send_contents(request: Request) -> Response:
    """Send, as JSON, the groups of keys that have charts."""
    run, end = await run_of(request), whole_in(request.query_params, "end") or 0
    found = await in_thread(contents_of, COLUMNS, run, end, is_live=is_live(request, run))
    return await in_thread(json_answer, request, found)


def contents_of(columns: Columns, run: Run, end: int, *, is_live: bool) -> dict[str, Any]:
    """Return what a page needs before it draws charts, such as key groups and x axes."""
    contents = columns.contents(run, end)
    keys = drawn_keys(contents.facts)
    metrics = run.metrics()
    axes = declared_axes(keys, metrics)
    return {
        "groups": group_keys(keys),
        "axes": axes,
        "choices": list(dict.fromkeys([*AXES, *axes.values()])),
        "hidden": hidden_keys(keys, metrics),
        "reason": explain_no_charts(contents.facts, is_live=is_live),
        "state": run.state,
        "end": contents.end,
        "rows": contents.n_rows,
    }


async def send_charts(request: Request) -> Response:
    """Send the charts of the requested keys as JSON."""
    keys = keys_in(request)
    if not keys:
        raise InvalidArgument("Name at least one key: ?key=loss.")
    if len(keys) > MAX_CHARTS:
        raise InvalidArgument(f"Name at most {MAX_CHARTS} keys, not {len(keys):,}.")
    view = View.of_query(request.query_params)
    run = await run_of(request)
    charts = await in_thread(draw_charts, COLUMNS, run, keys, view)
    return await in_thread(json_answer, request, charts)


async def send_history(request: Request) -> Response:
    """Send the history rows of the requested keys, or of all keys, as a file."""
    keys = keys_in(request)
    low, high = (whole_in(request.query_params, name) for name in ("min_step", "max_step"))
    question = Question.from_arguments(keys or None, "any", low, high)
    run = await run_of(request)
    frame, json_keys = await in_thread(read_frame, run, question)
    rows = await in_thread(as_values, frame, json_keys, request)
    return await in_thread(data, request, rows, suffix_of(request), f"{run.id}-history")


async def send_keys(request: Request) -> Response:
    """Send a table of the run's keys: kind, count, steps, minimum and maximum of each key."""
    run = await run_of(request)
    contents = await in_thread(COLUMNS.contents, run)
    return data(request, key_table(contents.facts.values()), suffix_of(request), f"{run.id}-keys")


def keys_in(request: Request) -> list[str]:
    """Return the keys that the query of a request names, without duplicates."""
    return list(dict.fromkeys(request.query_params.getlist("key")))


def suffix_of(request: Request) -> str:
    """Return the file format at the end of the requested address, such as ``csv``."""
    return str(request.path_params["suffix"])


def as_values(
    frame: pl.DataFrame, json_keys: frozenset[str], request: Request
) -> pl.DataFrame | Sequence[dict[str, Any]]:
    """Return rows as `responses.data` takes them: as dicts for a JSON file, else as a frame.

    In the dicts, the JSON text in the columns ``json_keys`` is parsed.
    """
    if suffix_of(request) != "json":
        return frame
    from runlake.history.sample.downsample import rows_of

    return rows_of(frame, json_keys)
