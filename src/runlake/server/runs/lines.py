"""Converts history lines, as the SDK sends them, to rows, as the protocol returns them."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runlake.server.runs.wire_json import read_json

Row = dict[str, Any]
# Types of values that `parse_line` replaces or leaves out.
NESTED = {dict, type(None)}
NOT_NUMERIC = -1.7976931348623157e308
LAST_STEP = 2**63 - 2
WHOLE_STEP = re.compile(r'"_step": ?(\d+)[,}]')
# Matches numbers that may exceed a double; JSON readers turn these into infinities.
LONG_EXPONENT = re.compile(r"\d[eE]\+?\d{3}")
# One of these matches wherever `LONG_EXPONENT` matches. They begin with a letter, which makes the
# search ten times as fast.
LONG_EXPONENTS = (re.compile(r"e\+?\d{3}"), re.compile(r"E\+?\d{3}"))
# A line with one of these texts may have a number that is not JSON, a null cell, or an escape that
# is half of a surrogate pair.
NOT_ON_WIRE = ("NaN", "Infinity", "null", "\\u")


def parse_line(line: str) -> Row:
    """Parse a history line; nested dicts are replaced by dotted keys.

    Empty dicts, and dicts with a key ``_type``, are not replaced.

    Parameters
    ----------
    line : str
        A JSON object. The key ``_step`` may be missing, or is an integer from 0 to `LAST_STEP`.

    Returns
    -------
    dict
        The keys and values; nulls are left out.

    Raises
    ------
    ValueError
        If the line is not such an object.

    Examples
    --------
    >>> parse_line('{"_step": 0, "val": {"loss": NaN}, "none": null, "h": {"_type": "histogram"}}')
    {'_step': 0, 'val.loss': nan, 'h': {'_type': 'histogram'}}
    """
    values = read_json(line)
    if not isinstance(values, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the sender's error, not the caller's
    row: Row = {}
    if NESTED.isdisjoint(map(type, values.values())):
        row = values
    else:
        _flatten(values, "", row)
    if "_step" in row:
        row["_step"] = _whole_step(row["_step"])
    return row


def _whole_step(step: Any) -> int:
    is_number = isinstance(step, (int, float)) and not isinstance(step, bool)
    if not is_number or not 0 <= step <= LAST_STEP or step != int(step):
        raise ValueError(f"_step is {step!r:.40}, no integer of 0 to {LAST_STEP}")
    return int(step)


def _flatten(values: Mapping[str, Any], prefix: str, row: Row) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and value and "_type" not in value:
            _flatten(value, f"{prefix}{key}.", row)
        elif value is not None:
            row[prefix + key] = value


def to_wire(value: Any) -> Any:
    """Replace non-finite numbers by the strings that represent them in standard JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_wire(item) for item in value]
    return value


def rows_on_wire(lines: Mapping[int, Sequence[str]]) -> list[str]:
    """Return the row of each step as JSON, merged from all lines of the step.

    Examples
    --------
    >>> rows_on_wire({3: ['{"_step": 3, "a": 1}'], 5: ['{"_step": 5, "b": NaN}']})
    ['{"_step": 3, "a": 1}', '{"_step": 5, "b": "NaN"}']
    """
    texts = [same[0] for same in lines.values()]
    if all(len(same) == 1 for same in lines.values()) and _are_on_wire(list(lines), texts):
        return texts
    return [row_on_wire(step, same) for step, same in lines.items()]


def row_on_wire(step: int, lines: Sequence[str]) -> str:
    """Return the row of a step as JSON, merged from all lines of the step.

    Examples
    --------
    >>> row_on_wire(3, ['{"_step": 3, "loss": 0.5}'])
    '{"_step": 3, "loss": 0.5}'
    >>> row_on_wire(3, ['{"_step": 3, "val": {"loss": NaN}}', '{"_step": 3, "lr": 1}'])
    '{"_step": 3, "val.loss": "NaN", "lr": 1}'
    >>> row_on_wire(3, ['{"_step": 3, "loss": 1e999}'])
    '{"_step": 3, "loss": "Infinity"}'
    """
    if len(lines) == 1 and _is_on_wire(step, lines[0]):
        return lines[0]
    (row,) = merge_steps(map(parse_line, lines))
    return json.dumps(to_wire(row))


def _is_on_wire(step: int, line: str) -> bool:
    """Return whether a line can be sent unchanged: as flat, standard JSON with its step."""
    found = WHOLE_STEP.search(line)
    return (
        line.count("{") == 1
        and not any(word in line for word in NOT_ON_WIRE)
        and not LONG_EXPONENT.search(line)
        and found is not None
        and int(found[1]) == step
    )


