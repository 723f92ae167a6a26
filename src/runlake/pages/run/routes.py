"""The addresses of a run's pages and data, and the functions that answer them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.pages.run import chart_pages, console, live, media, system, tables, values

RUN = "/{entity:name}/{project:name}/runs/{run_id:name}"
Handler = Callable[[Request], Awaitable[Response]]

PAGES: dict[str, Handler] = {
    "": chart_pages.show_charts,
    "/": chart_pages.show_charts,
    "/workspace": chart_pages.show_charts,
    "/overview": values.show_config,
    "/system": system.show_system,
    "/config": values.show_config,
    "/summary": values.show_summary,
    "/console": console.show_console,
    "/logs": console.show_console,
    "/tables": tables.show_tables,
    "/media": media.show_media,
}
# Data that the scripts of the pages read.
ANSWERS: dict[str, Handler] = {
    "/contents.json": chart_pages.send_contents,
    "/charts.json": chart_pages.send_charts,
    "/system-contents.json": system.send_system_contents,
    "/system-charts.json": system.send_system_charts,
    "/tail.json": console.send_tail,
    "/media.json": media.send_media,
    "/media-file": media.send_media_file,
    "/events": live.send_events,
}
# Data that visitors download: JSON, CSV and Parquet.
DATA: dict[str, Handler] = {
    "history": chart_pages.send_history,
    "keys": chart_pages.send_keys,
    "system": system.send_system,
    "config": values.send_config,
    "summary": values.send_summary,
    "console": console.send_console,
    "tables": tables.send_table,
}

routes = [
    *(Route(RUN + path, handler) for path, handler in {**ANSWERS, **PAGES}.items()),
    *(Route(f"{RUN}/{name}.{{suffix:name}}", handler) for name, handler in DATA.items()),
]
