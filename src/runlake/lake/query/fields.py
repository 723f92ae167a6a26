"""Define the fields that runs are filtered and ordered by, as SQL over the table ``runs``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runlake.errors import InvalidArgument
from runlake.history.plan.reasons import near_names
from runlake.lake.query.members import LOGGED, first_present, kind_and_value
from runlake.lake.query.sql_text import Sql, bound, build

MAX_PATH = 1_000
# A path has one more reading for each part ``value``; see `_readings`.
MAX_READINGS = 9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Operand = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class RunField:
    """A field that runs can be filtered and ordered by, as SQL.

    Parameters
    ----------
    name : str
        The name of the field in filters.
    kind : Sql
        The type of the value, as SQLite's ``json_type`` names it; null if the run has no such
        value.
    value : Sql
        The value of the field.
    operand : callable
        Converts an operand of a comparison to the stored form of the value.
    elements : str, optional
        For a list: SQL of a table with the list's elements. A condition holds for the field if it
        holds for any element.
    whole : str, optional
        For a list: SQL of the list as JSON text.
    column : str, optional
        For a field that is a column: the name of the column. An index on the column can be used.
    """

    name: str
    kind: Sql
    value: Sql
    operand: Operand = lambda operand: operand
    elements: str | None = None
    whole: str | None = None
    column: str | None = None


def find_field(name: str) -> RunField:
    """Return the field with a name, which is in camel case or snake case.

    Raises
    ------
    InvalidArgument
        If the name is too long, or runs have no such field; the message then suggests a name.
    """
    if len(name) > MAX_PATH:
        raise InvalidArgument(f"The name {name[:60]!r}... of a field is too long.")
    for prefix, make in DOCUMENTS.items():
        if name.startswith(prefix):
            return make(name, name.removeprefix(prefix))
    if name in FIELDS:
        return FIELDS[name](name)
    near = MISTAKEN.get(name) or next(iter(near_names(name, list(FIELDS))), None)
    hint = repr(near) if near else f"'config.{name}' or 'summary_metrics.{name}'"
    raise InvalidArgument(f"Runs have no field {name!r}. Did you mean {hint}?")


def _text(value: str, *, column: str | None = None) -> Callable[[str], RunField]:
    kind = Sql(f"CASE WHEN {value} IS NOT NULL THEN 'text' END")
    return lambda name: RunField(name, kind, Sql(value), column=column)


def _column(name: str) -> Callable[[str], RunField]:
    return _text(f"runs.{name}", column=f"runs.{name}")


def _number(value: str, operand: Operand = lambda operand: operand) -> Callable[[str], RunField]:
    kind = Sql(f"CASE WHEN {value} IS NOT NULL THEN 'real' END")
    return lambda name: RunField(name, kind, Sql(f"({value})"), operand)


def _tags(name: str) -> RunField:
    elements = "json_each(coalesce(runs.tags, '[]')) AS tag"
    kind, value = Sql("tag.type"), Sql("tag.value")
    return RunField(name, kind, value, elements=elements, whole="json(runs.tags)")


def _of_document(column: str) -> Callable[[str, str], RunField]:
    def field(name: str, path: str) -> RunField:
        readings = _readings(path)
        if len(readings) > MAX_READINGS:
            raise InvalidArgument(
                f"The field {name[:60]!r} has more than {MAX_READINGS - 1} parts named 'value'."
            )
        found = [kind_and_value(f"runs.{column}", reading) for reading in readings]
        kinds, values = [kind for kind, _ in found], [value for _, value in found]
        return RunField(name, first_present(kinds, kinds), first_present(kinds, values))

    return field


def _of_keys(name: str, key: str) -> RunField:
    if key == "_step":
        return RunField(name, Sql("CASE WHEN runs.last_step >= 0 THEN 'object' END"), Sql("NULL"))
    held = build(f"{LOGGED}(runs.directory, {{}})", bound(key))
    return RunField(name, build("CASE WHEN {} THEN 'object' END", held), Sql("NULL"))


def _readings(path: str) -> list[str]:
    """Return the paths that a path can mean: ``lr.value`` can mean ``lr``, as in W&B's filters.

    Each path but the first lacks one part ``value``.
    """
    parts = path.split(".")
    shorter = [
        ".".join(parts[:at] + parts[at + 1 :])
        for at in range(1, len(parts))
        if parts[at] == "value"
    ]
    return [path, *shorter]


def microseconds(operand: Any) -> Any:
    """Convert a time to microseconds since 1970; return a value of another type as it is.

    A time is seconds since 1970, or ISO 8601 text, which is in UTC if it names no time zone.

    Raises
    ------
    InvalidArgument
        If a text is no time.
    """
    if isinstance(operand, bool) or not isinstance(operand, (str, int, float)):
        return operand
    if not isinstance(operand, str):
        try:
            return operand * 1e6
        except OverflowError:
            return math.inf if operand > 0 else -math.inf
    try:
        # W&B's documentation has "YYYY-MM-DDT##" in its filters, where ## is the hour.
        moment = datetime.fromisoformat(operand.removesuffix("T##"))
    except ValueError:
        raise InvalidArgument(
            f"{operand!r} is no time. Write a datetime, or text such as '2026-01-31T12:00:00'."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - EPOCH).total_seconds() * 1e6)


FIELDS: dict[str, Callable[[str], RunField]] = {
    "name": _column("run_id"),
    "displayName": _column("name"),
    "state": _column("state"),
    "group": _column("grp"),
    "jobType": _column("job_type"),
    "username": _text("coalesce(runs.user, runs.entity)"),
    "entity": _column("entity"),
    "project": _column("project"),
    "backend": _column("backend"),
    "sweep": _column("sweep"),
    "notes": _column("notes"),
    "host": _text("json_extract(runs.attrs, '$.host')"),
    "commit": _text("json_extract(runs.attrs, '$.commit')"),
    "description": _text("json_extract(runs.attrs, '$.description')"),
    "createdAt": _number("runs.created_us", microseconds),
    "heartbeatAt": _number("runs.heartbeat_us", microseconds),
    "updatedAt": _number("runs.heartbeat_us", microseconds),
    "duration": _number("(runs.heartbeat_us - runs.created_us) / 1e6"),
    "historyLineCount": _number("runs.history_line_count"),
    "tags": _tags,
}
SNAKE_CASE = {
    "display_name": "displayName",
    "job_type": "jobType",
    "created_at": "createdAt",
    "heartbeat_at": "heartbeatAt",
    "updated_at": "updatedAt",
    "history_line_count": "historyLineCount",
}
FIELDS |= {snake: FIELDS[camel] for snake, camel in SNAKE_CASE.items()}
DOCUMENTS: dict[str, Callable[[str, str], RunField]] = {
    "config.": _of_document("config"),
    "summary_metrics.": _of_document("summary"),
    "summaryMetrics.": _of_document("summary"),
    "keys_info.keys.": _of_keys,
    "keysInfo.keys.": _of_keys,
}
MISTAKEN = {
    "id": "name",
    "run_id": "name",
    "user": "username",
    "user.username": "username",
    "tag": "tags",
    "config": "config.<key>",
    "summary": "summary_metrics.<key>",
    "summary_metrics": "summary_metrics.<key>",
    "summaryMetrics": "summary_metrics.<key>",
}
