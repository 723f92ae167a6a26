"""Rows that are in no export yet, page by page from the backend."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from runlake.backend import documents
from runlake.backend.client import Client
from runlake.backend.graphql import query_run
from runlake.errors import ProtocolError
from runlake.exports.manifest import fetch_manifest
from runlake.history.cells import flatten
from runlake.history.plan import LIVE_PAGE_ROWS, LivePage, Plan
from runlake.values import STEP, Row, RunPath

PAGES_AHEAD = 4
# Rows that moved into exports are read for so many pages at once, which bounds both the memory
# for them and the number of manifests.
RECOVERED_PAGES = 16
MAX_ROUNDS = 3
NO_LIMIT = 2**63 - 1
Recover = Callable[[list[int]], list[Row]]


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What the backend answered to a page.

    Parameters
    ----------
    rows : list of dict
        Ascending by step.
    steps : set of int
        Steps that are live in the range of the page, be their rows wanted or not.
    """

    rows: list[Row]
    steps: set[int]


def iter_live_rows(client: Client, plan: Plan, recover: Recover) -> Iterator[list[Row]]:
    """Yield the live rows of a plan, fetched ahead while the caller consumes.

    Parameters
    ----------
    client : Client
        The backend.
    plan : Plan
        Names the live steps; or says that every row is live.
    recover : callable
        Given steps that were live, reads them from exports that appeared meanwhile; steps that are
        in none are left out.

    Yields
    ------
    list of dict
        Rows with ``_step``, ascending over all pages, nested keys dotted, nulls left out. They are
        not filtered by key unless the backend did it.

    Raises
    ------
    ProtocolError
        If the backend lists a step as live but does not give its row.
    """
    if plan.is_walk:
        start = plan.steps.start
        stop = NO_LIMIT if plan.steps.stop is None else plan.steps.stop
        yield from _iter_pages(client, plan.run, start, stop, LIVE_PAGE_ROWS)
        return
    # The backend's key filter looks at one source; where sources overlap, only the merged row can
    # tell whether it has all the keys.
    keys = plan.projection.keys
    is_filtered = bool(keys) and plan.projection.how == "all" and not plan.needs_merge

    def read(page: LivePage) -> LiveAnswer:
        if not is_filtered:
            return _fetch_page(client, plan.run, page)
        limit = len(page.steps) + 1
        answer = _fetch_filtered(client, plan.run, keys or (), page.start, page.stop, limit)
        if answer.steps.issuperset(page.steps):
            return answer
        # Rows moved meanwhile, or the backend cut its answer short: then a step without a row does
        # not tell that it lacks a key.
        return LiveAnswer(answer.rows, {row[STEP] for row in answer.rows})

    moved = _MovedRows(client, plan, recover)
    for index, answer in enumerate(_ahead(read, plan.live_pages)):
        rows = {row[STEP]: row for row in answer.rows}
        missing = [step for step in plan.live_pages[index].steps if step not in answer.steps]
        if missing:
            rows.update(moved.find(missing, index))
        yield [rows[step] for step in sorted(rows)]


class _MovedRows:
    """Finds rows that were live when the plan was made, and not when their page was asked for."""

    def __init__(self, client: Client, plan: Plan, recover: Recover) -> None:
        self._client = client
        self._plan = plan
        self._recover = recover
        self._settled: set[int] = set()
        self._rows: dict[int, Row] = {}

    def find(self, missing: list[int], index: int) -> dict[int, Row]:
        """Return the rows of steps that the page of that index lacks.

        A step that is neither live nor exported any more is left out: the run was rewound.
        """
        found: dict[int, Row] = {}
        for _ in range(MAX_ROUNDS):
            self._settle(missing, index)
            found.update({step: self._rows[step] for step in missing if step in self._rows})
            missing = [step for step in missing if step not in self._settled]
            if not missing:
                return found
            answer = _fetch_page(self._client, self._plan.run, LivePage(tuple(missing)))
            wanted = set(missing)
            found.update({row[STEP]: row for row in answer.rows if row[STEP] in wanted})
            missing = [step for step in missing if step not in answer.steps]
        if missing:
            raise ProtocolError(
                f"{self._client.origin} lists step {missing[0]} of '{self._plan.run}' as live, but "
                f"does not give its row ({len(missing):,} such steps). Scan again; if it stays so, "
                "the backend lost them.",
                origin=self._client.origin,
            )
        return found

    def _settle(self, missing: list[int], index: int) -> None:
        if self._settled.issuperset(missing):
            return
        # First what is live, then the exports: a step that moves in between stands in both.
        now = fetch_manifest(self._client, self._plan.run).live_steps or ()
        later = islice(self._plan.live_pages, index + 1, index + RECOVERED_PAGES)
        steps = {*missing, *(step for page in later for step in page.steps)}
        self._settled = steps.difference(now)
        if self._settled:
            self._rows = {row[STEP]: row for row in self._recover(sorted(self._settled))}


def _ahead(
    read: Callable[[LivePage], LiveAnswer], pages: Iterable[LivePage]
) -> Iterator[LiveAnswer]:
    executor = ThreadPoolExecutor(PAGES_AHEAD, thread_name_prefix="runlake-live")
    waiting: deque[Future[LiveAnswer]] = deque()
    try:
        for page in pages:
            waiting.append(executor.submit(read, page))
            if len(waiting) > PAGES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _fetch_page(client: Client, run: RunPath, page: LivePage) -> LiveAnswer:
    # A backend that answers with exported rows too fills the page early; then go on behind it.
    limit = len(page.steps) + 1
    pages = _iter_pages(client, run, page.start, page.stop, limit)
    rows = [row for rows in pages for row in rows]
    return LiveAnswer(rows, {row[STEP] for row in rows})


def _iter_pages(
    client: Client, run: RunPath, start: int, stop: int, limit: int
) -> Iterator[list[Row]]:
    """Yield pages to the end of a range; a backend may cut them shorter than asked for."""
    while start < stop:
        rows = _request_page(client, run, start, stop, limit)
        if not rows:
            return
        yield rows
        start = rows[-1][STEP] + 1


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
    rows = (json.loads(line) if isinstance(line, str) else line for line in lines)
    return _ascending(client, run, rows)


def _fetch_filtered(
    client: Client, run: RunPath, keys: tuple[str, ...], start: int, stop: int, limit: int
) -> LiveAnswer:
    """Ask for the rows that have all keys, and beside them for all steps: which are still live."""
    bounds = {"minStep": start, "maxStep": stop - 1, "samples": limit}
    specs = [{"keys": [STEP, *keys], **bounds}, {"keys": [STEP], **bounds}]
    answer = query_run(
        client,
        documents.SAMPLED_HISTORY_PAGE,
        run,
        run_variable="run",
        specs=[json.dumps(spec) for spec in specs],
    )
    found = answer.get("sampledHistory") or []
    if len(found) != len(specs):
        raise ProtocolError(
            f"{client.origin} sent {len(found)} of {len(specs)} samples of '{run}'.",
            origin=client.origin,
        )
    # One more was asked for than there can be: a full answer may be a sample.
    if max(map(len, found)) < limit or stop - start <= 1:
        rows, steps = (_ascending(client, run, sample) for sample in found)
        return LiveAnswer(rows, {row[STEP] for row in steps})
    middle = (start + stop) // 2
    lower = _fetch_filtered(client, run, keys, start, middle, limit)
    upper = _fetch_filtered(client, run, keys, middle, stop, limit)
    return LiveAnswer([*lower.rows, *upper.rows], lower.steps | upper.steps)


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
