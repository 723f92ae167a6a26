"""Fetch live rows, which are in no export yet, page by page from the backend."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.graphql.shapes import WRONG, int64
from runlake.backend.http.client import Client
from runlake.backend.http.json_text import parse_json
from runlake.errors import ProtocolError, UnsupportedByBackend
from runlake.exports.manifest import fetch_manifest
from runlake.history.plan import sizes
from runlake.history.plan.plan import LivePage, Plan
from runlake.history.rows.json_cells import flatten
from runlake.values import STEP, Row, RunPath, StepRange

PAGES_AHEAD = 4
# Rows that were exported meanwhile are read for this many pages at once: more would take more
# memory, fewer would fetch more manifests.
RECOVERED_PAGES = 16
MAX_ROUNDS = 3
NO_LIMIT = 2**63 - 1
Recover = Callable[[list[int]], list[Row]]


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """The backend's response to a request for a page of live rows, which are in no export yet.

    Parameters
    ----------
    rows : list of dict
        Ascending by step.
    steps : set of int
        Steps for which the response is final: the row is in ``rows``, or the backend has left it
        out because it lacks a requested key. The rows at other steps of the page are still missing.
    """

    rows: list[Row]
    steps: set[int]


def iter_live_pages(client: Client, plan: Plan, recover: Recover) -> Iterator[list[Row]]:
    """Yield the live rows of a plan; up to `PAGES_AHEAD` pages are fetched in advance.

    Parameters
    ----------
    client : Client
        The client of the backend.
    plan : Plan
        The plan. It contains the steps of the live rows, divided into pages. It may also contain a
        range of steps that the backend does not list; this range is read page by page.
    recover : callable
        Takes steps whose rows the backend has exported since the read was planned, and returns
        these rows from the new exports. Steps that are in no export are left out.

    Yields
    ------
    list of dict
        Rows with ``_step``, ascending over all pages, nested keys dotted, nulls left out. Rows
        that lack a requested key may be among them.

    Raises
    ------
    ProtocolError
        If the backend lists a step as live but does not send its row, or if it sends rows that are
        malformed or would lead back to earlier pages.
    """
    pages = plan.live_pages
    moved = _MovedRows(client, plan.run, recover)
    answers = _ahead(lambda page: _ask(client, plan, page), pages)
    for index, answer in enumerate(answers):
        yield moved.complete(pages[index], answer, pages[index + 1 : index + RECOVERED_PAGES])
    if plan.walk is not None:
        yield from walk_live_rows(client, plan, plan.walk)


def fetch_page(client: Client, plan: Plan, page: LivePage, recover: Recover) -> list[Row]:
    """Fetch the live rows of one page; the arguments are those of `iter_live_pages`."""
    return _MovedRows(client, plan.run, recover).complete(page, _ask(client, plan, page), ())


def walk_live_rows(client: Client, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:
    """Yield the live rows of a range of steps, in non-empty pages."""
    stop = NO_LIMIT if steps.stop is None else steps.stop
    return _iter_pages(client, plan.run, steps.start, stop, sizes.LIVE_PAGE_ROWS)


class _MovedRows:
    """Finds rows that were exported after the read was planned but before they were requested."""

    def __init__(self, client: Client, run: RunPath, recover: Recover) -> None:
        self._client = client
        self._run = run
        self._recover = recover
        self._settled: set[int] = set()
        self._rows: dict[int, Row] = {}

    def complete(self, page: LivePage, answer: LiveAnswer, later: Sequence[LivePage]) -> list[Row]:
        """Return all rows of a page, including rows that were exported since the run was planned.

        If there are such rows, the exported rows of the ``later`` pages are read in the same pass.
        If a step has a row neither in an export nor at the backend, the run was rewound, and the
        step is left out.
        """
        rows = {row[STEP]: row for row in answer.rows}
        missing = [step for step in page.steps if step not in answer.steps]
        for _ in range(MAX_ROUNDS):
            if not missing:
                break
            self._settle(missing, later)
            rows.update({step: self._rows[step] for step in missing if step in self._rows})
            missing = [step for step in missing if step not in self._settled]
            if missing:
                again = _fetch_page(
                    self._client, self._run, LivePage(tuple(missing), is_alone=False)
                )
                wanted = set(missing)
                rows.update({row[STEP]: row for row in again.rows if row[STEP] in wanted})
                missing = [step for step in missing if step not in again.steps]
        if missing:
            raise ProtocolError(
                f"{self._client.origin} lists step {missing[0]} of '{self._run}' as live, but "
                f"does not send its row ({len(missing):,} such steps). Scan again; if this error "
                "stays, the backend has lost the rows.",
                origin=self._client.origin,
            )
        return [rows[step] for step in sorted(rows)]

    def _settle(self, missing: list[int], later: Sequence[LivePage]) -> None:
        if self._settled.issuperset(missing):
            return
        # Fetch the list of live steps first, then the exports: a step that is exported in between
        # is in both. In the other order it would be in neither, and lost.
        now = fetch_manifest(self._client, self._run, is_silent=True).live_steps or ()
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


def _ask(client: Client, plan: Plan, page: LivePage) -> LiveAnswer:
    # The backend filters live rows by key before any merge. Where an export overlaps, only the
    # merged row shows whether it has all keys.
    keys = plan.projection.keys
    if not keys or plan.projection.how == "any" or not page.is_alone:
        return _fetch_page(client, plan.run, page)
    try:
        answer = _fetch_filtered(client, plan.run, keys, page.start, page.stop, len(page.steps) + 1)
    except UnsupportedByBackend:
        return _fetch_page(client, plan.run, page)
    if answer.steps.issuperset(page.steps):
        return answer
    # Rows were exported meanwhile, or the backend sent only some of them: then a missing row does
    # not prove that the step lacks a key.
    return LiveAnswer(answer.rows, {row[STEP] for row in answer.rows})


def _fetch_page(client: Client, run: RunPath, page: LivePage) -> LiveAnswer:
    # A backend that also sends exported rows fills the page early; then request the rest.
    limit = len(page.steps) + 1
    pages = _iter_pages(client, run, page.start, page.stop, limit)
    rows = [row for rows in pages for row in rows]
    return LiveAnswer(rows, {row[STEP] for row in rows})


def _iter_pages(
    client: Client, run: RunPath, start: int, stop: int, limit: int
) -> Iterator[list[Row]]:
    """Yield the rows of a range in pages; a backend may send shorter pages than requested."""
    while start < stop:
        rows = _request_page(client, run, start, stop, limit)
        if not rows:
            return
        yield rows
        start = rows[-1][STEP] + 1


def _request_page(client: Client, run: RunPath, start: int, stop: int, limit: int) -> list[Row]:
    """Request a page of rows of a range; return the rows that are in the range, each step once."""
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
    found = _ascending(client, run, _parsed(lines))
    rows = _within(found, start, stop)
    # If a range has no rows, a backend may send later rows; then the walk ends. If it sent earlier
    # rows, the walk would request the same pages forever.
    if found and not rows and found[0][STEP] < start:
        raise _leads_back(client, run, start, found)
    return rows


def _leads_back(client: Client, run: RunPath, start: int, rows: list[Row]) -> ProtocolError:
    return ProtocolError(
        f"{client.origin} sent steps {rows[0][STEP]} to {rows[-1][STEP]} of '{run}', but steps "
        f"from {start} on were requested: its pages lead back and would never end. Read "
        "again; if this error stays, the backend is at fault.",
        origin=client.origin,
    )


def _within(rows: list[Row], start: int, stop: int) -> list[Row]:
    """Return the rows in a range of steps, one row per step.

    Rows of one step are merged: each key has its latest value.
    """
    if not rows or (
        start <= rows[0][STEP]
        and rows[-1][STEP] < stop
        and all(before[STEP] < after[STEP] for before, after in pairwise(rows))
    ):
        return rows
    merged: dict[int, Row] = {}
    for row in rows:
        if start <= row[STEP] < stop:
            merged.setdefault(row[STEP], {}).update(row)
    return list(merged.values())


def _parsed(lines: list[Any]) -> Iterator[Any]:
    if all(isinstance(line, str) for line in lines):
        # One long string is parsed in half the time of many short strings.
        try:
            yield from json.loads(f"[{','.join(lines)}]")
        except ValueError:
            yield from map(parse_json, lines)
    else:
        yield from (parse_json(line) if isinstance(line, str) else line for line in lines)


def _fetch_filtered(
    client: Client, run: RunPath, keys: tuple[str, ...], start: int, stop: int, limit: int
) -> LiveAnswer:
    """Request the live rows that have all keys, together with the steps of all live rows."""
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
    if not isinstance(found, list) or not all(isinstance(sample, list) for sample in found):
        raise _no_rows(client, run)
    if len(found) != len(specs):
        raise ProtocolError(
            f"{client.origin} sent {len(found)} samples of '{run}', not the {len(specs)} "
            "requested.",
            origin=client.origin,
        )
    # The limit is one more than the number of steps. If a sample has as many rows as the limit,
    # rows may be missing, so the range is halved.
    samples = [_ascending(client, run, sample) for sample in found]
    if max(map(len, found)) < limit or stop - start <= 1:
        rows, steps = (_within(sample, start, stop) for sample in samples)
        return LiveAnswer(rows, {row[STEP] for row in steps})
    for sample in samples:
        if sample and sample[0][STEP] < start:
            raise _leads_back(client, run, start, sample)
    middle = (start + stop) // 2
    lower = _fetch_filtered(client, run, keys, start, middle, limit)
    upper = _fetch_filtered(client, run, keys, middle, stop, limit)
    return LiveAnswer([*lower.rows, *upper.rows], lower.steps | upper.steps)


def _ascending(client: Client, run: RunPath, rows: Iterable[Any]) -> list[Row]:
    try:
        cleaned = [flatten(row) for row in rows]
        for row in cleaned:
            row[STEP] = int64(row[STEP])
    except WRONG as error:
        raise _no_rows(client, run) from error
    cleaned.sort(key=lambda row: row[STEP])
    return cleaned


def _no_rows(client: Client, run: RunPath) -> ProtocolError:
    return ProtocolError(
        f"{client.origin} sent a history row of '{run}' that is no JSON object with a numeric "
        "_step.",
        origin=client.origin,
    )
