"""Lists of runs, filtered and ordered by SQL, page by page."""

from __future__ import annotations

import base64
import json
import sqlite3
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from runlake.server.refused import Refused
from runlake.server.runs.asked_indexes import AskedIndexes
from runlake.server.runs.filter_fields import RunField, find_field
from runlake.server.runs.filters import Condition, Probe, parse_filters
from runlake.server.runs.run_columns import small_columns
from runlake.server.store.database import INTEGERS, Database
from runlake.server.store.ids import MAX_NUMBER
from runlake.server.store.pages import Page, cut_page, page_size

INDEXES: WeakKeyDictionary[Database, AskedIndexes] = WeakKeyDictionary()
# Maximum number of comparisons that are offered to SQLite, which uses one index per table.
MAX_PROBES = 4
# If more runs match a comparison, a page is found faster by reading runs in the list's order.
MAX_PROBED = 2_000
FROM = "FROM runs JOIN projects ON projects.id = runs.project_id"
DOCUMENTS = ("config_values", "summary_values")
# `FEW_COPIES` copies of documents are always allowed; more copies may take `MAX_COPIED` bytes.
FEW_COPIES = 64
MAX_COPIED = 256 << 20


@dataclass(frozen=True, slots=True)
class _Order:
    text: str
    field: RunField
    is_descending: bool

    @property
    def value(self) -> str:
        return self.field.searched

    @property
    def is_creation(self) -> bool:
        """Whether runs are ordered by their time of creation, an order that needs no new index."""
        return self.value == "runs.created_at"

    def sql(self, *, is_probed: bool) -> str:
        """Return the SQL terms after ORDER BY.

        If the filter uses an index (``is_probed``), the terms keep SQLite from using the index on
        the time of creation instead.
        """
        direction = "DESC" if self.is_descending else "ASC"
        if self.is_creation:
            # The unary plus keeps SQLite from walking all runs in order of creation.
            value = "+order_value" if is_probed else "order_value"
            return f"{value} {direction}, runs.id {direction}"
        # Runs without the field come last in both directions, ties in order of creation.
        return f"order_value {direction} NULLS LAST, runs.id"

    def behind(self, value: Any, run_id: int) -> tuple[str, list[Any]]:
        """Return an SQL condition, with its parameters, for the runs that come after a given run.

        Runs are ordered by a field; runs with the same value are ordered by their database ids.
        ``value`` is the given run's value of the field, and ``run_id`` is its database id.
        """
        sign = "<" if self.is_descending else ">"
        if self.is_creation:
            return f"({self.value}, runs.id) {sign} (?, ?)", [value, run_id]
        if value is None:
            return f"{self.value} IS NULL AND runs.id > ?", [run_id]
        test = f"{self.value} IS NULL OR {self.value} {sign} ? OR {self.value} = ? AND runs.id > ?"
        return test, [value, value, run_id]


def count_runs(database: Database, project_id: int, filters: str | None) -> int:
    """Return how many runs of a project match a filter."""
    condition = parse_filters(filters)
    _check_memory(database, project_id, condition)
    probes = _probes(database, project_id, condition, None)
    tests, values = _tests(project_id, probes, condition)
    row = database.row(
        f"SELECT count(*) AS n {_of_project(project_id)} AND {' AND '.join(tests)}",
        *values,
    )
    return int(row["n"]) if row else 0


def list_runs(
    database: Database,
    project_id: int,
    *,
    filters: str | None,
    order: str | None,
    first: int | None,
    after: str | None,
) -> Page[sqlite3.Row]:
    """Return a page of the runs of a project.

    Parameters
    ----------
    database : Database
        Contains the runs.
    project_id : int
        Database id of the project.
    filters : str or None
        Filters in JSON, which `parse_filters` compiles.
    order : str or None
        Name of a field, which ``+`` (ascending, the default) or ``-`` (descending) may precede;
        None means the order of creation.
    first : int or None
        Maximum number of runs; None means 50, and more than 1,000 are never returned.
    after : str or None
        The cursor of the last run of the previous page. Runs that are added meanwhile do not move
        runs to other pages.

    Returns
    -------
    Page of Row
        Runs without their large columns, such as the config.

    Raises
    ------
    Refused
        If the filters, the order or the cursor are wrong.
    """
    condition, ordering = parse_filters(filters), _parse_order(order)
    _check_memory(database, project_id, condition)
    probes = _probes(database, project_id, condition, ordering)
    tests, values = _tests(project_id, probes, condition)
    if after:
        test, behind = ordering.behind(*_parse_cursor(after, ordering))
        tests.append(f"({test})")
        values += behind
    size = page_size(first)
    rows = database.rows(
        f"SELECT {small_columns(database)}, projects.entity, projects.name AS project, "
        f"{ordering.value} AS order_value {_of_project(project_id)} AND {' AND '.join(tests)} "
        f"ORDER BY {ordering.sql(is_probed=bool(probes))} LIMIT ?",
        *values,
        size + 1,
    )
    return cut_page(rows, size, lambda row: _cursor(row, ordering))


