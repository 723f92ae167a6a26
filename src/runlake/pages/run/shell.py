"""The common parts of all pages of a run: the run itself, the head of the page, and the tabs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runlake.exports.manifest import STATES_UNDER_WAY
from runlake.pages.addresses import path_of
from runlake.pages.responses import base_of, is_copy, link_to, moment, page
from runlake.pages.run.shared import path_of as run_path
from runlake.pages.source import in_thread, source_of
from runlake.public.run.run import Run

NAMES = ("entity", "project", "run_id")
# For each tab, the last part of its address, and its label.
TABS = (
    ("", "Charts"),
    ("system", "System"),
    ("config", "Config"),
    ("summary", "Summary"),
    ("console", "Console"),
    ("tables", "Tables"),
    ("media", "Media"),
    ("files", "Files"),
    ("artifacts", "Artifacts"),
)
SUFFIXES = ("json", "csv", "parquet")


async def run_of(request: Request) -> Run:
    """Return the run that a request names."""
    return await in_thread(source_of(request).run, *(request.path_params[name] for name in NAMES))


def show(
    request: Request,
    run: Run,
    tab: str,
    template: str,
    *,
    copied: Iterable[tuple[str, Mapping[str, Any]]] = (),
    **values: Any,
) -> Response:
    """Return the response with a page of a run, including the head and the tabs of the page.

    Parameters
    ----------
    request : Request
        The request.
    run : Run
        The run to show.
    tab : str
        The last part of the address: one of `TABS`.
    template : str
        Name of the template.
    copied : iterable of tuple
        Data that the page's script reads first, which a static copy of the page (files for a plain
        file server) must store; see ``copied`` of `responses.page`.
    **values
        More values for the template.
    """
    parts = [request.path_params[name] for name in NAMES]
    tabs = [(label, _tab(request, parts, name)) for name, label in TABS]
    title = run.name or run.id
    return page(
        request,
        template,
        title=title,
        heading=title,
        run=run,
        facts=_facts_of(run),
        tabs=tabs,
        tab=dict(TABS)[tab],
        is_live=is_live(request, run),
        data_base=f"{base_of(request)}{path_of([*parts[:2], 'runs', parts[2]])}/",
        copied=copied,
        **values,
    )


def is_live(request: Request, run: Run) -> bool:
    """Return whether a run may get new rows while its page is open."""
    return source_of(request).is_live and run.state in STATES_UNDER_WAY and not is_copy(request)


def python_line(request: Request, run: Run, call: str) -> str:
    """Return the line of Python that reads a page's data with a call such as ``frame()``."""
    maker = "runlake.Api()" if source_of(request).is_live else "runlake.Lake()"
    return f"{maker}.run({str(run_path(run))!r}).{call}"


def links_of(request: Request, name: str, **query: str) -> list[tuple[str, str]]:
    """Return the file format and address of each download of a page; empty in a static copy."""
    if is_copy(request):
        return []
    parts = [request.path_params[part] for part in NAMES]
    place = [parts[0], parts[1], "runs", parts[2]]
    return [(suffix, link_to(request, *place, f"{name}.{suffix}", **query)) for suffix in SUFFIXES]


def _tab(request: Request, parts: Sequence[str], name: str) -> str:
    entity, project, run_id = parts
    return link_to(request, entity, project, "runs", run_id, *([name] if name else []))


def _facts_of(run: Run) -> list[tuple[str, str]]:
    """Return the fields of a run that the head of the page shows, as pairs of label and text."""
    fields = run.load()
    user = (fields.get("user") or {}).get("username") or (fields.get("user") or {}).get("name")
    facts = [
        ("Started", moment(fields.get("createdAt"))),
        ("By", user),
        ("Group", fields.get("group")),
        ("Job type", fields.get("jobType")),
        ("Tags", ", ".join(map(str, fields.get("tags") or []))),
        ("Commit", fields.get("commit")),
        ("Notes", fields.get("notes")),
    ]
    return [(label, str(text)) for label, text in facts if text]
