"""Convert filters of lists, in the backend's MongoDB-like language, to plain JSON values."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from runlake.errors import InvalidArgument

# Backends parse filters recursively, as Python does: deeper nesting could overflow their stack.
MAX_DEPTH = 100


def checked_filters(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check filters, and convert them to plain JSON values.

    Parameters
    ----------
    filters : mapping or None
        Conditions by field and by operator. A ``datetime`` becomes a string in UTC. A ``datetime``
        without a time zone is taken as UTC, like the times that the backend shows.

    Returns
    -------
    dict
        A copy; empty for None.

    Raises
    ------
    InvalidArgument
        If ``filters`` is not a mapping, is nested too deep, or holds values that JSON cannot
        represent.

    Examples
    --------
    >>> from datetime import datetime
    >>> checked_filters({"createdAt": {"$gt": datetime(2026, 1, 31, 12)}})
    {'createdAt': {'$gt': '2026-01-31T12:00:00Z'}}
    """
    if filters is not None and not isinstance(filters, Mapping):
        raise InvalidArgument(
            f"filters must be a dict such as {{'state': 'finished'}}: {reprlib.repr(filters)}."
        )
    try:
        # Encoded and decoded, so that a later change of the given dict does not change the list.
        text = json.dumps(dict(filters or {}), default=_as_json)
        found: dict[str, Any] = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"filters must hold what JSON knows: {error}.") from error
    level: list[object] = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inner(outer)]
    if level:
        raise _too_deep()
    return found


def _inner(outer: object) -> Iterable[object]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list) else ()


def _too_deep() -> InvalidArgument:
    return InvalidArgument(
        f"filters are nested more than {MAX_DEPTH} deep. Join conditions in one list, as in "
        "{'$or': [..., ..., ...]}."
    )


def _as_json(value: object) -> Any:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{reprlib.repr(value)} is a {type(value).__name__}")
