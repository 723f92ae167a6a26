"""Convert runs to a frame: one row per run, with all fields or with some columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from runlake.errors import InvalidArgument
from runlake.history.frames.json_columns import column_of
from runlake.history.plan.reasons import near_names
from runlake.history.runs.run_paths import flattened, value_at
from runlake.values import RUN_ID, check_text

Run = Mapping[str, Any]

MAX_COUNT = 1 << 63
ID = "id"
# Fields that no backend sends: the run's name in the column ``run_id``, and its project.
LABEL, ENTITY, PROJECT = "label", "entity", "project"
# Types of values that become JSON text in a table of scalars.
NESTED = {dict, list, tuple}
# Columns that contain dicts, with the backend's names of these fields.
STRUCTS = {"config": "config", "summary": "summaryMetrics"}


def run_table(runs: Sequence[Run]) -> pl.DataFrame:
    """Return runs as a frame, with config and summary as struct columns.

    Parameters
    ----------
    runs : sequence of mapping
        The fields of each run as the backend names them; config and summary as dicts.

    Returns
    -------
    polars.DataFrame
        One row per run, in order. Times are UTC.

    Examples
    --------
    >>> run_table([{"name": "r1", "config": {"lr": 0.1}}]).select("id", "config").to_dicts()
    [{'id': 'r1', 'config': {'lr': 0.1}}]
    """
    structs = [
        column_of(column, [run.get(field) or {} for run in runs], pl.Struct([]))
        for column, field in STRUCTS.items()
    ]
    return pl.DataFrame([*(build(runs).alias(name) for name, build in FIELDS.items()), *structs])


def flat_run_table(runs: Sequence[Run]) -> tuple[pl.DataFrame, list[str]]:
    """Return runs as a frame of scalar columns, which can be written to CSV.

    Parameters
    ----------
    runs : sequence of mapping
        As for `run_table`.

    Returns
    -------
    tuple of polars.DataFrame and list of str
        One row per run, in order. Config and summary have a column per path, such as
        ``config.net.depth``, in the order of first appearance. Lists, empty dicts, dicts with a
        ``_type`` and values without a common type are JSON text; the list contains the names of the
        columns without a common type.

    Examples
    --------
    >>> runs = [{"name": "r1", "config": {"net": {"depth": 2}}}]
    >>> table, mixed = flat_run_table(runs)
    >>> table.select("id", "config.net.depth").to_dicts(), mixed
    ([{'id': 'r1', 'config.net.depth': 2}], [])
    """
    columns = {name: build(runs).alias(name) for name, build in FIELDS.items()}
    tags = columns["tags"].to_list()
    texts = [None if tag is None else json.dumps(tag) for tag in tags]
    columns["tags"] = pl.Series("tags", texts, pl.String())
    mixed: list[str] = []
    for column, field in STRUCTS.items():
        cells: dict[str, list[Any]] = {}
        for place, run in enumerate(runs):
            for path, value in flattened(run.get(field) or {}, column):
                if path not in cells:
                    cells[path] = [None] * len(runs)
                cells[path][place] = value
        for path, values in cells.items():
            columns[path], is_mixed = _scalar_column(path, values)
            mixed += [columns[path].name] if is_mixed else []
    return pl.DataFrame(list(columns.values())), mixed


def _scalar_column(path: str, values: Sequence[Any]) -> tuple[pl.Series, bool]:
    """Return a column of scalars, and whether it is JSON text because no type fits all values."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds.isdisjoint(NESTED):
        column = column_of(path, values)
        return column, column.dtype == pl.String() and kinds != {str}
    texts = [None if value is None else json.dumps(value, default=str) for value in values]
    return column_of(path, texts), not kinds <= NESTED


def chosen_columns(runs: Sequence[Run], names: Sequence[str]) -> pl.DataFrame:
    """Return a frame with only the named columns, one row per run.

    Parameters
    ----------
    runs : sequence of mapping
        As for `run_table`.
    names : sequence of str
        Columns of `run_table`, or paths such as ``config.lr``, as `checked_columns` returns them.

    Returns
    -------
    polars.DataFrame
        The columns in the order of ``names``. A path that a run does not have is null.

    Examples
    --------
    >>> runs = [{"name": "r1", "config": {"net": {"depth": 2}}}, {"name": "r2"}]
    >>> chosen_columns(runs, ["id", "config.net.depth"]).rows()
    [('r1', 2), ('r2', None)]
    """
    return pl.DataFrame([_chosen(runs, name) for name in names])


def _chosen(runs: Sequence[Run], name: str) -> pl.Series:
    build = FIELDS.get(name) or PLACES.get(name)
    if build is not None:
        return build(runs).alias(name)
    column, _, path = name.partition(".")
    return column_of(name, [value_at(run.get(STRUCTS[column]) or {}, path) for run in runs])