def _of_project(project_id: int) -> str:
    # The number is in the SQL text: for a parameter, SQLite would not use an index on one project.
    return f"{FROM} WHERE runs.project_id = {project_id:d}"


def _probes(
    database: Database, project_id: int, condition: Condition, order: _Order | None
) -> list[Probe]:
    """Make the indexes that a list of runs needs; return the filter's parts that use an index.

    The returned list is empty if there are no such indexes (see `AskedIndexes.prepare`), or if so
    many runs match these parts that an index is of no use.
    """
    indexes = INDEXES.setdefault(database, AskedIndexes())
    if order is not None:
        indexes.prepare(database, project_id, [order.field])
    probes = list(condition.probes[:MAX_PROBES])
    if not probes or not indexes.prepare(database, project_id, [probe.field for probe in probes]):
        return []
    row = database.row(
        f"SELECT count(*) AS n FROM (SELECT 1 FROM runs WHERE project_id = {project_id:d} "
        f"AND {' AND '.join(probe.sql for probe in probes)} LIMIT {MAX_PROBED})",
        *(value for probe in probes for value in probe.values),
    )
    return probes if row is not None and row["n"] < MAX_PROBED else []


def _tests(
    project_id: int, probes: list[Probe], condition: Condition
) -> tuple[list[str], list[Any]]:
    """Return SQL conditions and the values for their question marks.

    The conditions that use an index are the first; the condition of the whole filter is the last.
    """
    # A subquery reads only the index, and no runs.
    walk = f"runs.id IN (SELECT runs.id FROM runs WHERE runs.project_id = {project_id:d} AND %s)"
    tests = [walk % probe.sql if probe.is_walked else f"({probe.sql})" for probe in probes]
    return (
        [*tests, f"({condition.sql})"],
        [*(value for probe in probes for value in probe.values), *condition.values],
    )


def _check_memory(database: Database, project_id: int, condition: Condition) -> None:
    """Refuse a filter for which SQLite would copy large documents many times.

    Each time a statement names a column, SQLite keeps another copy of the column's text.
    """
    n_copies = {column: condition.sql.count(f"runs.{column}") for column in DOCUMENTS}
    if sum(n_copies.values()) <= FEW_COPIES:
        return
    longest = ", ".join(f"max(length({column})) AS {column}" for column in DOCUMENTS)
    row = database.row(f"SELECT {longest} FROM runs WHERE project_id = ?", project_id)
    if row and sum(n * (row[column] or 0) for column, n in n_copies.items()) > MAX_COPIED:
        raise Refused(
            "the filter compares too many values of the config or the summary for runs that have "
            "so many; use fewer conditions"
        )


def _parse_order(text: str | None) -> _Order:
    order = text or "+created_at"
    name = order.lstrip("+-")
    if len(order) - len(name) > 1:
        raise Refused(f"runs cannot be ordered by {order!r}")
    field = find_field(name)
    if field.elements or field.value == "NULL":
        raise Refused(f"runs cannot be ordered by {name!r}")
    if name in {"created_at", "createdAt"}:
        field = replace(field, value="runs.created_at")
    return _Order(order, field, order.startswith("-"))


def _cursor(row: sqlite3.Row, order: _Order) -> str:
    place = json.dumps([order.text, row["order_value"], row["id"]])
    return base64.urlsafe_b64encode(place.encode()).decode()


def _parse_cursor(text: str, order: _Order) -> tuple[Any, int]:
    try:
        of, value, run_id = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, TypeError, RecursionError):
        raise Refused(f"{text!r} is no cursor of a list of runs") from None
    if of != order.text or not isinstance(run_id, int) or isinstance(value, list | dict):
        raise Refused("the cursor is of a list in another order")
    if abs(run_id) > MAX_NUMBER or (isinstance(value, int) and value not in INTEGERS):
        raise Refused(f"{text!r} is no cursor of a list of runs")
    return value, run_id
