"""Read the runs of a view: one page of them with all fields, or the whole answer as a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from runlake.errors import MixedTypesWarning, NotCached, RunNotFoundError
from runlake.errors.user_line import silenced
from runlake.history.runs.run_paths import flattened, value_at
from runlake.history.runs.run_table import FIELDS, chosen_columns
from runlake.pages.project.view import ProjectView
from runlake.pages.source import RunList, Source
from runlake.public.run.run import Run
from runlake.public.runs.runs import Runs

CONFIG, SUMMARY = "config", "summary"
MOST_AT_ONCE = 1_000


@dataclass(frozen=True)
class RunRow:
    """A run of a page, with its fields.

    Parameters
    ----------
    id : str
        The id of the run.
    name : str
        Its name; the id if it has none.
    fields : mapping
        Its fields as the backend names them; empty for a run that was deleted meanwhile.
    config, summary : mapping
        The config and the summary of the run; empty if it was deleted meanwhile.
    """

    id: str
    name: str
    fields: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        """True if the run was deleted while the page was built."""
        return not self.fields

    @property
    def state(self) -> str:
        """The state; "deleted" for a run that was deleted meanwhile."""
        return "deleted" if self.is_gone else str(self.fields.get("state") or "unknown")

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values of config and summary by the name of their column, such as ``config.lr``."""
        found = dict(flattened(self.config, CONFIG))
        found.update(flattened(self.summary, SUMMARY))
        return found

    def value(self, column: str) -> Any:
        """Return the value of a column of config or summary; None if the run has none."""
        part, _, path = column.partition(".")
        return value_at(self.config if part == CONFIG else self.summary, path)


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the runs of a view.

    Parameters
    ----------
    rows : list of RunRow
        The runs of the page.
    total : int
        Number of runs on all pages.
    """

    rows: list[RunRow]
    total: int


def runs_of(source: Source, view: ProjectView, *, per_page: int = MOST_AT_ONCE) -> RunList:
    """Return the list of the runs of a view, in its order.

    Raises
    ------
    InvalidArgument
        If the filter or the order is wrong.
    """
    return source.runs(
        view.entity, view.project, filters=view.filters, order=view.order, per_page=per_page
    )


def named_runs(source: Source, view: ProjectView, ids: Sequence[str]) -> RunList:
    """Return the runs of the project with these ids; the filter of the view is ignored."""
    return source.runs(
        view.entity,
        view.project,
        filters={"name": {"$in": list(ids)}},
        order="+created_at",
        per_page=MOST_AT_ONCE,
    )


def check_project(source: Source, view: ProjectView) -> None:
    """Raise an error if a project does not exist, or the visitor may not read it.

    A project of pulled runs exists as long as it has runs. A project of a backend may have none.
    """
    n_runs = len(source.runs(view.entity, view.project, per_page=1))
    if n_runs == 0 and not source.is_live:
        raise NotCached(f"No run of '{view.entity}/{view.project}' was pulled.")


def read_page(source: Source, view: ProjectView) -> RunPage:
    """Read the runs of one page of the table.

    The first page takes one request. Later pages take a few requests: the runs on the pages before
    are listed without their large fields.
    """
    start = (view.page - 1) * view.per_page
    stop = start + view.per_page
    if start == 0:
        runs = runs_of(source, view, per_page=view.per_page)
        if isinstance(runs, Runs):
            # The list was not used yet, so its pages can be fetched with all fields.
            runs.upgrade_to_full()
    else:
        runs = runs_of(source, view, per_page=min(stop, MOST_AT_ONCE))
    rows = [read_row(run) for run in runs[start:stop]]
    return RunPage(rows, len(runs))


def read_named(source: Source, view: ProjectView, ids: Sequence[str]) -> list[RunRow]:
    """Read some runs of a project, in the order of their ids, without those that do not exist."""
    if not ids:
        return []
    runs = named_runs(source, view, ids)
    if isinstance(runs, Runs):
        runs.upgrade_to_full()
    found = {run.id: read_row(run) for run in runs}
    return [found[one] for one in ids if one in found and not found[one].is_gone]


def read_row(run: Run) -> RunRow:
    """Read the fields of a run."""
    try:
        config, summary = dict(run.config), dict(run.summary_metrics)
        attrs = {**run.load(), "url": run.url, "entity": run.entity, "project": run.project}
    except RunNotFoundError:
        return RunRow(run.id, run.id, {})
    return RunRow(run.id, run.name or run.id, attrs, config, summary)


def field_columns(rows: Sequence[RunRow], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the cells of columns that are fields of the runs, not entries of config or summary."""
    wanted = [name for name in names if name in FIELDS]
    if not wanted:
        return {}
    frame = chosen_columns([row.fields for row in rows], wanted)
    return {name: frame.get_column(name).to_list() for name in wanted}


def whole_answer(source: Source, view: ProjectView) -> pl.DataFrame:
    """Return all runs of a view as a frame, with the columns of the view, or all if it has none.

    If a column such as ``config.net`` has mappings, the frame has all columns below it instead. A
    column that no run has is null.
    """
    runs = runs_of(source, view)
    with silenced(MixedTypesWarning):
        frame = runs.frame(flat=True)
    if not view.column:
        return frame
    columns: dict[str, pl.Series] = {}
    for name in ("run_id", *view.column):
        for found in _named(frame, name):
            columns.setdefault(found.name, found)
    return pl.DataFrame(list(columns.values()))


def _named(frame: pl.DataFrame, name: str) -> Iterator[pl.Series]:
    if name in frame.columns:
        yield frame.get_column(name)
        return
    inner = [one for one in frame.columns if one.startswith(f"{name}.")]
    for one in inner:
        yield frame.get_column(one)
    if not inner:
        yield pl.Series(name, [None] * frame.height, pl.String())
