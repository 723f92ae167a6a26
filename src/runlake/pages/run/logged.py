"""Finds the tables and media that a run logged, and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runlake.history.media import KINDS, LISTS
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.tables import TABLE_TYPES
from runlake.notebook.cells import flat
from runlake.pages.run.columns import Columns
from runlake.pages.run.shared import Shared, identity_of, open_run_reading
from runlake.public.run.run import Run
from runlake.values import STEP, Question

MEDIA_TYPES = frozenset({*KINDS, *LISTS})
SECONDS = 5.0
MAX_STEPS = 5_000
_SHARED = Shared(SECONDS)


def logged_keys(columns: Columns, run: Run, types: frozenset[str]) -> list[str]:
    """Return the sorted keys with values of the given types, such as ``table-file``.

    The summary shows the type of each key's last value, and the manifest, which lists the run's
    exports, shows the types of all values. A key is left out if its type is in neither.
    """
    found = {key for key, value in flat(run.summary_metrics) if _is_of(value, types)}
    contents = columns.contents(run)
    for key, names in contents.manifest.key_types.items():
        if types.intersection(names) and key in contents.facts:
            found.add(key)
    return sorted(found)


def logged_cells(
    columns: Columns, run: Run, key: str, types: frozenset[str]
) -> list[tuple[int | None, Mapping[str, Any]]]:
    """Return the last `MAX_STEPS` values of a key as pairs of step and value, ascending by step.

    The step is None for a value that only the summary has.
    """

    def read() -> list[tuple[int | None, Mapping[str, Any]]]:
        facts: Mapping[str, KeyFacts] = columns.contents(run).facts
        cells: list[tuple[int | None, Mapping[str, Any]]] = []
        if key in facts:
            question = Question.from_arguments([key])
            reading, _ = open_run_reading(run, question)
            for batch in reading.iter_batches(MAX_STEPS):
                cells += [(row[STEP], row[key]) for row in batch if _is_of(row[key], types)]
                # After each batch, so that a long run does not fill the memory.
                del cells[:-MAX_STEPS]
        last = dict(flat(run.summary_metrics)).get(key)
        if not cells and isinstance(last, Mapping) and _is_of(last, types):
            cells.append((None, last))
        return cells

    return _SHARED.get((identity_of(run), key, types), read)


def choose_cell(
    cells: list[tuple[int | None, Mapping[str, Any]]], step: int | None
) -> tuple[int | None, Mapping[str, Any]] | None:
    """Return the last pair of step and value at or before ``step``, else the first pair.

    If ``step`` is None, return the last of all pairs. Return None if ``cells`` is empty.
    """
    if step is None:
        return cells[-1] if cells else None
    before = [one for one in cells if one[0] is None or one[0] <= step]
    return next(iter(before[-1:] or cells[:1]), None)


def table_types() -> frozenset[str]:
    """Return the types, such as ``table-file``, of logged values that are tables."""
    return frozenset(TABLE_TYPES)


def _is_of(cell: Any, types: frozenset[str]) -> bool:
    kind = cell.get("_type") if isinstance(cell, Mapping) else None
    return isinstance(kind, str) and kind in types
