"""Lists of runs, filtered and ordered by SQL, page by page."""

from __future__ import annotations

import base64
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from runlake.server.refused import Refused
from runlake.server.runs.filter_fields import find_field
from runlake.server.runs.filters import parse_filters
from runlake.server.store.database import INTEGERS, Database
from runlake.server.store.ids import MAX_NUMBER
from runlake.server.store.pages import Page, cut_page, page_size

FROM = "FROM runs JOIN projects ON projects.id = runs.project_id"
# These columns can be very long; `RunStore.large` reads them when a query selects them.
LARGE = {"config", "summary", "system_metrics", "key_facts", "config_values", "summary_values"}


@dataclass(frozen=True, slots=True)
class _Order:
    text: str
    value: str
    is_descending: bool

    @property
    def is_creation(self) -> bool:
        """Whether the order is that of creation, for which there is an index."""
        return self.value == "runs.created_at"

    @property
    def sql(self) -> str:
        direction = "DESC" if self.is_descending else "ASC"
        if self.is_creation:
            return f"order_value {direction}, runs.id {direction}"
        # Runs without the field come last in both directions, ties in order of creation.
        return f"order_value IS NULL, order_value {direction}, runs.id"

    def behind(self, value: Any, run_id: int) -> tuple[str, list[Any]]:
        """Return the SQL condition (and its values) for runs after the run with value and id."""
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
    row = database.row(
        f"SELECT count(*) AS n {FROM} WHERE runs.project_id = ? AND ({condition.sql})",
        project_id,
        *condition.values,
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
        The runs.
    project_id : int
        The project.
    filters : str or None
        JSON, see `parse_filters`.
    order : str or None
        ``+`` (ascending, the default) or ``-`` and a field; by creation if None.
    first : int or None
        Maximum number of runs.
    after : str or None
        The cursor of the last run of the previous page. Runs that are added meanwhile do not move
        runs to other pages.

    Returns
    -------
    Page of Row
        Runs without their large columns.

    Raises
    ------
    Refused
        If the filters, the order or the cursor are wrong.
    """
    condition, ordering = parse_filters(filters), _parse_order(order)
    tests, values = [f"({condition.sql})"], [*condition.values]
    if after:
        test, behind = ordering.behind(*_parse_cursor(after, ordering))
        tests.append(f"({test})")
        values += behind
    size = page_size(first)
    rows = database.rows(
        f"SELECT {_columns(database)}, projects.entity, projects.name AS project, "
        f"{ordering.value} AS order_value {FROM} WHERE runs.project_id = ? "
        f"AND {' AND '.join(tests)} ORDER BY {ordering.sql} LIMIT ?",
        project_id,
        *values,
        size + 1,
    )
    return cut_page(rows, size, lambda row: _cursor(row, ordering))


def _columns(database: Database) -> str:
    names = (row["name"] for row in database.rows("SELECT name FROM pragma_table_info('runs')"))
    return ", ".join(f"runs.{name}" for name in names if name not in LARGE)


def _parse_order(text: str | None) -> _Order:
    order = text or "+created_at"
    name = order.lstrip("+-")
    if len(order) - len(name) > 1:
        raise Refused(f"runs cannot be ordered by {order!r}")
    field = find_field(name)
    if field.elements or field.value == "NULL":
        raise Refused(f"runs cannot be ordered by {name!r}")
    is_creation = name in {"created_at", "createdAt"}
    value = "runs.created_at" if is_creation else field.value
    return _Order(order, value, order.startswith("-"))


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
