"""Config and summary of a run: a page of values that can be searched, and files with the values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from runlake.notebook.cells import cell_text, flat
from runlake.pages.responses import data, json_answer, plain_json
from runlake.pages.run.chart_pages import suffix_of
from runlake.pages.run.shell import links_of, python_line, run_of, show
from runlake.pages.source import in_thread
from runlake.public.run.run import Run

# More rows would make the page slow; its data, which can be downloaded, have all values.
MAX_ROWS = 5_000
CONFIG, SUMMARY = "config", "summary"
EMPTY = {
    CONFIG: "The run has no config: nothing was passed to wandb.init(config=...).",
    SUMMARY: "The run has no summary: it logged nothing.",
}


async def show_config(request: Request) -> Response:
    """Show the config of a run."""
    return await _show(request, CONFIG)


async def show_summary(request: Request) -> Response:
    """Show the summary of a run."""
    return await _show(request, SUMMARY)


async def send_config(request: Request) -> Response:
    """Send the config of a run as a file."""
    return await _send(request, CONFIG)


async def send_summary(request: Request) -> Response:
    """Send the summary of a run as a file."""
    return await _send(request, SUMMARY)


def _values(run: Run, kind: str) -> Mapping[str, Any]:
    return run.config if kind == CONFIG else run.summary_metrics


def _rows(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return names and values, sorted by name, without the SDK's own entry ``_wandb``."""
    found = [(key, value) for key, value in flat(values) if key.partition(".")[0] != "_wandb"]
    return sorted(found, key=lambda row: row[0])


async def _show(request: Request, kind: str) -> Response:
    run = await run_of(request)
    values = await in_thread(_values, run, kind)
    rows = _rows(values)
    shown = [(key, cell_text(value), _whole_text(value)) for key, value in rows[:MAX_ROWS]]
    call = CONFIG if kind == CONFIG else "summary_metrics"
    return show(
        request,
        run,
        kind,
        "run_values.html",
        kind=kind,
        rows=shown,
        n_rows=len(rows),
        empty=EMPTY[kind],
        links=links_of(request, kind),
        python=python_line(request, run, call),
    )


async def _send(request: Request, kind: str) -> Response:
    run = await run_of(request)
    values = await in_thread(_values, run, kind)
    suffix = suffix_of(request)
    if suffix == "json":
        return json_answer(request, values)
    rows = [(key, json.dumps(plain_json(value))) for key, value in _rows(values)]
    frame = pl.DataFrame(rows, {"key": pl.String(), "value": pl.String()}, orient="row")
    return data(request, frame, suffix, f"{run.id}-{kind}")


def _whole_text(value: Any) -> str:
    """Return the whole text of a value for a tooltip; empty if the page does not shorten it."""
    if isinstance(value, (bool, int, float)) or value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(plain_json(value))
    return text if text != cell_text(value) else ""
