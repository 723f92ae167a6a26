"""Converts config and summary to the form for SQL filters: JSON with a member per dotted path.

SQLite's JSON functions read only standard JSON, look up keys one level at a time, and treat quotes
in keys differently between versions. So each run also stores its config and its summary in this
form; triggers in the database keep this copy up to date.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from runlake.server.store.long_json import dumps_object, loads

# SQLite refuses JSON nested deeper than 1,000 levels; deeper values cannot be used in filters.
MAX_DEPTH = 32
# Maximum size of the stored values. If a document has more, some values cannot be used in filters.
MAX_BYTES = 3 << 20
BYTES_OF_NUMBER = 8
LONG_DOCUMENT = 1 << 16
EXACT_FLOAT = 2**53
# JSON has no infinity; SQLite reads a number that is too large as infinity.
INFINITE = 10**400


class _Ahead(threading.local):
    """Results of `config_values` and `summary_values` that a thread computed in advance.

    In ``texts``, a key is a pair: "config" or "summary", and the JSON of the document.
    """

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}


_AHEAD = _Ahead()


def config_values(text: str) -> str:
    """Convert a config to JSON with a member per dotted path, without ``{"value": ...}`` wrappers.

    Examples
    --------
    >>> config_values('{"lr": {"value": NaN}, "net": {"value": {"depth": 2.0}}}')
    '{"lr":null,"net":{"depth":2},"net.depth":2}'
    """
    ahead = _AHEAD.texts.pop(("config", text), None)
    if ahead is not None:
        return ahead
    return _flat({key: _unwrapped(entry) for key, entry in _parsed(text).items()})


def summary_values(text: str) -> str:
    """Convert a summary to JSON with a member per dotted path."""
    ahead = _AHEAD.texts.pop(("summary", text), None)
    return _flat(_parsed(text)) if ahead is None else ahead


def work_ahead(*, config: str | None = None, summary: str | None = None) -> None:
    """Convert a long config or summary to JSON by dotted path before it is stored.

    Otherwise triggers would convert the document within this thread's next transaction, during
    which no other user can write. For a document of 10 MB this takes seconds.
    """
    _AHEAD.texts.clear()
    if config is not None and len(config) > LONG_DOCUMENT:
        _AHEAD.texts["config", config] = config_values(config)
    if summary is not None and len(summary) > LONG_DOCUMENT:
        _AHEAD.texts["summary", summary] = summary_values(summary)


def json_path(path: str) -> str:
    """Convert a dotted path to the JSON path by which SQL reads a result of `config_values`.

    The JSON path can be put into the text of an SQL statement.

    Examples
    --------
    >>> json_path("net.depth"), json_path("it's")
    ('$."net.depth"', '$."it%27s"')
    """
    return f'$."{_member(path)}"'


def standard_json(value: Any) -> str:
    """Return JSON that every version of SQLite can read; equal values give equal strings."""
    return json.dumps(_standard(value, MAX_DEPTH), separators=(",", ":"), sort_keys=True)


def clean_text(text: str) -> str:
    """Replace characters that SQLite texts cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\1").encode("utf-8", "replace").decode()


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _unwrapped(entry: Any) -> Any:
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry


def _flat(document: dict[str, Any]) -> str:
    found: dict[str, Any] = {}
    _collect(document, "", MAX_DEPTH, found, _Room(document))
    encoder = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
    values = {_member(path): _standard(value, MAX_DEPTH) for path, value in found.items()}
    return dumps_object(values, encoder)


def _collect(
    document: dict[str, Any], prefix: str, depth: int, found: dict[str, Any], room: _Room
) -> None:
    """Add every value of a document to ``found``, by dotted path.

    ``{"a.b": 1, "a": {"b": 2}}`` has two values with the path ``a.b``. Only the value with more
    dots in its own key is added, here the value of ``"a.b"``.
    """
    keys = sorted(document, key=lambda key: key.count("."), reverse=True)
    for key in keys:
        path = f"{prefix}{key}"
        if path not in found:
            room.add(path, document[key], found)
    for key in keys:
        if depth and isinstance(document[key], dict):
            _collect(document[key], f"{prefix}{key}.", depth - 1, found, room)


class _Room:
    """Limits the total size of the stored values of a document.

    A nested value is stored again at every level, so without a limit a small document could become
    very large.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._left = MAX_BYTES
        self._sizes: dict[int, int] = {}
        self._measure(document)

    def add(self, path: str, value: Any, found: dict[str, Any]) -> None:
        """Add a value to ``found`` if the size limit allows it.

        A dict or list that is too large is added without its entries.
        """
        size = len(path) + self._measure(value)
        if size > self._left and isinstance(value, (dict, list)):
            value, size = type(value)(), len(path)
        if size <= self._left:
            self._left -= size
            found[path] = value

    def _measure(self, value: Any) -> int:
        """Return the approximate length of a value as JSON."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, (dict, list)):
            return BYTES_OF_NUMBER
        size = self._sizes.get(id(value))
        if size is None:
            size = sum(self._measure(item) for item in _items(value)) + 2 * len(value)
            if isinstance(value, dict):
                size += sum(map(len, value))
            self._sizes[id(value)] = size
        return size


def _items(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _member(path: str) -> str:
    return quote(path, safe="/ ", errors="surrogatepass")


def _standard(value: Any, depth: int) -> Any:
    if isinstance(value, float):
        return _standard_number(value)
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (dict, list)) and not depth:
        return None
    if isinstance(value, dict):
        return {clean_text(key): _standard(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_standard(item, depth - 1) for item in value]
    return value


def _standard_number(value: float) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return INFINITE if value > 0 else -INFINITE
    return int(value) if value.is_integer() and abs(value) < EXACT_FLOAT else value