def checked_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Check names of columns of runs, and return each name once.

    Parameters
    ----------
    names : sequence of str
        Names of fields, ``entity``, ``project``, ``config``, ``summary``, or dotted paths into
        config or summary.

    Raises
    ------
    InvalidArgument
        If there is no such column.

    Examples
    --------
    >>> checked_columns(["name", "config.lr", "name"])
    ('name', 'config.lr')
    """
    if not isinstance(names, (list, tuple)):
        raise InvalidArgument(f"columns must be a list of names, not {names!r}.")
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgument(f"columns must be a list of strings, found {name!r}.")
        check_text(name, "The column")
        if name in FIELDS or name in PLACES or name.partition(".")[0] in STRUCTS:
            continue
        near = near_names(name, [*FIELDS, *PLACES, *STRUCTS])
        hint = f"Did you mean {near[0]!r}?" if near else f"Fields are {', '.join(FIELDS)}."
        raise InvalidArgument(
            f"Runs have no column {name!r}. {hint} Entries of config and summary are 'config.lr' "
            "and 'summary.loss'."
        )
    return tuple(dict.fromkeys(names))


def needs_large_fields(names: Sequence[str]) -> bool:
    """Return whether a column needs the config or summary of a run, which are large."""
    light = (FIELDS.keys() | PLACES.keys()) - {"runtime"}
    return not light.issuperset(names)


def _texts(field: str) -> Callable[[Sequence[Run]], pl.Series]:
    return lambda runs: pl.Series([_text(run.get(field)) for run in runs], dtype=pl.String())


def _run_ids(runs: Sequence[Run]) -> pl.Series:
    """Return the column ``run_id``: each run's label, or its id if the run has no label.

    A label distinguishes runs of a lake whose ids are equal.
    """
    names = [_text(run.get(LABEL) or run.get("name")) for run in runs]
    return pl.Series(names, dtype=pl.String())


def _times(field: str) -> Callable[[Sequence[Run]], pl.Series]:
    dtype = pl.Datetime("us", "UTC")
    return lambda runs: pl.Series([_time(run.get(field)) for run in runs], dtype=dtype)


def _tags(runs: Sequence[Run]) -> pl.Series:
    # polars creates a Python object for each list; Arrow does not.
    lists = pa.array([_list(run.get("tags")) for run in runs], pa.large_list(pa.large_string()))
    return pl.Series(lists)


def _users(runs: Sequence[Run]) -> pl.Series:
    names = [_text((run.get("user") or {}).get("username")) for run in runs]
    return pl.Series(names, dtype=pl.String())


def _line_counts(runs: Sequence[Run]) -> pl.Series:
    return pl.Series([_count(run.get("historyLineCount")) for run in runs], dtype=pl.Int64())


def _durations(runs: Sequence[Run]) -> pl.Series:
    """Return the seconds from the creation of each run to its last heartbeat."""
    spans = [(_time(run.get("createdAt")), _time(run.get("heartbeatAt"))) for run in runs]
    seconds = [(last - first).total_seconds() if first and last else None for first, last in spans]
    return pl.Series(seconds, dtype=pl.Float64())


def _runtimes(runs: Sequence[Run]) -> pl.Series:
    """Return the seconds that each run was running, which the SDK writes to the summary."""
    return pl.Series(
        [_runtime(run.get("summaryMetrics") or {}) for run in runs], dtype=pl.Float64()
    )


FIELDS: dict[str, Callable[[Sequence[Run]], pl.Series]] = {
    ID: _texts("name"),
    RUN_ID: _run_ids,
    "name": _texts("displayName"),
    "state": _texts("state"),
    "tags": _tags,
    "group": _texts("group"),
    "job_type": _texts("jobType"),
    "user": _users,
    "sweep": _texts("sweepName"),
    "notes": _texts("notes"),
    "url": _texts("url"),
    "created_at": _times("createdAt"),
    "heartbeat_at": _times("heartbeatAt"),
    "duration": _durations,
    "runtime": _runtimes,
    "history_line_count": _line_counts,
}


# These columns are not in the table of a project's runs, where all of their cells would be equal.
PLACES: dict[str, Callable[[Sequence[Run]], pl.Series]] = {
    ENTITY: _texts(ENTITY),
    PROJECT: _texts(PROJECT),
}


def _text(value: object) -> str | None:
    if isinstance(value, str) and value.isascii():
        return value
    # A string may have a lone surrogate, which JSON allows and UTF-8 does not.
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def _list(values: object) -> list[str | None] | None:
    return [_text(value) for value in values] if isinstance(values, list) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < MAX_COUNT else None


def _runtime(summary: Run) -> float | None:
    internal = summary.get("_wandb")
    nested = internal.get("runtime") if isinstance(internal, Mapping) else None
    found = summary.get("_runtime", nested)
    try:
        return float(found) if isinstance(found, (int, float)) else None
    except OverflowError:
        return None


def _time(text: object) -> datetime | None:
    """Return a time in UTC; None if the text is not a time."""
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
