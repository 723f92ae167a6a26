"""Find rows that a backend counts, but that are in no export and not listed as live."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.backend.http.json_text import parse_json
from runlake.exports.footers.facts import ExportFacts
from runlake.exports.manifest import LAST_STEP_UNKNOWN, Manifest
from runlake.values import STEP, RunPath

PAGE_ROWS = 2000
# Limits requests, one or more per gap: a run whose steps are far apart has many gaps without rows.
MAX_GAPS = 16


class Gap(NamedTuple):
    """A range of steps at which there may be rows that the backend does not list.

    ``start`` is inclusive, ``stop`` is exclusive.
    """

    start: int
    stop: int


def find_gaps(manifest: Manifest, exports: Sequence[ExportFacts]) -> tuple[Gap, ...]:
    """Decide, without I/O, at which steps to search for rows that the backend does not list.

    Parameters
    ----------
    manifest : Manifest
        The backend's manifest.
    exports : sequence of ExportFacts
        Steps and numbers of rows of the exports in the manifest.

    Returns
    -------
    tuple of Gap
        At most `MAX_GAPS` ranges of steps that are in no export and not listed as live: first the
        steps after the last export, then the widest ranges. The steps after the last export are
        included only if `Manifest.first_unlisted` is None, because every read requests them
        otherwise. Empty if the backend counts no more lines than there are exported rows, listed
        rows, and steps that every read requests. Empty also if the backend does not list live steps
        or does not count lines, if no export has steps, or if `Manifest.is_searched` is true.

    Notes
    -----
    A step may have several lines, for example if the run was restarted. So even if the backend
    counts more lines than there are exported and listed rows, perhaps no row is missing.
    """
    lines = manifest.line_count
    if manifest.is_searched or manifest.live_steps is None or not isinstance(lines, int):
        return ()
    n_rows = sum(export.n_rows for export in exports) + len(manifest.live_steps)
    # Every counted line is known: nothing is missing. (A step may have several lines, so more lines
    # do not prove that rows are missing.)
    if lines <= n_rows:
        return ()
    spans = sorted(
        (export.first_step, export.last_step)
        for export in exports
        if export.first_step is not None and export.last_step is not None
    )
    if not spans:
        return ()
    unlisted = manifest.first_unlisted(last for _, last in spans)
    if unlisted is not None and lines <= n_rows + manifest.last_step + 1 - unlisted:
        return ()
    gaps: list[Gap] = []
    start = 0
    for first, last in spans:
        gaps += _parts(manifest.live_steps, Gap(start, first))
        start = max(start, last + 1)
    gaps.sort(key=lambda gap: gap.start - gap.stop)
    # If the run has a later last step, the steps up to it count as live, and every read requests
    # them anyway.
    above = _parts(manifest.live_steps, Gap(start, LAST_STEP_UNKNOWN)) if unlisted is None else ()
    return (*above, *gaps)[:MAX_GAPS]


def _parts(live_steps: Sequence[int], gap: Gap) -> Iterator[Gap]:
    """Yield two parts of a gap: before the first live step in the gap, and after the last one.

    Empty parts are left out. A gap without live steps is yielded whole. A live step is the step of
    a row that is in no export yet.
    """
    low, high = (bisect_left(live_steps, step) for step in (gap.start, gap.stop))
    parts = [gap]
    if low < high:
        parts = [Gap(gap.start, live_steps[low]), Gap(live_steps[high - 1] + 1, gap.stop)]
    yield from (part for part in parts if part.start < part.stop)


def fetch_unlisted_steps(
    client: Client, run: RunPath, gaps: Sequence[Gap], n_lines: int
) -> set[int]:
    """Request the rows in some ranges of steps; return the steps of the rows that arrive.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        Path of the run.
    gaps : sequence of Gap
        Ranges to search, one after the other.
    n_lines : int
        Number of missing lines: once that many steps are found, no further range is searched.

    Returns
    -------
    set of int
        Steps that have rows.

    Raises
    ------
    BackendError
        If the backend does not answer.
    """
    found: set[int] = set()
    for gap in gaps:
        if len(found) >= n_lines:
            break
        rest = gap
        while rest.start < rest.stop and (steps := _fetch_steps(client, run, rest)):
            found |= steps
            rest = Gap(max(steps) + 1, gap.stop)
    return found


def _fetch_steps(client: Client, run: RunPath, gap: Gap) -> set[int]:
    answer = query_run(
        client,
        documents.HISTORY_PAGE,
        run,
        run_variable="run",
        minStep=gap.start,
        maxStep=gap.stop,
        pageSize=PAGE_ROWS,
    )
    with answer_to(client, "HistoryPage", f"'{run}'"):
        lines = answer.get("history") or []
        rows = [parse_json(line) if isinstance(line, str) else line for line in lines]
        steps = {int(row[STEP]) for row in rows}
    return {step for step in steps if gap.start <= step < gap.stop}
