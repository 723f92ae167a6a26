"""Filters of runs: compiles the Mongo-like language of the protocol to SQL.

A comparison of values of different types is false, never an error. For a missing field, ``$ne``,
``$nin`` and ``$exists: false`` are true, and all other comparisons are false.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runlake.server.refused import Refused
from runlake.server.runs.filter_fields import RunField, find_field
from runlake.server.store.patterns import compile_pattern, literal_of_pattern
from runlake.server.store.run_values import clean_text, standard_json

MAX_CHARACTERS = 1_000_000
MAX_CONDITIONS = 2_000
# Maximum number of times that the SQL of one comparison contains the field's SQL.
NAMES_IN_SQL = 4
MAX_SQL = 4_000_000
MAX_NESTING = 16
MAX_SEARCHES = 8
# Shortest text that is searched in an index: most names contain any single character.
SHORTEST_PROBED = 2
MEMBERS = "(SELECT member.value FROM json_each(?) AS member)"
JOINING = ["$and", "$or", "$nor", "$not"]
ORDERED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


@dataclass(frozen=True, slots=True)
class Probe:
    """A comparison of one field with values, as SQL that can use an index on the field.

    Parameters
    ----------
    field : RunField
        The field that is compared.
    sql : str
        The comparison as an SQL expression.
    values : tuple
        The values for the question marks in ``sql``, in order.
    is_walked : bool
        True if SQLite must read the whole index, which is still faster than reading all runs.
    """

    field: RunField
    sql: str
    values: tuple[Any, ...]
    is_walked: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL condition that is true or false, never null.

    Parameters
    ----------
    sql : str
        An expression over the table ``runs``; put it in brackets after ``WHERE``.
    values : tuple
        The values for the question marks in ``sql``, in order.
    probes : tuple of Probe
        Comparisons that are true for every matching run, and for which an index can be used.
    """

    sql: str
    values: tuple[Any, ...] = ()
    probes: tuple[Probe, ...] = ()

    def __invert__(self) -> Condition:
        return Condition(f"NOT ({self.sql})", self.values)


ALWAYS, NEVER = Condition("1"), Condition("0")


def parse_filters(text: str | None) -> Condition:
    """Compile the ``filters`` argument of a GraphQL query to an SQL condition.

    Parameters
    ----------
    text : str or None
        JSON; None or an empty string matches every run.

    Returns
    -------
    Condition
        Condition for a query of the table ``runs`` joined with ``projects``.

    Raises
    ------
    Refused
        If the text is not a filter; the error names the wrong operator, field or value.
    """
    if len(text or "") > MAX_CHARACTERS:
        raise Refused(f"the filters are longer than {MAX_CHARACTERS:,} characters")
    try:
        document = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise Refused("the filters are not JSON") from None
    return _Compiler().filters(document or {}, MAX_NESTING)


