"""Find values in stored config and summary documents by dotted path, inside SQLite.

A key may contain dots of its own, so a path can mean several things: ``a.b`` is the key ``a.b``, or
``b`` inside ``a``. The longest key is tried first, as everywhere in runlake.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runlake.cache.strict_json import strict_json
from runlake.lake.query.logged_keys import LoggedKeys
from runlake.lake.query.sql_text import Sql, bound, build

# A path of n parts has 2 ** (n - 1) readings; longer paths are resolved in Python.
MAX_PARTS = 4
MAX_PATTERN = 10_000
# Characters that JSON text escapes: SQLite before 3.45 compares keys with the escaped form.
ESCAPED = re.compile(r'["\\\x00-\x1f]')
MEMBER, CANONICAL = "runlake_member", "runlake_canonical"
MATCHES, LOGGED = "runlake_matches", "runlake_logged"
MISSING = object()


def add_functions(connection: sqlite3.Connection, logged: LoggedKeys) -> None:
    """Give a connection the SQL functions that this package's expressions call.

    Parameters
    ----------
    connection : sqlite3.Connection
        A connection to a catalog.
    logged : LoggedKeys
        The keys that the runs have logged.
    """
    connection.create_function(MEMBER, 2, _member, deterministic=True)
    connection.create_function(CANONICAL, 1, _canonical, deterministic=True)
    connection.create_function(MATCHES, 2, _matches, deterministic=True)
    # Not deterministic, because it reads the manifest, which a pull may change.
    connection.create_function(LOGGED, 2, logged.has)


def kind_and_value(document: str, path: str) -> tuple[Sql, Sql]:
    """Return SQL for the type of a value, as ``json_type`` names it, and SQL for the value.

    Parameters
    ----------
    document : str
        SQL of the column that has the document.
    path : str
        Dotted path to the value.

    Returns
    -------
    tuple of Sql and Sql
        Both are null if the document does not have the path.
    """
    places = _places(path)
    if places is None:
        found = build(f"{MEMBER}({document}, {{}})", bound(path))
        return build("json_type({})", found), build("json_extract({}, '$')", found)
    kinds = [build(f"json_type({document}, {{}})", bound(place)) for place in places]
    values = [build(f"json_extract({document}, {{}})", bound(place)) for place in places]
    return first_present(kinds, kinds), first_present(kinds, values)


def first_present(kinds: Sequence[Sql], values: Sequence[Sql]) -> Sql:
    """Return SQL for the first of ``values`` whose kind is not null; ``kinds`` are their kinds."""
    if len(values) == 1:
        return values[0]
    cases = [
        build("WHEN {} IS NOT NULL THEN {}", kind, value)
        for kind, value in zip(kinds, values, strict=True)
    ]
    return build(f"CASE {' '.join(['{}'] * len(cases))} END", *cases)


def find_member(document: Any, path: str) -> Any:
    """Return the value at a dotted path; `MISSING` if there is none.

    Examples
    --------
    >>> find_member({"a": {"b": 1}, "a.c": None}, "a.b"), find_member({"a.c": None}, "a.c")
    (1, None)
    """
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        head = ".".join(parts[:length])
        if not isinstance(document, Mapping) or head not in document:
            continue
        if length == len(parts):
            return document[head]
        found = find_member(document[head], ".".join(parts[length:]))
        if found is not MISSING:
            return found
    return MISSING


def canonical(value: Any) -> str:
    """Return JSON text with sorted keys that is the same for equal values, such as 1 and 1.0.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": [True]})
    '{"a":[true],"b":1}'
    """
    return strict_json(_ordered(value))


def _places(path: str) -> list[str] | None:
    parts = path.split(".")
    if len(parts) > MAX_PARTS or not all(parts) or ESCAPED.search(path):
        return None
    return ["$" + "".join(f'."{key}"' for key in keys) for keys in _readings(parts)]


def _readings(parts: Sequence[str]) -> Iterator[list[str]]:
    if not parts:
        yield []
    for length in range(len(parts), 0, -1):
        for rest in _readings(parts[length:]):
            yield [".".join(parts[:length]), *rest]


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _member(document: object, path: str) -> str | None:
    if not isinstance(document, str):
        return None
    found = find_member(json.loads(document), path)
    return None if found is MISSING else strict_json(found)


def _canonical(text: object) -> str | None:
    return canonical(json.loads(text)) if isinstance(text, str) else None


def _matches(pattern: str, text: object) -> bool:
    # `re` caches compiled patterns.
    return isinstance(text, str) and re.search(pattern, text, re.ASCII) is not None
