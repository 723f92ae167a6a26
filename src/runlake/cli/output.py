"""One interface for what commands print: a table for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runlake.errors import InvalidArgument, RunlakeError

if TYPE_CHECKING:
    import polars as pl

MAX_SHOWN_ROWS = 20
ROWS_PER_WRITE = 10_000
PIPE_WIDTH = 1 << 16


def show_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print named facts, one a line; as JSON with the names as they are."""
    if as_json:
        sys.stdout.write(json.dumps(facts, default=str) + "\n")
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/bold]", escape(_text(value)))
    _console().print(table)


def show_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print facts about several things: a table with the names as its head, or a JSON array."""
    if as_json:
        sys.stdout.write(json.dumps(list(rows), default=str) + "\n")
        return
    if not rows:
        Console().print("Nothing.", style="dim")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(_text, row.values()))
    Console().print(table)


def show_frame(frame: pl.DataFrame, limit: int = MAX_SHOWN_ROWS) -> None:
    """Print the first rows of a frame and say how many there are."""
    table = Table(*map(escape, frame.columns))
    for row in frame.head(limit).iter_rows():
        table.add_row(*(escape(_text(value)) for value in row))
    _console().print(table)
    if frame.height > limit:
        _console().print(f"{limit} of {frame.height:,} rows", style="dim")


def check_output(output: Path | None) -> None:
    """Raise `InvalidArgument` where a file cannot be written, before anything is read for it."""
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        reason = "it is a directory" if output.is_dir() else "its directory does not exist"
        raise InvalidArgument(f"{str(output)!r} cannot be written: {reason}.")


def write_frame(frame: pl.DataFrame, form: str, output: Path | None) -> None:
    """Write a frame as CSV, JSON lines or Parquet to a file or to standard output.

    Raises
    ------
    RunlakeError
        If the file cannot be written.
    BrokenPipeError
        If nobody reads standard output any more.
    """
    if output is None:
        _write(frame, form, sys.stdout.buffer)
        return
    try:
        with output.open("wb") as file:
            _write(frame, form, file)
    except OSError as error:
        raise RunlakeError(
            f"{str(output)!r} cannot be written: {error.strerror or error}."
        ) from error


def _write(frame: pl.DataFrame, form: str, target: BinaryIO) -> None:
    if form == "parquet":
        frame.write_parquet(target)
        return
    frame = _without_nesting(frame) if form == "csv" else frame
    # Texts of ours, because the library's own writing hides which error the system gave.
    for index, piece in enumerate(frame.iter_slices(ROWS_PER_WRITE) if frame.height else [frame]):
        is_first = index == 0
        text = piece.write_csv(include_header=is_first) if form == "csv" else piece.write_ndjson()
        target.write(text.encode())


def show_curve(steps: Sequence[int], values: Sequence[float], title: str) -> None:
    """Draw one curve in the terminal."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(76, 16)
    curve = figure.signal(list(steps), list(values), marker="braille")
    curve.lines()
    figure.draw(curve)
    figure.title(title)
    figure.label("step", "x")
    # The colours of its themes paint the background too, which no terminal theme survives.
    sys.stdout.write(plotext.uncolorize(str(figure.build())) + "\n")


def _console() -> Console:
    """Return where to print; a pipe has no width that could cut a cell."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _without_nesting(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    from runlake.history.expressions import named

    nested = [n for n, t in frame.schema.items() if isinstance(t, (pl.Struct, pl.List))]
    texts = [
        named(name).map_elements(lambda cell: json.dumps(_plain(cell)), pl.String)
        for name in nested
    ]
    return frame.with_columns(texts)


def _plain(cell: Any) -> Any:
    return cell.to_list() if hasattr(cell, "to_list") else cell


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