class _Compiler:
    """Compiles one filter; refuses too large filters with clearer messages than SQLite's."""

    def __init__(self) -> None:
        self._n_conditions = 0
        self._n_sql = 0

    def filters(self, document: Any, depth: int) -> Condition:
        if not isinstance(document, dict):
            raise Refused(f"a filter is an object, not {_shown(document)}")
        return _joined(
            "AND", [self._entry(key, value, depth) for key, value in document.items()], ALWAYS
        )

    def _entry(self, key: str, value: Any, depth: int) -> Condition:
        self._count(1 if depth else MAX_CONDITIONS + 1)
        if key in {"$and", "$or", "$nor"}:
            if not isinstance(value, list):
                raise Refused(f"{key} wants a list of filters, not {_shown(value)}")
            conditions = [self.filters(one, depth - 1) for one in value]
            if key == "$and":
                return _joined("AND", conditions, ALWAYS)
            one_of = _joined("OR", conditions, NEVER)
            return one_of if key == "$or" else ~one_of
        if key == "$not":
            return ~self.filters(value, depth - 1)
        if key.startswith("$"):
            raise Refused(f"unknown operator {key!r:.60}{_perhaps(key, JOINING)}")
        return self._operators(find_field(key), value, depth)

    def _operators(self, field: RunField, value: Any, depth: int) -> Condition:
        if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
            self._count_sql(field, 1)
            return _is_one_of(field, [value])
        conditions = []
        for name, operand in value.items():
            n_conditions = len(operand) if name == "$all" and isinstance(operand, list) else 1
            self._count(n_conditions)
            self._count_sql(field, n_conditions)
            if name == "$not":
                if not isinstance(operand, dict) or not depth:
                    raise Refused(f"$not wants operators, not {_shown(operand)}")
                conditions.append(~self._operators(field, operand, depth - 1))
            elif name in OPERATORS:
                conditions.append(OPERATORS[name](field, operand))
            else:
                hint = _perhaps(name, ["$not", *OPERATORS])
                raise Refused(f"unknown operator {name!r:.60} for {field.name!r}{hint}")
        return _joined("AND", conditions, ALWAYS)

    def _count(self, n_conditions: int) -> None:
        self._n_conditions += n_conditions
        if self._n_conditions > MAX_CONDITIONS:
            raise Refused(
                f"the filter is too large: {MAX_CONDITIONS} conditions at most, nested "
                f"{MAX_NESTING} deep at most"
            )

    def _count_sql(self, field: RunField, n_comparisons: int) -> None:
        """Refuse a filter whose SQL would be too long: each comparison repeats its field's SQL."""
        self._n_sql += n_comparisons * NAMES_IN_SQL * (len(field.kind) + len(field.value))
        if self._n_sql > MAX_SQL:
            raise Refused(
                "the filter is too large: it compares fields with long names too many times"
            )


def _equal(field: RunField, operand: Any) -> Condition:
    return _is_one_of(field, [operand])


def _in(field: RunField, operand: Any) -> Condition:
    if not isinstance(operand, list):
        raise Refused(f"$in and $nin want a list of values, not {_shown(operand)}")
    return _is_one_of(field, operand)


def _all(field: RunField, operand: Any) -> Condition:
    """Return the condition that a field has all given values; a single value counts as a list."""
    if not isinstance(operand, list):
        raise Refused(f"$all wants a list of values, not {_shown(operand)}")
    conditions = [_joined("OR", [_equal(field, one), _holds(field, one)], NEVER) for one in operand]
    return _joined("AND", conditions, NEVER)


def _holds(field: RunField, operand: Any) -> Condition:
    if field.elements or operand is None or isinstance(operand, list | dict):
        return NEVER
    kinds = ", ".join(repr(kind) for kind in _kinds_of(operand))
    elements = f"json_each(CASE WHEN {field.kind} = 'array' THEN {field.value} ELSE '[]' END)"
    return Condition(
        f"EXISTS (SELECT 1 FROM {elements} AS element "
        f"WHERE element.type IN ({kinds}) AND element.value = ?)",
        (_bindable(operand),),
    )


def _is_one_of(field: RunField, operands: Sequence[Any]) -> Condition:
    kinds: dict[tuple[str, ...], list[Any]] = {}
    conditions = [_is_null(field)] if None in operands else []
    wholes = []
    for operand in operands:
        if isinstance(operand, list | dict) and field.whole:
            wholes.append(standard_json(operand))
        elif operand is not None:
            converted = field.operand(operand)
            kinds.setdefault(_kinds_of(converted), []).append(converted)
    if wholes:
        conditions.append(Condition(f"{field.whole} IN {MEMBERS}", (standard_json(wholes),)))
    for kind, values in kinds.items():
        if kind in {("array",), ("object",)}:
            # Lists and objects are compared as JSON texts, which are equal for equal values.
            listed = standard_json([standard_json(value) for value in values])
        else:
            # No value equals NaN.
            listed = standard_json([value for value in values if value == value])  # noqa: PLR0124
        test = f"{_has_kind(field, kind)} AND {field.value} IN {MEMBERS}"
        conditions.append(_with_probe(_where(field, test, listed), field, kind, values))
    return _joined("OR", conditions, NEVER)


def _is_null(field: RunField) -> Condition:
    """Return the condition that a field is null or missing."""
    if field.elements:
        return Condition(f"NOT EXISTS (SELECT 1 FROM {field.elements})")
    return Condition(f"coalesce({field.kind}, 'null') = 'null'")


