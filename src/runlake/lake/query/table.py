"""Return the runs of a lake as a frame, one row per run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from runlake.errors import MixedTypesWarning
from runlake.errors.user_line import warn
from runlake.history.frames.json_columns import column_of
from runlake.history.runs.run_table import (
    ENTITY,
    FIELDS,
    PLACES,
    PROJECT,
    STRUCTS,
    checked_columns,
    chosen_columns,
    flat_run_table,
    run_table,
)
from runlake.lake.packed.elsewhere import shown_place
from runlake.lake.query.members import MISSING, find_member, kind_and_value
from runlake.lake.query.run_fields import NAMES, Fields, read_fields, sources_of, value_of
from runlake.lake.query.selection import Selection
from runlake.lake.query.sql_text import Sql

SHOWN_COLUMNS = 5


def lake_table(selection: Selection, columns: Sequence[str] | None, *, flat: bool) -> pl.DataFrame:
    """Return the selected runs as a frame, one row per run.

    Parameters
    ----------
    selection : Selection
        The runs to return.
    columns : sequence of str or None
        Columns to return; None means entity, project, and all fields, config and summary.
    flat : bool
        Return one column for each path in config and summary, instead of structs.
    """
    names = None if columns is None else checked_columns(columns)
    if names is not None and not flat:
        return _some_columns(selection, names)
    fields, _ = read_fields(selection, tuple(NAMES))
    if not flat:
        places = chosen_columns(fields, (ENTITY, PROJECT))
        return pl.concat([places, run_table(fields)], how="horizontal")
    return flat_lake_table(fields, shown_place(selection.root), names)


def flat_lake_table(
    fields: Sequence[Fields], place: str, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return runs as a frame of scalar columns; see `flat_run_table`.

    Parameters
    ----------
    fields : sequence of dict
        The fields of each run by the backend's names.
    place : str
        Directory or URL of the lake, which warnings name.
    columns : sequence of str or None
        Columns to return; None means all. ``config`` or ``config.net`` also means all columns whose
        names begin with it and a dot. A name without a column is left out.
    """
    table, mixed = flat_run_table(fields)
    table = pl.concat([chosen_columns(fields, (ENTITY, PROJECT)), table], how="horizontal")
    if columns is not None:
        kept = [name for one in columns for name in table.columns if _is_of(name, one)]
        table = table[list(dict.fromkeys(kept))]
    _warn_of_mixed(place, [name for name in mixed if name in table.columns])
    return table


def _is_of(name: str, asked: str) -> bool:
    return name == asked or (asked not in FIELDS and name.startswith(f"{asked}."))


def _warn_of_mixed(place: str, mixed: Sequence[str]) -> None:
    if mixed:
        shown = ", ".join(map(repr, mixed[:SHOWN_COLUMNS]))
        more = f" and {len(mixed) - SHOWN_COLUMNS:,} more" if len(mixed) > SHOWN_COLUMNS else ""
        warn(
            f"Columns of the runs in {place!r} have values without a common type and "
            f"are JSON text: {shown}{more}.",
            MixedTypesWarning,
        )


def _some_columns(selection: Selection, names: Sequence[str]) -> pl.DataFrame:
    """Return a frame with the requested columns of the selected runs.

    If none of ``config``, ``summary`` and ``runtime`` is requested, SQLite returns only the
    requested members. For runs whose values SQLite cannot represent exactly, it also returns the
    whole config and summary.
    """
    paths = [name for name in names if name not in FIELDS and name not in PLACES]
    paths = [name for name in paths if name not in STRUCTS]
    extra: list[Sql] = []
    for name in paths:
        document, _, path = name.partition(".")
        extra += kind_and_value(f"runs.{document}", path)
    if paths:
        extra.append(Sql("runs.exact"))
    sources = sources_of([name for name in names if name not in paths])
    fields, values = read_fields(selection, sources, extra)
    series = {
        name: column_of(name, [_cell(name, at, row) for row in values])
        for at, name in enumerate(paths)
    }
    plain = chosen_columns(fields, [name for name in names if name not in series])
    return pl.DataFrame([series[name] if name in series else plain[name] for name in names])


def _cell(name: str, place: int, row: Sequence[Any]) -> Any:
    """Return one value in config or summary, from a row that SQLite returned.

    Parameters
    ----------
    name : str
        The dotted name of the value, such as ``config.lr``.
    place : int
        Position of the name among the requested names.
    row : sequence
        For each requested name, the value's type as SQLite's ``json_type`` names it, and the value.
        The last item is the JSON of config and summary; None if SQLite can represent all values.
    """
    exact = row[-1]
    if exact is None:
        return value_of(row[2 * place], row[2 * place + 1])
    document, _, path = name.partition(".")
    found = find_member(json.loads(exact)[document], path)
    return None if found is MISSING else found
