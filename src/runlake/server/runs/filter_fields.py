"""The fields by which runs can be filtered and ordered, as SQL over the table ``runs``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runlake.server.refused import Refused
from runlake.server.store.run_values import clean_text, json_path

MAX_PATH = 1_000
# Each part ``value`` of a path adds a place where the value may be.
MAX_ALTERNATIVES = 9
Operand = Callable[[Any], Any]
PLAIN_COLUMN = re.compile(r"[a-z]+\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class RunField:
    """A field by which runs can be filtered or ordered, with its SQL expressions.

    Parameters
    ----------
    name : str
        The field's name in a filter.
    kind : str
        SQL expression for the type of the value, which is a type name of SQLite's ``json_type``;
        null if the run does not have the field.
    value : str
        SQL expression for the value of the field.
    operand : callable
        Converts the operand of a comparison to the stored form of the value.
    elements : str, optional
        For a list such as the tags: a table of the list's elements. A condition is true if any
        element matches.
    whole : str, optional
        For a list: expression for the whole list as text.
    """

    name: str
    kind: str
    value: str
    operand: Operand = lambda operand: operand
    elements: str | None = None
    whole: str | None = None

    @property
    def searched(self) -> str:
        """SQL expression for the value in ORDER BY and in comparisons that can use an index.

        An index, if there is one, is on this expression. All other conditions use `value`. The two
        differ because SQLite reads an indexed expression from the index; in a condition that has a
        subquery, SQLite 3.40 then returns wrong rows.
        """
        return self.value if self.is_column else f"ifnull({self.value}, NULL)"

    @property
    def is_column(self) -> bool:
        """Whether the value is the content of a column of the table ``runs``."""
        return PLAIN_COLUMN.fullmatch(self.value) is not None and not self.elements


def find_field(name: str) -> RunField:
    """Return the field of runs that a name in a filter or an order stands for.

    Parameters
    ----------
    name : str
        A field of the run itself in camel case or snake case, ``config.<key>``,
        ``summary_metrics.<key>`` or ``keys_info.keys.<key>``.

    Returns
    -------
    RunField
        The field, with its SQL expressions.

    Raises
    ------
    Refused
        If there is no such field, or the name is too long or has too many parts ``value``.
    """
    if len(name) > MAX_PATH:
        raise Refused(f"the name {name!r:.60}... of a field is longer than {MAX_PATH:,} characters")
    for prefix, make in DOCUMENTS.items():
        if name.startswith(prefix):
            return make(name, clean_text(name.removeprefix(prefix)))
    if name in FIELDS:
        return FIELDS[name](name)
    raise Refused(f"runs have no field {name!r}, perhaps {' or '.join(map(repr, _near(name)))}")


def _near(name: str) -> list[str]:
    """Return the names of known fields that are similar to an unknown name."""
    if name in MISTAKEN:
        return [MISTAKEN[name]]
    document, _, key = name.partition(".")
    prefixes = difflib.get_close_matches(document, DOCUMENT_NAMES, n=1)
    if key and prefixes:
        return [f"{DOCUMENT_NAMES[prefixes[0]]}.{key}"]
    near = difflib.get_close_matches(name, FIELDS.keys() - SNAKE_CASE.keys(), n=1)
    return [*near, f"config.{name}", f"summary_metrics.{name}"]


def _text(column: str) -> Callable[[str], RunField]:
    return lambda name: RunField(name, f"CASE WHEN {column} IS NOT NULL THEN 'text' END", column)


def _number(expression: str) -> Callable[[str], RunField]:
    return lambda name: RunField(name, "'real'", f"({expression})")


def _time(column: str) -> Callable[[str], RunField]:
    # The protocol returns microseconds; a filter by a returned time must match the stored one.
    micros = f"CAST(round({column} * 1e6) AS INTEGER)"
    return lambda name: RunField(name, "'integer'", micros, _microseconds)


def _tags(name: str) -> RunField:
    return RunField(
        name,
        "tag.type",
        "tag.value",
        elements="json_each(runs.tags) AS tag",
        whole="json(runs.tags)",
    )


def _of_document(column: str) -> Callable[[str, str], RunField]:
    def field(name: str, path: str) -> RunField:
        # The paths become part of the SQL text, which is safe: json_path percent-encodes quotes.
        places = [json_path(alternative) for alternative in _alternatives(path)]
        if len(places) > MAX_ALTERNATIVES:
            raise Refused(
                f"the field {name!r:.60} has more than {MAX_ALTERNATIVES - 1} parts named 'value'"
            )
        kinds = ", ".join(f"json_type({column}, '{place}')" for place in places)
        tests = " ".join(
            f"WHEN json_type({column}, '{place}') IS NOT NULL "
            f"THEN json_extract({column}, '{place}')"
            for place in places
        )
        if len(places) == 1:
            return RunField(name, kinds, f"json_extract({column}, '{places[0]}')")
        return RunField(name, f"coalesce({kinds})", f"CASE {tests} END")

    return field


def _of_keys(name: str, key: str) -> RunField:
    literal = "'" + key.replace("'", "''") + "'"
    test = f"EXISTS (SELECT 1 FROM json_each(runs.key_facts) AS fact WHERE fact.key = {literal})"
    if key == "_step":
        test = "runs.last_step >= 0"
    return RunField(name, f"CASE WHEN {test} THEN 'object' END", "NULL")


def _alternatives(path: str) -> list[str]:
    """Return the paths that a path may mean: itself, and itself without a part ``value``."""
    parts = path.split(".")
    shorter = [
        ".".join(parts[:at] + parts[at + 1 :])
        for at in range(1, len(parts))
        if parts[at] == "value"
    ]
    return [path, *shorter]


def _microseconds(operand: Any) -> Any:
    if isinstance(operand, bool) or not isinstance(operand, (str, int, float)):
        return operand
    if not isinstance(operand, str):
        return operand * 1e6
    try:
        # W&B's documentation has "YYYY-MM-DDT##" in its filters, where ## is the hour.
        moment = datetime.fromisoformat(operand.removesuffix("T##"))
    except ValueError:
        raise Refused(f"{operand!r} is no time, such as '2026-01-31T12:00:00'") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


FIELDS: dict[str, Callable[[str], RunField]] = {
    "name": _text("runs.name"),
    "displayName": _text("runs.display_name"),
    "state": _text("runs.state"),
    "group": _text("runs.group_name"),
    "jobType": _text("runs.job_type"),
    "username": _text("projects.entity"),
    "entity": _text("projects.entity"),
    "project": _text("projects.name"),
    "host": _text("runs.host"),
    "commit": _text("runs.commit_hash"),
    "sweep": _text("runs.sweep"),
    "notes": _text("runs.notes"),
    "description": _text("runs.description"),
    "createdAt": _time("runs.created_at"),
    "heartbeatAt": _time("runs.heartbeat_at"),
    "updatedAt": _time("runs.heartbeat_at"),
    "duration": _number("runs.heartbeat_at - runs.created_at"),
    "historyLineCount": _number("runs.line_count"),
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
    "config.": _of_document("runs.config_values"),
    "summary_metrics.": _of_document("runs.summary_values"),
    "summaryMetrics.": _of_document("runs.summary_values"),
    "keys_info.keys.": _of_keys,
    "keysInfo.keys.": _of_keys,
}
# Names that users may write for the parts of a run, and the correct names in filters; for hints.
DOCUMENT_NAMES = {
    "config": "config",
    "summary": "summary_metrics",
    "metrics": "summary_metrics",
    "summary_metrics": "summary_metrics",
    "summaryMetrics": "summary_metrics",
    "keys_info": "keys_info.keys",
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