def _exists(field: RunField, operand: Any) -> Condition:
    if field.elements:
        found = Condition(f"EXISTS (SELECT 1 FROM {field.elements})")
    else:
        found = Condition(f"({field.kind}) IS NOT NULL")
    return found if operand else ~found


def _ordered(sign: str) -> Callable[[RunField, Any], Condition]:
    def compare(field: RunField, operand: Any) -> Condition:
        if operand is None:
            return _is_null(field) if sign.endswith("=") else NEVER
        converted = field.operand(operand)
        if isinstance(converted, list | dict) or converted != converted:  # noqa: PLR0124 - NaN
            return NEVER
        value, kinds = _bindable(converted), _has_kind(field, _kinds_of(converted))
        found = _where(field, f"{kinds} AND {field.value} {sign} ?", value)
        probe = Probe(field, f"{field.searched} {sign} ?", (value,))
        return found if field.elements else replace(found, probes=(probe,))

    return compare


def _regex(field: RunField, operand: Any) -> Condition:
    if not isinstance(operand, str):
        raise Refused(f"$regex wants a pattern, not {_shown(operand)}")
    try:
        compile_pattern(operand)
    except ValueError as error:
        raise Refused(f"the pattern {operand!r:.100} is wrong: {error}") from None
    test = f"{_has_kind(field, ('text',))} AND matches_pattern(?, {field.value})"
    literal = literal_of_pattern(operand)
    if not literal or field.elements:
        return _where(field, test, operand)
    # SQLite finds a text much faster than it calls a function.
    found = Condition(f"(instr({field.value}, ?) AND {test}) IS TRUE", (literal, operand))
    if len(literal) < SHORTEST_PROBED or not field.is_column:
        return found
    probe = Probe(field, f"instr({field.value}, ?)", (literal,), is_walked=True)
    return replace(found, probes=(probe,))


OPERATORS: Mapping[str, Callable[[RunField, Any], Condition]] = {
    "$eq": _equal,
    "$ne": lambda field, operand: ~_equal(field, operand),
    "$all": _all,
    "$in": _in,
    "$nin": lambda field, operand: ~_in(field, operand),
    "$exists": _exists,
    "$regex": _regex,
    **{name: _ordered(sign) for name, sign in ORDERED.items()},
}


def _where(field: RunField, test: str, value: Any) -> Condition:
    if field.elements:
        return Condition(f"EXISTS (SELECT 1 FROM {field.elements} WHERE {test})", (value,))
    return Condition(f"({test}) IS TRUE", (value,))


def _with_probe(
    found: Condition, field: RunField, kind: tuple[str, ...], values: Sequence[Any]
) -> Condition:
    """Return a condition with a comparison that can use an index, if an index may help.

    Parameters
    ----------
    found : Condition
        Condition that compares the field with the values.
    field : RunField
        The field.
    kind : tuple of str
        Types that the value of the field may have.
    values : sequence
        The values; there may be too many of them for an index.
    """
    if field.elements or kind in {("array",), ("object",)} or len(values) > MAX_SEARCHES:
        return found
    marks = ", ".join("?" * len(values))
    probe = Probe(field, f"{field.searched} IN ({marks})", tuple(map(_bindable, values)))
    return replace(found, probes=(probe,))


def _has_kind(field: RunField, kinds: tuple[str, ...]) -> str:
    return f"{field.kind} IN ({', '.join(repr(kind) for kind in kinds)})"


def _kinds_of(operand: Any) -> tuple[str, ...]:
    if isinstance(operand, bool):
        return ("true", "false")
    if isinstance(operand, (int, float)):
        return ("integer", "real")
    if isinstance(operand, str):
        return ("text",)
    return ("array",) if isinstance(operand, list) else ("object",)


def _bindable(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _joined(word: str, conditions: Sequence[Condition], empty: Condition) -> Condition:
    """Join conditions as a balanced tree, because SQLite limits the depth of an expression."""
    if not conditions:
        return empty
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    left = _joined(word, conditions[:middle], empty)
    right = _joined(word, conditions[middle:], empty)
    probes = left.probes + right.probes if word == "AND" else ()
    return Condition(f"({left.sql}) {word} ({right.sql})", left.values + right.values, probes)


def _perhaps(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f", perhaps {near[0]!r}" if near else ""


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
