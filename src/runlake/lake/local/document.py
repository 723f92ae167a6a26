"""The config or summary of a local run: nested values that records change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


class Document:
    """Nested values that are changed name by name.

    Of a name that is changed many times, only the last value is parsed: the summary of a run is
    written again with every row.

    Parameters
    ----------
    values : mapping, optional
        The values at the beginning.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})
        # In the order of the last change.
        self._changes: dict[tuple[str, ...], str] = {}

    def change(self, changes: Any) -> None:
        """Make the changes of a record; its values are JSON text."""
        for item in changes.update:
            names = names_of(item)
            former = self._changes.pop(names, "")
            if former.startswith("{") and item.value_json.startswith("{"):
                # The second dict adds to the first one.
                self._changes[names] = former
                self.values()
            self._changes[names] = item.value_json
        if not changes.remove:
            return
        self.values()
        for item in changes.remove:
            *parents, last = names_of(item)
            inner: Any = self._values
            for name in parents:
                inner = inner.get(name) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner.pop(last, None)

    def values(self) -> dict[str, Any]:
        """Return the values after all changes until now.

        Raises
        ------
        ValueError, RecursionError
            If a value is no JSON; the next call leaves it out.
        """
        changes, self._changes = self._changes, {}
        broken: Exception | None = None
        for names, text in changes.items():
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                broken = error
            else:
                _put(self._values, names, value)
        if broken is not None:
            raise broken
        return self._values


def names_of(item: Any) -> tuple[str, ...]:
    """Return the names on the way to a value of a record."""
    nested = item.nested_key
    # Indexing is faster than iterating, and most values have one name.
    return (nested[0],) if len(nested) == 1 else tuple(nested) or (item.key,)


def nested_of(names: Iterable[tuple[str, ...]], values: Iterable[Any]) -> dict[str, Any]:
    """Return values as nested dicts, by the names on the way to each."""
    document: dict[str, Any] = {}
    for path, value in zip(names, values, strict=True):
        if len(path) == 1:
            document[path[0]] = value
        else:
            _put(document, path, value)
    return document


def _put(document: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    *parents, last = names
    for name in parents:
        inner = document.get(name)
        if not isinstance(inner, dict):
            inner = document[name] = {}
        document = inner
    held = document.get(last)
    if isinstance(value, dict) and isinstance(held, dict):
        # The SDK adds the members of a dict to those that were there before.
        for name, member in value.items():
            _put(held, (name,), member)
    else:
        document[last] = value
