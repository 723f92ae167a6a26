"""Builds the template values of a project's page: the table, the forms and the charts to draw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runlake.charts.names import shown
from runlake.errors import NoRowsWarning
from runlake.errors.user_line import silenced
from runlake.history.runs.run_table import FIELDS
from runlake.pages.project.cells import is_numeric, shown_value
from runlake.pages.project.colors import color_of_run
from runlake.pages.project.columns import (
    MAX_CHARTS,
    default_columns,
    entries,
    grouped_keys,
    keys_to_draw,
    offered_columns,
)
from runlake.pages.project.conditions import OPERATORS, column_of_field, field_of
from runlake.pages.project.listing import (
    CONFIG,
    SUMMARY,
    RunPage,
    RunRow,
    check_project,
    field_columns,
    named_runs,
    read_named,
    read_page,
)
from runlake.pages.project.python_line import plot_line, table_line
from runlake.pages.project.view import PER_PAGE, ProjectView
from runlake.pages.source import RunList, Source
from runlake.public.runs.plots import BANDS

# How many runs are drawn if none is selected.
N_DRAWN = 10
SIZES = (25, 50, 100, 250, 1_000)
# Columns by which backends cannot order runs.
UNORDERED = frozenset({"tags", "url", "runtime"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Parameters
    ----------
    name, label : str
        The name of the column, and its label on the page.
    sort : str or None
        The address of the page sorted by this column; None if runs cannot be sorted by the column.
    order : {"ascending", "descending", "none"}
        How the rows are sorted by this column now.
    without : str
        The address of the page without this column.
    """

    name: str
    label: str
    sort: str | None
    order: str
    without: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of the table.

    Parameters
    ----------
    run : RunRow
        The run.
    cells : list of tuple
        For each cell the text, and whether the value is a number.
    color : str or None
        The colour of the run's curves; None if the run is not drawn.
    is_selected, is_hidden : bool
        Whether the visitor selected the run, and whether the visitor hid its curves.
    toggle : str
        The address of the page that hides the run's curves, or shows hidden curves again.
    """

    run: RunRow
    cells: list[tuple[str, bool]]
    color: str | None
    is_selected: bool
    is_hidden: bool
    toggle: str


@dataclass(frozen=True, slots=True)
class Found:
    """The data that were read for a page.

    Parameters
    ----------
    page : RunPage
        The runs of the table.
    selected : sequence of RunRow
        The selected runs that exist, including runs on other pages of the table.
    keys : sequence of str
        The keys to draw as charts.
    """

    page: RunPage
    selected: Sequence[RunRow] = ()
    keys: Sequence[str] = ()


def read_view(source: Source, view: ProjectView, *, has_charts: bool) -> Found:
    """Read the runs and keys that a project's page shows; a script reads the charts later."""
    view.check()
    found = read_page(source, view)
    if not found.total:
        check_project(source, view)
    known = {row.id: row for row in found.rows}
    others = [one for one in view.run if one not in known]
    known |= {row.id: row for row in read_named(source, view, others)}
    selected = [known[one] for one in view.run if one in known]
    if not has_charts:
        return Found(found, selected)
    drawn = drawn_rows(view, found.rows, selected) or found.rows
    keys = list(view.key) or keys_to_draw(drawn, view.match)
    if not keys and drawn and not view.match:
        # Neither fields nor summaries name a key: an old SDK logged the runs, or they ended early.
        ids = [row.id for row in drawn[:N_DRAWN] if not row.is_gone]
        keys = _logged_keys(named_runs(source, view, ids))
    return Found(found, selected, keys)


def _logged_keys(runs: RunList) -> list[str]:
    with silenced(NoRowsWarning):
        table = runs.keys(kind="number")
    return sorted({key for key in table.get_column("key").to_list() if not key.startswith("_")})


