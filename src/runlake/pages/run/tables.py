"""The tables that a run logged: pages of rows, sorted by a column, and all rows as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runlake.errors import RunlakeError
from runlake.history.tables import read_table_cell
from runlake.notebook.cells import cell_text, is_number
from runlake.pages.responses import data
from runlake.pages.run.chart_pages import COLUMNS, suffix_of
from runlake.pages.run.logged import choose_cell, logged_cells, logged_keys, table_types
from runlake.pages.run.shared import Shared, identity_of, path_of
from runlake.pages.run.shell import links_of, python_line, run_of, show
from runlake.pages.run.view import whole_in
from runlake.pages.source import in_thread
from runlake.public.lists.attributes import client_of
from runlake.public.run.run import Run

ROWS_PER_PAGE = 50
MAX_COLUMNS = 200
SECONDS = 60.0
# A visitor who turns pages or sorts reads the same table again and again.
_SHARED = Shared(SECONDS)


@dataclass(frozen=True, slots=True)
class TableView:
    """One page of a logged table.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows of the page.
    n_rows : int
        Number of rows of the table.
    number, n_pages : int
        The page, from 1, and the number of pages.
    sort : str
        The column by which the rows are sorted; empty for the logged order.
    is_descending : bool
        Whether the highest value comes first.
    """

    frame: pl.DataFrame
    n_rows: int
    number: int
    n_pages: int
    sort: str
    is_descending: bool

    @property
    def columns(self) -> list[str]:
        """Names of the first `MAX_COLUMNS` columns, which the page shows."""
        return self.frame.columns[:MAX_COLUMNS]

    @property
    def cells(self) -> list[list[tuple[str, bool]]]:
        """For each row and column the text of the cell, and whether the value is a number."""
        shown = self.frame.select(pl.nth(range(len(self.columns))))
        return [
            [("" if cell is None else cell_text(cell), is_number(cell)) for cell in row]
            for row in shown.iter_rows()
        ]


async def show_tables(request: Request) -> Response:
    """Show the tables of a run, and the rows of one of them."""
    run = await run_of(request)
    query = request.query_params
    step, number = whole_in(query, "step"), whole_in(query, "page", 1) or 1
    keys = await in_thread(logged_keys, COLUMNS, run, table_types())
    key = query.get("key") or (keys[0] if keys else None)
    values: dict[str, Any] = {"view": None, "wrong": None, "steps": [], "step": None}
    links: list[tuple[str, str]] = []
    if key is not None:
        cells = await in_thread(logged_cells, COLUMNS, run, key, table_types())
        chosen = choose_cell(cells, step)
        values["steps"] = [one for one, _ in cells if one is not None]
        if chosen is None:
            values["wrong"] = f"The run logged no table under {key!r}."
        else:
            values["step"] = chosen[0]
            links = links_of(request, "tables", key=key, step=_text(chosen[0]))
            try:
                frame = await in_thread(_frame_of, run, key, chosen)
                sort, descends = query.get("sort", ""), query.get("order") == "down"
                values["view"] = await in_thread(page_of, frame, number, sort, descends)
            except RunlakeError as error:
                values["wrong"] = str(error)
    arguments = repr(key) if values["step"] is None else f"{key!r}, step={values['step']}"
    return show(
        request,
        run,
        "tables",
        "run_tables.html",
        keys=keys,
        key=key,
        links=links,
        python=python_line(request, run, f"table({arguments})") if key is not None else "",
        **values,
    )


async def send_table(request: Request) -> Response:
    """Send all rows of a logged table as a file."""
    run = await run_of(request)
    key, step = request.query_params.get("key", ""), whole_in(request.query_params, "step")
    cells = await in_thread(logged_cells, COLUMNS, run, key, table_types())
    chosen = choose_cell(cells, step)
    if chosen is None:
        raise HTTPException(404, f"The run logged no table under {key!r}.")
    frame = await in_thread(_frame_of, run, key, chosen)
    return await in_thread(data, request, frame, suffix_of(request), f"{run.id}-table")


def page_of(frame: pl.DataFrame, number: int, sort: str, is_descending: bool) -> TableView:
    """Return a page of a table sorted by a column, or unsorted if the column cannot be sorted.

    Examples
    --------
    >>> import polars as pl
    >>> view = page_of(pl.DataFrame({"a": [1, None, 3]}), 1, "a", True)
    >>> view.cells, view.n_pages
    ([[('3', True)], [('1', True)], [('', False)]], 1)
    """
    is_sortable = sort in frame.columns and not frame.schema[sort].is_nested()
    if is_sortable:
        # Sort a column with another name: polars would read some names as patterns.
        order = frame.get_column(sort).alias("order").to_frame()
        rows = order.with_row_index("row").sort(
            "order", descending=is_descending, nulls_last=True, maintain_order=True
        )
        frame = frame[rows.get_column("row")]
    n_pages = max(1, -(-frame.height // ROWS_PER_PAGE))
    number = min(number, n_pages)
    part = frame.slice((number - 1) * ROWS_PER_PAGE, ROWS_PER_PAGE)
    return TableView(
        part, frame.height, number, n_pages, sort if is_sortable else "", is_descending
    )


def _frame_of(run: Run, key: str, chosen: tuple[int | None, Mapping[str, Any]]) -> pl.DataFrame:
    step, cell = chosen
    # The digest and the artifact path distinguish two tables that were logged at one step.
    name = (identity_of(run), key, step, str(cell.get("sha256")), str(cell.get("artifact_path")))
    return _SHARED.get(name, lambda: read_table_cell(client_of(run), path_of(run), cell))


def _text(step: int | None) -> str:
    return "" if step is None else str(step)
