"""Rows that are in no export yet, page by page from the backend."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from runlake.backend import documents
from runlake.backend.client import Client
from runlake.backend.graphql import query_run
from runlake.errors import ProtocolError
from runlake.history.cells import flatten
from runlake.history.plan import LIVE_PAGE_ROWS, LivePage, Plan
from runlake.values import STEP, Projection, Row, RunPath, StepRange

PAGES_AHEAD = 4


def fetch_page(client: Client, plan: Plan, page: LivePage) -> dict[int, Row]:
    """Fetch the live rows of one page.

    Parameters
    ----------
    client : Client
        The backend.
    plan : Plan
        Names run and keys.
    page : LivePage
        Steps to ask for.

    Returns
    -------
    dict of int to dict
        Rows by step, nested keys dotted, nulls left out. Steps that the backend listed as live but
        exported meanwhile may be missing.
    """
    # The backend's key filter looks at one source; where sources overlap, only the merged row can
    # tell whether it has all the keys.
    can_filter = bool(plan.projection.keys) and plan.projection.how == "all" and page.is_alone
    fetch = _fetch_filtered if can_filter else _fetch_page
    found = fetch(client, plan.run, plan.projection, page.start, page.stop, len(page.steps))
    return {row[STEP]: row for row in found}


def fetch_pages(
    read: Callable[[LivePage], list[Row]], pages: Iterable[LivePage]
) -> Iterator[list[Row]]:
    """Yield what is read of pages, in their order, some of them ahead of the consumer."""
    executor = ThreadPoolExecutor(PAGES_AHEAD, thread_name_prefix="runlake-live")
    waiting: deque[Future[list[Row]]] = deque()
    try:
        for page in pages:
            waiting.append(executor.submit(read, page))
            if len(waiting) > PAGES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def walk_live_rows(client: Client, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:
    """Yield the rows of a range of steps, page after page, none of them empty."""
    start = steps.start
    stop = steps.stop if steps.stop is not None else 2**62
    while start < stop:
        rows = _request_page(client, plan.run, start, stop, LIVE_PAGE_ROWS)
        if rows:
            yield rows
        if len(rows) < LIVE_PAGE_ROWS:
            return
        start = rows[-1][STEP] + 1


def _fetch_page(
    client: Client, run: RunPath, projection: Projection, start: int, stop: int, n_rows: int
) -> list[Row]:
    del projection
    rows: list[Row] = []
    # A backend that answers with exported rows too fills the page early; then go on behind it.
    limit = n_rows + 1
    while start < stop:
        page = _request_page(client, run, start, stop, limit)
        rows += page
        if len(page) < limit:
            break
        start = page[-1][STEP] + 1
    return rows


def _request_page(client: Client, run: RunPath, start: int, stop: int, limit: int) -> list[Row]:
    answer = query_run(
        client,
        documents.HISTORY_PAGE,
        run,
        run_variable="run",
        minStep=start,
        maxStep=stop,
        pageSize=limit,
    )
    lines = answer.get("history") or []
    return _ascending(client, run, _parsed(lines))


def _parsed(lines: list[Any]) -> Iterator[Any]:
    if all(isinstance(line, str) for line in lines):
        # One long text is parsed in half the time of many short ones.
        yield from json.loads(f"[{','.join(lines)}]")
    else:
        yield from (json.loads(line) if isinstance(line, str) else line for line in lines)


def _fetch_filtered(
    client: Client, run: RunPath, projection: Projection, start: int, stop: int, n_rows: int
) -> list[Row]:
    # One more than there can be: a full answer may be a sample, and is asked for in halves.
    limit = n_rows + 1
    spec = {
        "keys": [STEP, *(projection.keys or ())],
        "minStep": start,
        "maxStep": stop - 1,
        "samples": limit,
    }
    answer = query_run(
        client,
        documents.SAMPLED_HISTORY_PAGE,
        run,
        run_variable="run",
        spec=json.dumps(spec),
    )
    found = (answer.get("sampledHistory") or [[]])[0]
    if len(found) < limit or stop - start <= 1:
        return _ascending(client, run, found)
    middle = (start + stop) // 2
    return [
        *_fetch_filtered(client, run, projection, start, middle, n_rows),
        *_fetch_filtered(client, run, projection, middle, stop, n_rows),
    ]


def _ascending(client: Client, run: RunPath, rows: Iterable[Any]) -> list[Row]:
    try:
        cleaned = [flatten(row) for row in rows]
        for row in cleaned:
            row[STEP] = int(row[STEP])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"{client.origin} sent a history row of '{run}' without a numeric _step.",
            origin=client.origin,
        ) from error
    cleaned.sort(key=lambda row: row[STEP])
    return cleaned
