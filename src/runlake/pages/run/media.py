"""Media that a run logged, step by step: images are shown, other media can be downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runlake.errors import InvalidArgument, RunlakeError
from runlake.history.media import MediaItem, fetch_media, media_items
from runlake.notebook.pictures import data_url, image_type
from runlake.pages.responses import attachment, is_copy, json_answer, tagged
from runlake.pages.run.chart_pages import COLUMNS
from runlake.pages.run.logged import MEDIA_TYPES, choose_cell, logged_cells, logged_keys
from runlake.pages.run.shared import path_of
from runlake.pages.run.shell import python_line, run_of, show
from runlake.pages.run.view import whole_in
from runlake.pages.source import in_thread
from runlake.public.lists.attributes import client_of
from runlake.public.run.run import Run

MAX_ITEMS = 64
# Larger pictures are not part of a static copy.
MAX_COPIED_BYTES = 2_000_000


async def show_media(request: Request) -> Response:
    """Show the media that were logged under a key, with a slider for the step."""
    run = await run_of(request)
    keys = await in_thread(logged_keys, COLUMNS, run, MEDIA_TYPES)
    key = request.query_params.get("key") or (keys[0] if keys else None)
    found: dict[str, Any] = {"steps": [], "step": None, "items": [], "left_out": 0}
    if key is not None:
        found = await in_thread(media_at, run, key, whole_in(request.query_params, "step"))
    if is_copy(request) and key is not None:
        found = await in_thread(_with_pictures, run, key, found)
    arguments = repr(key) if found["step"] is None else f"{key!r}, step={found['step']}"
    return show(
        request,
        run,
        "media",
        "run_media.html",
        keys=keys,
        key=key,
        found=found,
        links=[],
        python=python_line(request, run, f"media({arguments})") if key is not None else "",
    )


async def send_media(request: Request) -> Response:
    """Send the steps of a key, and descriptions of the media files at one step, as JSON."""
    run = await run_of(request)
    key, step = request.query_params.get("key", ""), whole_in(request.query_params, "step")
    return json_answer(request, await in_thread(media_at, run, key, step))


async def send_media_file(request: Request) -> Response:
    """Send one media file; browsers show an image, and save any other file, such as HTML."""
    run = await run_of(request)
    query = request.query_params
    key, step = query.get("key", ""), whole_in(query, "step")
    item = await in_thread(_item_at, run, key, step, whole_in(query, "index") or 0)
    paths = await in_thread(fetch_media, client_of(run), path_of(run), [item])
    content = await in_thread(paths[0].read_bytes)
    kind = image_type(content)
    name = PurePosixPath(item.name or "file").name
    answer = Response(content, media_type=kind or "application/octet-stream")
    if kind is None:
        # Shown as a page of this site, logged HTML could read all that the visitor may read.
        answer.headers["Content-Disposition"] = attachment(name)
    return tagged(request, answer)


def media_at(run: Run, key: str, step: int | None) -> dict[str, Any]:
    """Return the steps at which a key has media, and the media at one of these steps.

    `choose_cell` chooses this step: the last at or before ``step`` if there is one.
    """
    cells = logged_cells(COLUMNS, run, key, MEDIA_TYPES)
    chosen = choose_cell(cells, step)
    items = [] if chosen is None else _items(chosen[1])
    return {
        "steps": [one for one, _ in cells if one is not None],
        "step": None if chosen is None else chosen[0],
        "items": [_described(item) for item in items[:MAX_ITEMS]],
        "left_out": max(0, len(items) - MAX_ITEMS),
    }


def _with_pictures(run: Run, key: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the result of `media_at` with the pictures as data URLs, for a static copy."""
    shown = []
    for index, described in enumerate(found["items"]):
        item = _item_at(run, key, found["step"], index)
        try:
            (path,) = fetch_media(client_of(run), path_of(run), [item], max_bytes=MAX_COPIED_BYTES)
            content = path.read_bytes()
        except RunlakeError:
            content = b""
        kind = image_type(content)
        shown.append({**described, "src": data_url(kind, content) if kind else ""})
    # A copy has the files of one step, so the page shows no slider.
    return {**found, "items": shown, "steps": []}


def _item_at(run: Run, key: str, step: int | None, index: int) -> MediaItem:
    chosen = choose_cell(logged_cells(COLUMNS, run, key, MEDIA_TYPES), step)
    items = [] if chosen is None else _items(chosen[1])
    if index >= len(items):
        raise HTTPException(404)
    return items[index]


def _items(cell: Mapping[str, Any]) -> list[MediaItem]:
    try:
        return media_items(cell)
    except InvalidArgument:
        # The cell names no file.
        return []


def _described(item: MediaItem) -> dict[str, Any]:
    caption = item.facts.get("caption")
    return {
        "kind": item.kind,
        "name": PurePosixPath(item.name or str(item.facts.get("artifact_path", ""))).name,
        "caption": caption if isinstance(caption, str) else "",
        "width": _whole(item.facts.get("width")),
        "height": _whole(item.facts.get("height")),
    }


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
