"""Sends the new rows and the state of a running run to open pages, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runlake.pages.run.followers import Followers, Subscription
from runlake.pages.run.shell import is_live, run_of
from runlake.pages.run.view import whole_in
from runlake.pages.source import in_thread
from runlake.public.run.run import Run

FOLLOWERS = Followers()
# After this time without news, a comment is sent, so that the server notices a closed connection.
SILENCE_SECONDS = 15.0
# Rows that arrive within this time are sent together.
GATHER_SECONDS = 0.1


async def send_events(request: Request) -> Response:
    """Send a stream of events about the new rows and the state of a running run.

    The first step that the page does not have yet is in the header ``Last-Event-ID``, or else in
    the parameter ``cursor``; rows are sent from this step on. The event ``rows`` has the new values
    by key, ``again`` says that the page must read its charts again, ``state`` says that the state
    of the run has changed, and ``over`` says that no more events follow.
    """
    run = await run_of(request)
    if not is_live(request, run):
        # The browser does not connect again after this status.
        return Response(status_code=204)
    last = request.headers.get("last-event-id", "")
    cursor = whole_in({"cursor": last or request.query_params.get("cursor", "")}, "cursor") or 0
    # The second header tells nginx to pass each event on at once, and not to fill a buffer first.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(run, cursor), 200, headers, "text/event-stream")


async def _events(run: Run, cursor: int) -> AsyncIterator[str]:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # Called in other threads, which must not set an asyncio event. When the process ends, the
        # loop may be closed.
        if not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    page = await in_thread(FOLLOWERS.join, run, cursor, wake)
    try:
        yield "retry: 2000\n\n"
        while True:
            try:
                await asyncio.wait_for(news.wait(), SILENCE_SECONDS)
            except TimeoutError:
                yield ":\n\n"
                continue
            await asyncio.sleep(GATHER_SECONDS)
            # Both lines come before the events are collected: rows that arrive from here on wake
            # this loop again, and an end that comes now is sent in the next round.
            news.clear()
            is_over = page.is_over
            for text in _texts(page):
                yield text
            if is_over:
                return
    finally:
        FOLLOWERS.leave(page)


def _texts(page: Subscription) -> list[str]:
    texts = []
    for name, content in page.collect():
        lines = [f"event: {name}", f"data: {json.dumps(content, allow_nan=False)}"]
        if "cursor" in content:
            lines.insert(0, f"id: {content['cursor']}")
        texts.append("\n".join(lines) + "\n\n")
    return texts
