"""The cards of a run, and of a list of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from runlake.notebook.cards import heading, notes_of
from runlake.notebook.cells import cell_text
from runlake.notebook.markup import Content, Room, brief, card, element, folded, link
from runlake.notebook.pictures import Picture, gallery
from runlake.notebook.sparkline import Curve, sparkline
from runlake.notebook.tables import facts, rows_table, state_text
from runlake.notebook.trees import tree
from runlake.values.counted import counted

# In bytes. Together with pictures of 96 kB, a card of a run is below 200 kB.
TREE_BYTES = 18_000
CURVES_BYTES = 48_000
RUNS_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The fields and values that the card of a run shows.

    Parameters
    ----------
    title : str
        Display name of the run, or the id if the run has no name.
    path, state, url : str
        Path and state of the run, and the URL of its page.
    pairs : sequence of tuple of str and str or None
        Times, user, tags and other fields.
    config, summary : mapping
        The values of config and summary; None if they are not shown.
    curves : sequence of Curve
        The curves of some keys.
    n_keys : int
        Number of keys with numbers.
    pictures : sequence of Picture
        The last logged images.
    notes : sequence of str
        What is missing and why, and which requests were made.
    """

    title: str
    path: str
    state: str
    url: str
    pairs: Sequence[tuple[str, str | None]] = ()
    config: Mapping[str, Any] | None = None
    summary: Mapping[str, Any] | None = None
    curves: Sequence[Curve] = ()
    n_keys: int = 0
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()


def run_card(run: RunFacts, charts: str = "", height: int | None = None) -> str:
    """Return the HTML of the card of a run.

    Parameters
    ----------
    run : RunFacts
        The fields and values to show.
    charts : str
        HTML with charts of the run's keys, which follows the card.
    height : int, optional
        Maximum height of the card in pixels.
    """
    parts = [
        heading(run.title, state_text(run.state)),
        element("p", link(run.url, brief(run.path, 300))),
        facts(run.pairs),
    ]
    if run.curves:
        title = f"curves ({len(run.curves):,} of {counted(run.n_keys, 'key')})"
        rows = [(curve.key, sparkline(curve), curve.last) for curve in run.curves]
        table = rows_table(("key", "curve", "last"), rows, Room(CURVES_BYTES), "run.keys()")
        parts.append(folded(title, *table, is_open=True))
    for name, values in (("config", run.config), ("summary", run.summary)):
        if values is not None:
            parts.append(tree(name, values, Room(TREE_BYTES), f"run.{name}"))
    if run.pictures:
        title = f"images ({len(run.pictures):,})"
        parts.append(folded(title, gallery(run.pictures), is_open=True))
    return card(*parts, *notes_of(run.notes), height=height) + charts


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a row of a list.

    Parameters
    ----------
    name, state, url : str
        Display name and state of the run, and the URL of its page.
    values : sequence
        A value for each column; None where the run has no value.
    curve : Curve or None
        The curve of the chosen key; None if the run has no such curve.
    """

    name: str
    state: str
    url: str
    values: Sequence[Any] = ()
    curve: Curve | None = None


def runs_table(
    columns: Sequence[str], key: str | None, rows: Sequence[RunRow], n_runs: int | None
) -> list[Element]:
    """Return runs as a table: state, name, columns of config and summary, and a curve.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns, such as ``config.lr``.
    key : str or None
        The key whose curves are shown; None to show no curves.
    rows : sequence of RunRow
        The runs.
    n_runs : int or None
        Number of runs in the list; None if unknown.
    """
    header = ["state", "name", *columns, *([] if key is None else [key])]
    table = rows_table(
        header,
        (_row(row, has_curve=key is not None) for row in rows),
        Room(RUNS_BYTES),
        "runs.frame()",
    )
    if n_runs is not None and n_runs > len(rows):
        table.append(element("p", f"{len(rows):,} of {n_runs:,} runs; runs.frame() has all."))
    return table


def _row(row: RunRow, *, has_curve: bool) -> list[Content]:
    values = ["" if value is None else cell_text(value) for value in row.values]
    cells: list[Content] = [state_text(row.state), link(row.url, brief(row.name)), *values]
    if has_curve:
        cells.append("" if row.curve is None else sparkline(row.curve))
    return cells
