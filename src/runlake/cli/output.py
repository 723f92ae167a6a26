"""Print the results of commands: tables on terminals, lines in pipes, JSON for scripts."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runlake.cli.cells import cell_text, json_text

if TYPE_CHECKING:
    import polars as pl

MAX_SHOWN_ROWS = 20
DIGITS = 6
# A wider cell is folded; so many characters of it are readable.
WIDE = 20
# Blanks that rich puts between two columns.
BETWEEN_COLUMNS = 3
NAMED_COLUMNS = 5


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def show_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print named values, one per line; a list takes a line per item.

    Parameters
    ----------
    facts : mapping
        Values by name.
    as_json : bool
        Print one JSON object instead.
    """
    if as_json:
        sys.stdout.write(json_text(facts) + "\n")
        return
    rows = []
    for name, value in facts.items():
        items = value or ["none"] if isinstance(value, list) else [value]
        rows += [[name, item] for item in items]
    if is_terminal():
        _print_table(None, list(_texts(rows)))
    else:
        _print_lines(_texts(rows))


def show_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows with named columns: as a table, as lines of text, or as JSON.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    rows : sequence
        Values of each row, in the order of the names.
    as_json : bool
        Print a JSON array of objects instead.
    """
    if as_json:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        sys.stdout.write(json_text(found) + "\n")
        return
    # A script that reads a pipe gets the line of names also without rows.
    if not rows and is_terminal():
        sys.stdout.write("Nothing.\n")
        return
    show_table(names, rows, limit=None)


def show_table(names: Sequence[str], rows: Iterable[Sequence[Any]], limit: int | None) -> None:
    """Print rows as a table on a terminal, as tab-separated lines elsewhere.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    rows : iterable
        All rows are read, because a terminal also shows the total number of rows.
    limit : int or None
        Maximum number of rows printed on a terminal, with the columns that fit in its width; None
        means all rows and columns. Files and pipes always get all rows and columns.
    """
    if not is_terminal():
        _print_lines(itertools.chain([[cell_text(name) for name in names]], _texts(rows)))
        return
    rows = iter(rows)
    shown = list(_texts(itertools.islice(rows, limit)))
    labels = [cell_text(name) for name in names]
    n_columns = len(labels) if limit is None else _count_fitting(labels, shown)
    _print_table(labels[:n_columns], [row[:n_columns] for row in shown])
    # The other rows are counted without being kept.
    n_rows = len(shown) + sum(1 for _ in rows)
    if n_rows > len(shown):
        sys.stdout.write(f"{len(shown)} of {n_rows:,} rows\n")
    if n_columns < len(labels):
        others = labels[n_columns:]
        named = ", ".join(others[:NAMED_COLUMNS])
        more = f" and {len(others) - NAMED_COLUMNS} more" if len(others) > NAMED_COLUMNS else ""
        sys.stdout.write(
            f"{n_columns} of {len(labels):,} columns; not shown: {named}{more}. "
            "Choose columns with --keys or SQL.\n"
        )


def _count_fitting(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how many columns, from the left, fit in the terminal; at least one.

    A column counts with at most `WIDE` characters, because long cells are folded.
    """
    from rich.cells import cell_len
    from rich.console import Console

    room = Console().width
    for index, label in enumerate(labels):
        longest = max(map(cell_len, (label, *(row[index] for row in rows))))
        room -= min(longest, WIDE) + BETWEEN_COLUMNS
        if room < 0:
            return max(index, 1)
    return len(labels)


def show_frame(frame: pl.DataFrame, limit: int = MAX_SHOWN_ROWS) -> None:
    """Print a frame: all rows, but on a terminal only the first ones and the number of all rows."""
    show_table(frame.columns, frame.iter_rows(), limit)


def _texts(rows: Iterable[Sequence[Any]]) -> Iterator[list[str]]:
    # Six digits are enough to look at; a program that reads a pipe gets all of them.
    digits = DIGITS if is_terminal() else None
    return ([cell_text(cell, digits=digits) for cell in row] for row in rows)


def _print_lines(rows: Iterable[Sequence[str]]) -> None:
    for row in rows:
        sys.stdout.write("\t".join(row) + "\n")


def _print_table(names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, because rich would interpret markup in strings. Long cells are folded.
    table = Table(box=None if names is None else SIMPLE_HEAD, show_header=names is not None)
    for name in names or ("", ""):
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
