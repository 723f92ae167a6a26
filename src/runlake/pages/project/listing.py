"""Reads the runs of a view: one page of runs with all fields, or all runs as a frame."""

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
    """A run in the table, with its fields, config and summary.

    Parameters
    ----------
    id : str
        The id of the run.
    name : str
        The display name of the run, or the id if the run has no name.
    fields : mapping
        The run's fields by the backend's names; empty if the run was deleted meanwhile.
    config, summary : mapping
        The config and the summary of the run; empty if the run was deleted meanwhile.
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
        """The run's state; "deleted" if the run was deleted while the page was built."""
        return "deleted" if self.is_gone else str(self.fields.get("state") or "unknown")

    @cached_property
    def values(self) -> dict[str, Any]:
        """The entries of config and summary by column name, such as ``config.lr``."""
        found = dict(flattened(self.config, CONFIG))
        found.update(flattened(self.summary, SUMMARY))
        return found

    def value(self, column: str) -> Any:
        """Return the run's value in a config or summary column; None if the run has no value."""
        part, _, path = column.partition(".")
        return value_at(self.config if part == CONFIG else self.summary, path)


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the table of runs.

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
    """Return the runs that match the filter of a view, in the order of the view.

    Raises
    ------
    InvalidArgument
        If the filter or the order is wrong.
    """
    return source.runs(
        view.entity, view.project, filters=view.filters, order=view.order, per_page=per_page
    )


def named_runs(source: Source, view: ProjectView, ids: Sequence[str]) -> RunList:
    """Return the project's runs that have the given ids; the view's filter is ignored."""
    return source.runs(
        view.entity,
        view.project,
        filters={"name": {"$in": list(ids)}},
        order="+created_at",
        per_page=MOST_AT_ONCE,
    )


def check_project(source: Source, view: ProjectView) -> None:
    """Raise an error if a project does not exist, or the visitor may not read it.

    In a directory of pulled runs, a project exists only if it has runs. A backend may have projects
    without runs.
    """
    n_runs = len(source.runs(view.entity, view.project, per_page=1))
    if n_runs == 0 and not source.is_live:
        raise NotCached(f"No run of '{view.entity}/{view.project}' was pulled.")


def read_page(source: Source, view: ProjectView) -> RunPage:
    """Read the runs of one page of the table.

    The first page takes one request. A later page takes a few requests, because the runs of earlier
    pages are listed first, without their large fields.
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
    """Read the runs with the given ids, in the order of ``ids``; unknown ids are left out."""
    if not ids:
        return []
    runs = named_runs(source, view, ids)
    if isinstance(runs, Runs):
        runs.upgrade_to_full()
    found = {run.id: read_row(run) for run in runs}
    return [found[one] for one in ids if one in found and not found[one].is_gone]


def read_row(run: Run) -> RunRow:
    """Return a run as a `RunRow`; without fields if the run was deleted meanwhile."""
    try:
        config, summary = dict(run.config), dict(run.summary_metrics)
        attrs = {**run.load(), "url": run.url, "entity": run.entity, "project": run.project}
    except RunNotFoundError:
        return RunRow(run.id, run.id, {})
    return RunRow(run.id, run.name or run.id, attrs, config, summary)


def field_columns(rows: Sequence[RunRow], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the cells of those columns that show fields of runs, by the name of the column.

    Columns of config and summary entries are left out.
    """
    wanted = [name for name in names if name in FIELDS]
    if not wanted:
        return {}
    frame = chosen_columns([row.fields for row in rows], wanted)
    return {name: frame.get_column(name).to_list() for name in wanted}


def whole_answer(source: Source, view: ProjectView) -> pl.DataFrame:
    """Return all runs that match a view as a frame: ``run_id`` and the columns of the view.

    If the view names no columns, the frame has all columns. If a named column such as
    ``config.net`` has mappings, the frame has the columns of their entries instead. A named column
    that no run has is null.
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
