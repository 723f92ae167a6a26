"""The console output of a run: a page with the last lines, and all lines as a file."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from runlake.errors import OfflineError
from runlake.pages.responses import data, json_answer
from runlake.pages.run.chart_pages import suffix_of
from runlake.pages.run.shared import Shared, identity_of
from runlake.pages.run.shell import links_of, python_line, run_of, show
from runlake.pages.source import in_thread
from runlake.public.run.console import ConsoleLogLine
from runlake.public.run.run import Run

LAST_LINES = 1_000
SECONDS = 1.0
COLUMNS = {
    "number": pl.Int64(),
    "timestamp": pl.Datetime("us", "UTC"),
    "level": pl.String(),
    "label": pl.String(),
    "content": pl.String(),
}
# Colours and movements of the cursor, such as "\x1b[31m", which only a terminal understands.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_SHARED = Shared(SECONDS)


async def show_console(request: Request) -> Response:
    """Show the last lines of the console output."""
    run = await run_of(request)
    found = await in_thread(tail_of, run)
    return show(
        request,
        run,
        "console",
        "run_console.html",
        lines=found["lines"],
        reason=found["reason"],
        links=links_of(request, "console"),
        python=python_line(request, run, "console_logs()"),
    )


async def send_tail(request: Request) -> Response:
    """Send the last console lines as JSON; an open page adds those that it does not show yet."""
    run = await run_of(request)
    return json_answer(request, await in_thread(tail_of, run))


async def send_console(request: Request) -> Response:
    """Send all lines of the console output as a file."""
    run = await run_of(request)
    lines = await in_thread(lambda: list(run.console_logs()))
    rows = [(one.number, one.timestamp, one.level, one.label, one.content) for one in lines]
    frame = pl.DataFrame(rows, COLUMNS, orient="row")
    return await in_thread(data, request, frame, suffix_of(request), f"{run.id}-console")


def tail_of(run: Run) -> dict[str, Any]:
    """Return the last console lines, or the reason why a run has none.

    If they were read within the last second, the same result is returned.
    """
    return _SHARED.get(identity_of(run), lambda: _read(run))


def _read(run: Run) -> dict[str, Any]:
    try:
        lines = list(run.console_logs(last=LAST_LINES))
    except OfflineError:
        return {"lines": [], "reason": "The console output of this run was not pulled."}
    reason = None if lines else "The run printed nothing, or its output was not captured."
    return {"lines": [_line(one) for one in lines], "reason": reason}


def _line(one: ConsoleLogLine) -> dict[str, Any]:
    time = "" if one.timestamp is None else one.timestamp.strftime("%Y-%m-%d %H:%M:%S")
    return {
        "number": one.number,
        "time": time,
        "level": one.level,
        "label": one.label,
        "text": ESCAPES.sub("", one.content),
    }