def chart_questions(values: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the name and parameters of each chart request that the page's script sends."""
    keys = [key for group in values["chart_groups"].values() for key in group]
    parameters = json.loads(values["parameters"])
    return [("charts", {**parameters, "key": [key]}) for key in keys]


def page_values(
    view: ProjectView,
    found: Found,
    *,
    address: str,
    is_live: bool,
    error: str | None,
) -> dict[str, Any]:
    """Return the values for the template of a project's page.

    Parameters
    ----------
    view : ProjectView
        The visitor's choices.
    found : Found
        The data that `read_view` read.
    address : str
        The address of the page, without a query.
    is_live : bool
        True if the runs are read from a backend, False if they were pulled.
    error : str or None
        Why the view cannot be shown; None if it can.
    """
    links = _Links(address)
    rows, total, selected = found.page.rows, found.page.total, found.selected
    drawn = drawn_rows(view, rows, selected)
    names = list(view.column) or default_columns(rows)
    charts = _charts(view, rows, drawn, found.keys)
    first = next((key for keys in charts["chart_groups"].values() for key in keys), None)
    n_pages = max(1, -(-total // view.per_page))
    return {
        "view": view,
        "is_live": is_live,
        "error": error,
        "total": total,
        "n_pages": n_pages,
        "columns": [_column(view, name, names, links) for name in names],
        "name_column": _column(view, "name", names, links),
        "state_column": _column(view, "state", names, links),
        "rows": _table_rows(view, rows, names, drawn, links),
        "selected": selected,
        "gone": [one for one in view.run if one not in {row.id for row in selected}],
        "previous": links.to(view.but(page=view.page - 1)) if view.page > 1 else None,
        "next": links.to(view.but(page=view.page + 1)) if view.page < n_pages else None,
        "unselect": links.to(view.but(run=())) if view.run else None,
        "unfilter": links.to(view.but(filter="", search="", page=1)),
        "show_hidden": links.to(view.but(hide=())) if view.hide else None,
        "offered": offered_columns(rows, names),
        "shown_columns": frozenset(names),
        "groups_by": _group_columns(view, rows),
        "bands": list(BANDS),
        "operators": {name: text for name, (text, _) in OPERATORS.items()},
        "sizes": sorted({*SIZES, view.per_page}),
        "per_page_default": PER_PAGE,
        "address": address,
        **charts,
        "python": "" if error else table_line(view, is_live=is_live),
        "python_plot": ""
        if first is None
        else plot_line(view, [row.id for row in drawn], first, is_live=is_live),
    }


def drawn_rows(
    view: ProjectView, rows: Sequence[RunRow], selected: Sequence[RunRow]
) -> list[RunRow]:
    """Return the runs whose curves are drawn: the selected runs, or else the first in the table.

    If groups are drawn and no run is selected, the result is empty: the groups then contain the
    runs of all pages, not only those in the table.
    """
    if view.is_grouped and not view.run:
        return []
    shown_rows = [row for row in (selected if view.run else rows) if not row.is_gone]
    visible = [row for row in shown_rows if row.id not in view.hide]
    return visible if view.run else visible[:N_DRAWN]


@dataclass(frozen=True, slots=True)
class _Links:
    address: str

    def to(self, view: ProjectView) -> str:
        query = view.query()
        return f"{self.address}?{query}" if query else self.address


def _column(view: ProjectView, name: str, names: Sequence[str], links: _Links) -> Column:
    field = "created_at" if name == "created_at" else field_of(name)
    current = view.order.lstrip("+-")
    is_current = current in (field, name) or column_of_field(current) == name
    is_descending = view.order.startswith("-")
    order = ("descending" if is_descending else "ascending") if is_current else "none"
    sign = "+" if is_current and is_descending else "-" if is_current or _is_number(name) else "+"
    sort = None if name in UNORDERED else links.to(view.but(order=f"{sign}{field}", page=1))
    rest = tuple(one for one in names if one != name)
    return Column(name, shown(name), sort, order, links.to(view.but(column=rest)))


def _is_number(name: str) -> bool:
    """Return whether a column has results or times; the first click on it sorts descending."""
    return name.startswith(f"{SUMMARY}.") or name in {"created_at", "heartbeat_at", "duration"}


def _table_rows(
    view: ProjectView,
    rows: Sequence[RunRow],
    names: Sequence[str],
    drawn: Sequence[RunRow],
    links: _Links,
) -> list[TableRow]:
    fields = field_columns(rows, names)
    drawn_ids = {row.id for row in drawn}
    found = []
    for place, row in enumerate(rows):
        cells = []
        for name in names:
            value = fields[name][place] if name in FIELDS else row.value(name)
            cells.append((shown_value(value, name), is_numeric(value)))
        color = color_of_run(row.id) if row.id in drawn_ids else None
        toggle = links.to(view.toggled("hide", row.id))
        found.append(TableRow(row, cells, color, row.id in view.run, row.id in view.hide, toggle))
    return found


def _group_columns(view: ProjectView, rows: Sequence[RunRow]) -> list[str]:
    """Return the columns by which the page offers to group the runs.

    Chosen columns come first, then the config entries in which the runs differ.
    """
    config = entries(rows, CONFIG)
    differ = [name for name in config if len({repr(row.values.get(name)) for row in rows}) > 1]
    fields = ["group", "job_type", "state", "user", "sweep", "name"]
    return list(dict.fromkeys([*view.by, *differ, *fields, *config]))[:MAX_CHARTS]


def _charts(
    view: ProjectView, rows: Sequence[RunRow], drawn: Sequence[RunRow], keys: Sequence[str]
) -> dict[str, Any]:
    shown_keys = keys[:MAX_CHARTS]
    names = ["x", "smooth", "log", "by", "band", "hide"]
    if view.is_grouped and not view.run:
        names += ["filter", "search", "order"]
    parameters: dict[str, Any] = {}
    for name, value in view.but(order=view.order).pairs():
        if name in names:
            parameters.setdefault(name, []).append(value)
    if drawn:
        parameters["run"] = [row.id for row in drawn]
        parameters.pop("hide", None)
    has_runs = bool(drawn) or (view.is_grouped and not view.run and bool(rows))
    return {
        "chart_groups": grouped_keys(shown_keys) if has_runs else {},
        "n_keys": len(keys),
        "n_charts": len(shown_keys),
        "parameters": json.dumps(parameters, sort_keys=True),
        "drawn": drawn,
    }
