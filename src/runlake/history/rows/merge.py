"""Merge the rows of exports and live rows by step; for each key the latest value is used.

This is rule 3 in docs/explanation/reading-rules.md.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from runlake.values import STEP, Projection, Row


def merge_rows(sources: Sequence[Iterable[Row]]) -> Iterator[Row]:
    """Yield one row per step, merged from the rows that several sources have at this step.

    Parameters
    ----------
    sources : sequence of iterables of dict
        Each ascending by ``_step``. If two sources have a key at one step, the value of the later
        source is used.

    Yields
    ------
    dict
        One row per step, ascending.

    Examples
    --------
    >>> old = [{"_step": 0, "a": 1, "b": 1}, {"_step": 2, "a": 1}]
    >>> new = [{"_step": 0, "a": 2}, {"_step": 1, "a": 2}]
    >>> list(merge_rows([old, new]))
    [{'_step': 0, 'a': 2, 'b': 1}, {'_step': 1, 'a': 2}, {'_step': 2, 'a': 1}]
    """
    # heapq.merge is stable: rows of one step are yielded in the order of their sources.
    ordered = heapq.merge(*sources, key=lambda row: row[STEP])
    current: Row | None = None
    for row in ordered:
        if current is not None and row[STEP] == current[STEP]:
            # A new dict, because a source may keep its rows, as `StoredRows` does.
            current = {**current, **row}
            continue
        if current is not None:
            yield current
        current = row
    if current is not None:
        yield current


def project_rows(rows: Iterable[Row], projection: Projection) -> Iterator[Row]:
    """Yield the rows that have the requested keys, each with only these keys.

    Parameters
    ----------
    rows : iterable of dict
        Complete rows, with ``_step``.
    projection : Projection
        Keys to keep, and whether a row must have all of them or at least one.

    Yields
    ------
    dict
        ``_step``, then the requested keys that the row has, in the order of the request.
    """
    keys = projection.keys
    if keys is None:
        yield from rows
        return
    needed = len(keys) if projection.how == "all" else min(1, len(keys))
    for row in rows:
        kept = {key: row[key] for key in keys if key in row}
        if len(kept) >= needed:
            yield {STEP: row[STEP], **kept}


def iter_batches(rows: Iterable[Row], n_rows: int) -> Iterator[list[Row]]:
    """Yield rows in lists of at most ``n_rows`` rows."""
    iterator = iter(rows)
    while batch := list(islice(iterator, n_rows)):
        yield batch
