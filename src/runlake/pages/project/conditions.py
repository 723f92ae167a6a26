"""Converts text that a visitor typed to filters in the language of `Api.runs`, without I/O."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runlake.errors import InvalidArgument
from runlake.public.lists.filters import checked_filters

MAX_CHARACTERS = 100_000
# Fields of runs by the names of the table's columns.
FIELDS = {
    "id": "name",
    "run_id": "name",
    "name": "displayName",
    "state": "state",
    "tags": "tags",
    "group": "group",
    "job_type": "jobType",
    "user": "username",
    "sweep": "sweep",
    "notes": "notes",
    "created_at": "createdAt",
    "heartbeat_at": "heartbeatAt",
    "duration": "duration",
    "history_line_count": "historyLineCount",
}
TEXTS = frozenset({"name", "displayName", "state", "tags", "group", "jobType", "sweep", "notes"})
SEARCHED = ("displayName", "name", "group", "notes", "tags")
# Characters that have a meaning in regular expressions, both in RE2 and in Python.
SPECIAL = frozenset("\\.+*?()|[]{}^$")


def parse_filter(text: str) -> dict[str, Any]:
    """Parse a filter that was typed as JSON or as a Python dict, and return the filter.

    Raises
    ------
    InvalidArgument
        If the text is neither a JSON object nor a dict, or is too long, or is no valid filter.

    Examples
    --------
    >>> parse_filter('{"state": "finished"}') == parse_filter("{'state': 'finished'}")
    True
    """
    if not text.strip():
        return {}
    if len(text) > MAX_CHARACTERS:
        raise InvalidArgument(f"The filter is longer than {MAX_CHARACTERS:,} characters.")
    try:
        found = json.loads(text)
    except RecursionError:
        raise InvalidArgument("The filter is nested too deep.") from None
    except ValueError as error:
        found = _python_dict(text)
        if found is None:
            raise InvalidArgument(
                f"The filter is not JSON: {error}. Write an object such as "
                '{"config.lr": {"$gt": 0.01}}.'
            ) from None
    if not isinstance(found, dict):
        raise InvalidArgument(
            'The filter must be an object such as {"state": "finished"}, not '
            f"{json.dumps(found, default=str)[:60]}."
        )
    return checked_filters(found)


def search_filter(text: str) -> dict[str, Any]:
    """Return a filter for runs that have a text in name, id, group, notes or tags.

    Case does not matter. If the text is empty, the filter matches all runs.
    """
    sought = text.strip()
    if not sought:
        return {}
    pattern = f"(?i){escaped_pattern(sought)}"
    return {"$or": [{field: {"$regex": pattern}} for field in SEARCHED]}


def joined(filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Combine filters into one filter, which matches the runs that match all of them.

    Examples
    --------
    >>> joined([{}, {"state": "finished"}])
    {'state': 'finished'}
    """
    both = [dict(one) for one in filters if one]
    if len(both) > 1:
        return {"$and": both}
    return both[0] if both else {}


def escaped_pattern(text: str) -> str:
    r"""Escape a text, so that as a regular expression it matches only the text itself.

    Examples
    --------
    >>> print(escaped_pattern("a.b c"))
    a\.b c
    """
    return "".join(f"\\{one}" if one in SPECIAL else one for one in text)


def condition(field: str, operator: str, value: str) -> dict[str, Any]:
    """Return the filter for one condition that was typed into the filter form.

    Parameters
    ----------
    field : str
        A column of the table, or the backend's name of a field.
    operator : str
        One of `OPERATORS`.
    value : str
        The text that was typed. JSON, such as a number, true or a string in quotes, is parsed. Any
        other text is used as it is, and so is every value of a text field, or of the operators
        "contains" and "matches".

    Raises
    ------
    InvalidArgument
        If the operator is unknown.

    Examples
    --------
    >>> condition("config.lr", "gt", "0.1"), condition("name", "eq", "12")
    ({'config.lr': {'$gt': 0.1}}, {'displayName': '12'})
    """
    if operator not in OPERATORS:
        raise InvalidArgument(f"A condition must be one of {', '.join(OPERATORS)}: {operator!r}.")
    name = field_of(field)
    _, build = OPERATORS[operator]
    typed = value if name in TEXTS or operator in PATTERNS else _typed(value)
    return {name: build(typed)}


def field_of(column: str) -> str:
    """Convert the name of a column of the table to the name that the backend uses in filters.

    Examples
    --------
    >>> field_of("summary.loss"), field_of("name"), field_of("config.lr")
    ('summary_metrics.loss', 'displayName', 'config.lr')
    """
    if column.startswith("summary."):
        return f"summary_metrics.{column.removeprefix('summary.')}"
    return FIELDS.get(column, column)


def column_of_field(field: str) -> str:
    """Convert a name that the backend uses in filters to the name of the table's column."""
    for prefix in ("summary_metrics.", "summaryMetrics."):
        if field.startswith(prefix):
            return f"summary.{field.removeprefix(prefix)}"
    names = {value: name for name, value in FIELDS.items() if name != "run_id"}
    return names.get(field, field)


Build = Callable[[Any], Any]

# For each operator of the form: its text on the page, and a function that builds the condition.
OPERATORS: dict[str, tuple[str, Build]] = {
    "eq": ("=", lambda value: value),
    "ne": ("≠", lambda value: {"$ne": value}),
    "gt": (">", lambda value: {"$gt": value}),
    "gte": ("≥", lambda value: {"$gte": value}),
    "lt": ("<", lambda value: {"$lt": value}),
    "lte": ("≤", lambda value: {"$lte": value}),
    "contains": ("contains", lambda value: {"$regex": f"(?i){escaped_pattern(value)}"}),
    "matches": ("matches", lambda value: {"$regex": value}),
    "exists": ("is there", lambda _: {"$exists": True}),
    "missing": ("is missing", lambda _: {"$exists": False}),
}
PATTERNS = frozenset({"contains", "matches"})


def _typed(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # Python's parser accepts NaN and Infinity, which are not JSON: they stay text.
    is_nan = isinstance(found, float) and not math.isfinite(found)
    return text if is_nan else found


def _python_dict(text: str) -> Any:
    """Parse a text as a Python dict literal and return the dict; None for any other text."""
    try:
        found = ast.literal_eval(text.strip())
    # TypeError: a dict or a set in the text has a key that cannot be hashed, as in {[]: 1}.
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, dict) else None
