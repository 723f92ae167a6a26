"""Builds the line of Python that reads the same data as a page; the page shows this line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runlake.pages.project.view import ProjectView

LAKE_ORDER = "+created_at"


def runs_line(view: ProjectView, *, is_live: bool, filters: dict[str, Any] | None = None) -> str:
    """Return the Python expression that reads the runs of a view.

    Parameters
    ----------
    view : ProjectView
        The visitor's choices.
    is_live : bool
        True if the runs are read from a backend, False if they were pulled.
    filters : dict, optional
        A filter that replaces the filter of the view.
    """
    chosen = view.filters if filters is None else filters
    if is_live:
        parts = [repr(f"{view.entity}/{view.project}")]
        parts += [repr(chosen)] if chosen else []
        parts += [f"order={view.order!r}"] if view.order != LAKE_ORDER else []
        return f"runlake.Api().runs({', '.join(parts)})"
    here = {"entity": view.entity, "project": view.project}
    return f"runlake.Lake().where({ {'$and': [here, chosen]} if chosen else here!r})"


def table_line(view: ProjectView, *, is_live: bool) -> str:
    """Return the Python line that reads the table with all runs, not only those of one page."""
    columns = f"[{list(dict.fromkeys(['run_id', *view.column]))!r}]" if view.column else ""
    if is_live:
        return f"{runs_line(view, is_live=True)}.frame(flat=True){columns}"
    filters = {"entity": view.entity, "project": view.project}
    both = {"$and": [filters, view.filters]} if view.filters else filters
    order = f", {view.order!r}" if view.order != LAKE_ORDER else ""
    return f"runlake.Lake().runs({both!r}{order}, flat=True){columns}"


def plot_line(view: ProjectView, drawn: Sequence[str], key: str, *, is_live: bool) -> str:
    """Return the Python line that plots a key of the runs whose ids are in ``drawn``.

    If ``drawn`` is empty, the line plots all runs of the view.
    """
    arguments = [repr(key)]
    arguments += [f"x={view.x!r}"] if view.x else []
    arguments += [f"by={list(view.by)!r}"] if view.by else []
    arguments += [f"band={view.bands!r}"] if view.band else []
    arguments += [f"smooth={view.smooth}"] if view.smooth else []
    arguments += [f"log={view.log!r}"] if view.log else []
    filters = {"name": {"$in": list(drawn)}} if drawn else None
    chosen = view.but(order=LAKE_ORDER) if drawn else view
    return f"{runs_line(chosen, is_live=is_live, filters=filters)}.plot({', '.join(arguments)})"


def compare_line(view: ProjectView, *, is_live: bool) -> str:
    """Return the Python line that reads config and summary of the selected runs."""
    filters = {"name": {"$in": list(view.run)}}
    chosen = view.but(order=LAKE_ORDER)
    return f"{runs_line(chosen, is_live=is_live, filters=filters)}.frame(flat=True)"