def _are_on_wire(steps: Sequence[int], lines: Sequence[str]) -> bool:
    """Return whether all lines can be sent to clients unchanged.

    This is faster than to call `_is_on_wire` for each line, but less exact: the result is also
    False if a letter ``e`` with three digits after it, which could be the exponent of a number, is
    part of a key or a string.
    """
    text = "\n".join(lines)
    return (
        # Each line has at least one brace, at the start of its object.
        text.count("{") == len(lines)
        and not any(word in text for word in NOT_ON_WIRE)
        and not any(exponent.search(text) for exponent in LONG_EXPONENTS)
        and list(map(int, WHOLE_STEP.findall(text))) == steps
    )


def merge_steps(rows: Iterable[Row]) -> list[Row]:
    """Return one row per step, ascending.

    If several rows of a step have a key, the returned row has the last value of the key.
    """
    merged: dict[int, Row] = {}
    for row in rows:
        step = row["_step"]
        merged[step] = {**merged[step], **row} if step in merged else row
    return [merged[step] for step in sorted(merged)]


def sample_evenly(rows: list[Row], limit: int) -> list[Row]:
    """Return at most ``limit`` rows, evenly spaced, with the first row and the last row."""
    return [rows[position] for position in even_positions(len(rows), limit)]


def even_positions(n_rows: int, limit: int) -> Sequence[int]:
    """Return the positions of an even sample of at most ``limit`` out of ``n_rows`` rows.

    Examples
    --------
    >>> list(even_positions(9, 3))
    [0, 4, 8]
    """
    if limit < 1:
        return range(0)
    if n_rows <= limit:
        return range(n_rows)
    if limit == 1:
        return range(1)
    return [round(index * (n_rows - 1) / (limit - 1)) for index in range(limit)]


def count_keys(facts: dict[str, Any], rows: Iterable[Row]) -> None:
    """Add the values in new rows to the facts about a run's keys.

    Parameters
    ----------
    facts : dict
        For each key, ``{"types": {type: count}, "previous": number, "monotonic": bool}``: how many
        values have each type, the last number, and whether the numbers never descend. The function
        changes this dict.
    rows : iterable of dict
        Rows that are not counted yet.
    """
    for key, values in _columns(list(rows)):
        if key == "_step":
            continue
        fact = facts.get(key)
        if fact is None:
            fact = facts[key] = {"types": {}, "previous": NOT_NUMERIC, "monotonic": True}
        kinds = set(map(type, values))
        is_plain = kinds <= {int, float}
        types = fact["types"]
        for kind in ("number",) if is_plain else map(_kind, values):
            types[kind] = types.get(kind, 0) + (len(values) if is_plain else 1)
        if kinds & {int, float}:
            numbers = values if is_plain else [v for v in values if type(v) in {int, float}]
            _count_numbers(fact, numbers)


def _columns(rows: Sequence[Row]) -> Iterable[tuple[str, Sequence[Any]]]:
    """Return each key with its values in the rows; fast, because some runs have 10,000s of keys."""
    names = set(map(tuple, rows))
    if len(names) == 1:
        # The usual case: each row has the same keys in the same order.
        return zip(names.pop(), zip(*(row.values() for row in rows), strict=True), strict=True)
    cells: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            held = cells.get(key)
            if held is None:
                cells[key] = [value]
            else:
                held.append(value)
    return cells.items()


def _count_numbers(fact: dict[str, Any], numbers: Sequence[float]) -> None:
    if not fact["monotonic"]:
        # Only the last number counts.
        last = next(filter(_is_double, reversed(numbers)), None)
        fact["previous"] = fact["previous"] if last is None else last
        return
    try:
        doubles = list(filter(math.isfinite, numbers))
    except OverflowError:
        doubles = list(filter(_is_double, numbers))
    if not doubles:
        return
    sequence = [fact["previous"], *doubles]
    fact["monotonic"] = all(map(operator.le, sequence, doubles))
    fact["previous"] = doubles[-1]


def _is_double(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def history_keys(facts: Mapping[str, Any], last_step: int) -> dict[str, Any] | None:
    """Return the ``historyKeys`` object of a run; None if the run has no history."""
    if last_step < 0:
        return None
    keys = {
        key: {
            "typeCounts": [{"type": kind, "count": count} for kind, count in fact["types"].items()],
            "monotonic": fact["monotonic"],
            "previousValue": fact["previous"],
        }
        for key, fact in facts.items()
    }
    keys["_step"] = {"typeCounts": [], "monotonic": True, "previousValue": last_step}
    return {"sets": [], "keys": keys, "lastStep": last_step}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "list"
    return str(value.get("_type", "map")) if isinstance(value, dict) else "nil"
