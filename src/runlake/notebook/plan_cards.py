"""The cards of plans, pull results and scans."""

from __future__ import annotations

from collections.abc import Sequence

from runlake.notebook.cards import heading, notes_of
from runlake.notebook.cells import cell_text
from runlake.notebook.markup import Room, brief, card, element, folded
from runlake.notebook.tables import facts, rows_table

TABLE_BYTES = 40_000
MAX_COLUMNS = 12


def plan_card(
    title: str, header: Sequence[str], exports: Sequence[Sequence[str]], lines: Sequence[str]
) -> str:
    """Return the card of a plan: its exports as a table, and notes.

    Parameters
    ----------
    title : str
        The heading: what is read.
    header : sequence of str
        Names of the columns.
    exports : sequence of sequence of str
        A row per export.
    lines : sequence of str
        Lines about files, keys and live rows.
    """
    parts = [heading(title)]
    if exports:
        parts += rows_table(header, exports, Room(TABLE_BYTES), "print(plan)")
    parts += notes_of([line.strip() for line in lines])
    return card(*parts)


def pull_card(run: str, pairs: Sequence[tuple[str, str]], files: Sequence[str]) -> str:
    """Return the card of a pull: counts, and a line per file.

    Parameters
    ----------
    run : str
        Path of the run.
    pairs : sequence of tuple of str and str
        Names and values of the counts.
    files : sequence of str
        A line per export.
    """
    room = Room(TABLE_BYTES)
    shown = [line for line in (element("p", brief(one, 300)) for one in files) if room.takes(line)]
    parts = [heading(f"Pulled {run}"), facts(pairs)]
    if shown:
        parts.append(folded(f"files ({len(files):,})", *shown))
    return card(*parts)


def scan_card(
    title: str,
    pairs: Sequence[tuple[str, str | None]],
    rows: Sequence[dict[str, object]],
    notes: Sequence[str],
) -> str:
    """Return the card of a scan: what it reads, and its first rows.

    Parameters
    ----------
    title : str
        The heading: the run.
    pairs : sequence of tuple of str and str or None
        Keys, steps and numbers of rows.
    rows : sequence of dict
        The first rows.
    notes : sequence of str
        What is missing, and why.
    """
    parts = [heading(title), facts(pairs)]
    names = list(dict.fromkeys(key for row in rows for key in row))[:MAX_COLUMNS]
    if rows:
        cells = [[cell_text(row[key]) if key in row else "" for key in names] for row in rows]
        parts += rows_table(names, cells, Room(TABLE_BYTES), "iterate over the scan")
    return card(*parts, *notes_of(notes))
