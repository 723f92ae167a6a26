"""Find values in nested config and summary dicts by dotted paths such as ``net.depth``; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MEDIA_TYPE = "_type"
_MISSING: Any = object()


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None if the path leads to no value.

    A key may have dots of its own: the longest key that exists is tried first.

    Examples
    --------
    >>> value_at({"net": {"depth": 2}}, "net.depth"), value_at({"a.b": 1}, "a.b")
    (2, 1)
    >>> value_at({"net": 5}, "net.depth") is None
    True
    """
    if not path:
        return values
    found = _find(values, path)
    return None if found is _MISSING else found


def _find(values: Mapping[str, Any], path: str) -> Any:
    head, tail = path, ""
    while head:
        if head in values:
            found = values[head]
            if not tail:
                return found
            if isinstance(found, Mapping):
                nested = _find(found, tail)
                if nested is not _MISSING:
                    return nested
        head, dot, last = head.rpartition(".")
        tail = f"{last}.{tail}" if tail else last
        if not dot:
            break
    return _MISSING


def flattened(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dicts with their dotted paths.

    Parameters
    ----------
    values : mapping
        JSON values.
    path : str
        The path of ``values`` itself; the paths that are yielded begin with it.

    Yields
    ------
    tuple of str and object
        Path and value. A list, an empty dict, and a dict with a ``_type`` (media, histograms) are
        one value each. If several values have the same path, the value with the longest key, which
        `value_at` returns, comes last.

    Examples
    --------
    >>> list(flattened({"net": {"depth": 2}, "sizes": [1, 2]}, "config"))
    [('config.net.depth', 2), ('config.sizes', [1, 2])]
    """
    entries: Iterable[tuple[str, Any]] = values.items()
    if any("." in key for key in values):
        entries = sorted(entries, key=_n_dots)
    for key, value in entries:
        inner = f"{path}.{key}"
        if isinstance(value, dict) and value and MEDIA_TYPE not in value:
            yield from flattened(value, inner)
        else:
            yield inner, value


def _n_dots(entry: tuple[str, Any]) -> int:
    return entry[0].count(".")
