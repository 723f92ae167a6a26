"""The page with charts of a run's system metrics, and a file to download with their rows.

If there are more than `N_ROWS` rows, the backend sends a sample of them.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from runlake.errors import InvalidArgument, OfflineError
from runlake.history.sample.by_server import fetch_system_rows
from runlake.pages.responses import data, is_copy, json_answer
from runlake.pages.run.chart_pages import COLUMNS, MAX_CHARTS, copied_of, keys_in, suffix_of
from runlake.pages.run.curves import chart_payload
from runlake.pages.run.key_groups import group_keys
from runlake.pages.run.shared import Shared, identity_of, path_of
from runlake.pages.run.shell import is_live, links_of, python_line, run_of, show
from runlake.pages.run.view import View
from runlake.pages.source import in_thread
from runlake.public.lists.attributes import client_of
from runlake.public.run.run import Run

N_ROWS = 2_000
SECONDS = 10.0
PREFIX = "system."
TIMES = ("_runtime", "_timestamp")
# The SDK marks each row of system metrics with the key "_wandb", whose value is always true.
NOT_DRAWN = {*TIMES, "_wandb"}
_SHARED = Shared(SECONDS)


async def show_system(request: Request) -> Response:
    """Show the page for charts of the system metrics; its script reads and draws the charts."""
    run = await run_of(request)
    contents = await in_thread(system_contents, run, is_live=False) if is_copy(request) else None
    call = f"history({N_ROWS}, stream='system')"
    return show(
        request,
        run,
        "system",
        "run_charts.html",
        stream="system-",
        pins=f"{run.entity}/{run.project}",
        copied=copied_of("system-", contents) if contents else (),
        links=links_of(request, "system"),
        python=python_line(request, run, call),
        view=View.of_query(request.query_params),
        search=request.query_params.get("search", ""),
    )


async def send_system_contents(request: Request) -> Response:
    """Send, as JSON, the groups of the system metrics' keys."""
    run = await run_of(request)
    return json_answer(
        request, await in_thread(system_contents, run, is_live=is_live(request, run))
    )


async def send_system_charts(request: Request) -> Response:
    """Send the charts of the requested system metrics as JSON."""
    keys = keys_in(request)[:MAX_CHARTS]
    view = View.of_query(request.query_params)
    run = await run_of(request)
    return await in_thread(json_answer, request, await in_thread(draw_system, run, keys, view))


async def send_system(request: Request) -> Response:
    """Send the backend's sample of the system metrics as a file."""
    run = await run_of(request)
    frame = await in_thread(system_frame, run)
    return await in_thread(data, request, frame, suffix_of(request), f"{run.id}-system")


def system_frame(run: Run) -> pl.DataFrame:
    """Return the rows of system metrics that the backend sends, which are at most `SECONDS` old."""
    return _SHARED.get(identity_of(run), lambda: _read(run))


def system_contents(run: Run, *, is_live: bool) -> dict[str, Any]:
    """Return what a page needs before it draws system metrics, such as groups of keys."""
    reason = None
    try:
        frame = system_frame(run)
    except OfflineError:
        frame, reason = pl.DataFrame(), "The system metrics of this run were not pulled."
    keys = [name for name in frame.columns if name not in NOT_DRAWN and _is_drawn(frame, name)]
    if not keys and reason is None:
        wait = " They come some 15 seconds after its start." if is_live else ""
        reason = f"The run has no system metrics.{wait}"
    # All keys usually begin with "system.", which would make a single group.
    prefix = PREFIX if all(key.startswith(PREFIX) for key in keys) else ""
    groups = group_keys((key.removeprefix(prefix) for key in keys), ".")
    return {
        "groups": [(name, [prefix + key for key in some]) for name, some in groups],
        "axes": {},
        "choices": [name for name in TIMES if name in frame.columns],
        "hidden": [],
        "reason": reason,
        "state": run.state,
        "end": COLUMNS.contents(run).end,
        "rows": frame.height,
    }


def draw_system(run: Run, keys: list[str], view: View) -> dict[str, Any]:
    """Return a chart, or a reason why there is no chart, for each of the given system metrics."""
    frame = system_frame(run)
    axis = view.x or next((name for name in TIMES if name in frame.columns), "")
    if axis not in frame.columns:
        raise InvalidArgument(f"The system metrics have no {axis!r}.")
    charts: list[dict[str, Any]] = []
    for key in keys:
        if key not in frame.columns or key == axis:
            charts.append({"key": key, "reason": f"The run has no system metric {key!r}."})
            continue
        # A backend that has more rows than were requested returns a sample of this size.
        notes = [f"a sample of {frame.height:,} rows"] if frame.height == N_ROWS else []
        try:
            charts.append({"key": key, "payload": chart_payload(frame, key, axis, view, notes)})
        except InvalidArgument as error:
            charts.append({"key": key, "reason": str(error)})
    return {"end": 0, "charts": charts}


def _read(run: Run) -> pl.DataFrame:
    rows = fetch_system_rows(client_of(run), path_of(run), N_ROWS)
    names = dict.fromkeys(name for row in rows for name in row)
    # Not strict: a metric may be an integer in one row and a float in another.
    columns = [pl.Series(n, [row.get(n) for row in rows], strict=False) for n in names]
    return pl.DataFrame(columns)


def _is_drawn(frame: pl.DataFrame, name: str) -> bool:
    return frame.schema[name].is_numeric() or frame.schema[name] == pl.Boolean()
