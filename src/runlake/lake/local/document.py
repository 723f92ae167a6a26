"""The config or summary of a local run: nested values that records change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# The name of a value, or the path of names to a nested value.
Name: TypeAlias = str | tuple[str, ...]


class Document:
    """The nested values of a config or summary, which records change one by one.

    The SDK writes the summary again with every row. So if a value is replaced many times, only the
    last value is parsed.

    Parameters
    ----------
    values : mapping, optional
        The values at the beginning.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})
        # In the order of the last change.
        self._changes: dict[Name, str] = {}

    def change(self, changes: Any) -> None:
        """Apply the changes of a record, whose values are JSON text."""
        pending = self._changes
        # The loop takes most of the time of reading a file, so it calls no function for a value.
        for item in changes.update:
            # The SDK names a value by `nested_key`, a list of names, or by `key`.
            nested = item.nested_key
            name = nested[0] if len(nested) == 1 else tuple(nested) or item.key
            text = item.value_json
            former = pending.pop(name, None)
            if former and former[0] == "{" and text[:1] == "{":
                # The second dict adds to the first one.
                pending[name] = former
                self.values()
                pending = self._changes
            pending[name] = text
        if not changes.remove:
            return
        self.values()
        for item in changes.remove:
            *parents, last = tuple(item.nested_key) or (item.key,)
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
            If a value is not valid JSON; the next call leaves it out.
        """
        changes, self._changes = self._changes, {}
        broken: Exception | None = None
        for name, text in changes.items():
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                broken = error
            else:
                _put(self._values, name, value)
        if broken is not None:
            raise broken
        return self._values


def nested_of(items: Any, values: Sequence[Any]) -> dict[str, Any]:
    """Return the values of a record as nested dicts; each of ``items`` has the path of a value."""
    names: list[Any] = [
        nested[0] if len(nested := item.nested_key) == 1 else tuple(nested) or item.key
        for item in items
    ]
    if tuple not in set(map(type, names)):
        return dict(zip(names, values, strict=True))
    document: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        _put(document, name, value)
    return document


def _put(document: dict[str, Any], name: Name, value: Any) -> None:
    *parents, last = (name,) if isinstance(name, str) else name
    for parent in parents:
        inner = document.get(parent)
        if not isinstance(inner, dict):
            inner = document[parent] = {}
        document = inner
    held = document.get(last)
    if isinstance(value, dict) and isinstance(held, dict):
        # The SDK adds the members of a dict to those that were there before.
        for inner_name, member in value.items():
            _put(held, inner_name, member)
    else:
        document[last] = value
