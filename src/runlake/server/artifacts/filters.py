"""Filters of artifact collections: the protocol's Mongo-like language, over a few text fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from runlake.server.refused import Refused
from runlake.server.store.patterns import compile_pattern, matches_pattern

MAX_NESTING = 16
MAX_CHARACTERS = 100_000
Keep = Callable[[Mapping[str, str | None]], bool]


def collection_filter(text: str | None, fields: frozenset[str]) -> Keep:
    """Compile a filter to a function that returns whether a collection matches.

    Parameters
    ----------
    text : str or None
        JSON; None or an empty string matches all collections.
    fields : set of str
        The fields that the filter may name.

    Returns
    -------
    callable
        Takes the fields of a collection, as a mapping of name to string or None; returns whether
        the collection matches.

    Raises
    ------
    Refused
        If the text is not a filter; the error says what is wrong.

    Examples
    --------
    >>> keep = collection_filter('{"name": {"$regex": "^da"}}', frozenset({"name"}))
    >>> keep({"name": "data"}), keep({"name": "model"})
    (True, False)
    """
    if len(text or "") > MAX_CHARACTERS:
        raise Refused(f"the filters are longer than {MAX_CHARACTERS:,} characters")
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise Refused("the filters are not JSON") from None
    return _all_of(document or {}, fields, MAX_NESTING)


def _all_of(document: Any, fields: frozenset[str], depth: int) -> Keep:
    if not isinstance(document, dict) or not depth:
        raise Refused(f"a filter of artifact collections is an object, not {document!r:.100}")
    parts = [_entry(key, value, fields, depth) for key, value in document.items()]
    return lambda row: all(keep(row) for keep in parts)


def _entry(key: str, value: Any, fields: frozenset[str], depth: int) -> Keep:
    if key in {"$and", "$or", "$nor"}:
        if not isinstance(value, list):
            raise Refused(f"{key} wants a list of filters, not {value!r:.100}")
        parts = [_all_of(part, fields, depth - 1) for part in value]
        if key == "$and":
            return lambda row: all(keep(row) for keep in parts)
        return lambda row: any(keep(row) for keep in parts) == (key == "$or")
    if key == "$not":
        inner = _all_of(value, fields, depth - 1)
        return lambda row: not inner(row)
    if key not in fields:
        known = ", ".join(sorted(fields))
        raise Refused(f"artifact collections cannot be filtered by {key!r}, only by {known}")
    operators = value if isinstance(value, dict) else {"$eq": value}
    tests = [_operator(name, operand) for name, operand in operators.items()]
    return lambda row: all(test(row[key]) for test in tests)


def _operator(name: str, operand: Any) -> Callable[[str | None], bool]:
    if name in {"$in", "$nin"} and isinstance(operand, list):
        return lambda found: (found in operand) == (name == "$in")
    is_text = isinstance(operand, str)
    if name in {"$eq", "$ne"} and (is_text or operand is None):
        return lambda found: (found == operand) == (name == "$eq")
    if name == "$contains" and is_text:
        return lambda found: found is not None and operand in found
    if name == "$regex" and is_text:
        try:
            compile_pattern(operand)
        except ValueError as error:
            raise Refused(f"the pattern {operand!r:.100} is wrong: {error}") from None
        return lambda found: matches_pattern(operand, found)
    raise Refused(f"artifact collections cannot be filtered by {name!r}: {operand!r:.100}")
