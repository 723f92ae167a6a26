"""Compile run filters in W&B's MongoDB-like language to SQL over the catalog.

Values of different types are never equal, and neither is greater: ``$ne`` is true for them, and
``$eq`` and ``$gt`` are false. A missing field and NaN are compared like null. So if an operand has
no null, ``$ne`` and ``$nin`` are true for them, and all other comparisons are false. But
``$exists: false`` is true only for a missing field.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runlake.cache.strict_json import strict_json
from runlake.errors import InvalidArgument
from runlake.history.plan.reasons import near_names
from runlake.lake.query.fields import RunField, find_field
from runlake.lake.query.members import CANONICAL, MATCHES, MAX_PATTERN, canonical
from runlake.lake.query.sql_text import Sql, bound, build, joined

MAX_CONDITIONS = 2_000
MAX_NESTING = 16
MAX_SQL = 4_000_000
INT64 = range(-(2**63), 2**63)
ALWAYS, NEVER = Sql("1"), Sql("0")
JOINING = ("$and", "$or", "$nor", "$not")
ORDERED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
NESTED = (("array",), ("object",))


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the rows of the table ``runs``.

    Parameters
    ----------
    sql : Sql
        Expression that is true or false for each run, never null.
    probes : tuple of Sql
        Comparisons that hold for every run that matches, and that can use an index.
    """

    sql: Sql
    probes: tuple[Sql, ...] = ()


def compile_filters(filters: Mapping[str, Any]) -> Condition:
    """Compile filters of runs to a SQL condition on the table ``runs``.

    Parameters
    ----------
    filters : mapping
        Plain JSON values, as `runlake.public.lists.filters.checked_filters` returns them.

    Returns
    -------
    Condition
        The condition. All values in the filters are parameters of the SQL.

    Raises
    ------
    InvalidArgument
        If an operator, field or value is wrong, or the filter is too large.

    Examples
    --------
    >>> compile_filters({"state": "finished"}).probes
    (Sql(text='runs.state = ?', values=('finished',)),)
    """
    # SQLite cannot use an index for the compiled condition, in which each comparison is wrapped.
    probes = tuple(
        build(f"{field.column} = {{}}", bound(value))
        for name, value in filters.items()
        if isinstance(value, str) and not name.startswith("$")
        for field in [find_field(name)]
        if field.column
    )
    return Condition(_Compiler().document(filters, MAX_NESTING), probes)


class _Compiler:
    """Compiles one filter, and refuses a filter that is too large for SQLite."""

    def __init__(self) -> None:
        self._n_conditions = 0
        self._n_sql = 0

    def document(self, document: Any, depth: int) -> Sql:
        if not isinstance(document, Mapping):
            raise InvalidArgument(f"A filter is a dict, not {_shown(document)}.")
        return joined("AND", [self._entry(*one, depth) for one in document.items()], ALWAYS)

    def _entry(self, key: str, value: Any, depth: int) -> Sql:
        self._count(1 if depth else MAX_CONDITIONS + 1)
        if key == "$not":
            return _negated(self.document(value, depth - 1))
        if key in JOINING:
            if not isinstance(value, list):
                raise InvalidArgument(f"{key} takes a list of filters, not {_shown(value)}.")
            parts = [self.document(one, depth - 1) for one in value]
            if key == "$and":
                return joined("AND", parts, ALWAYS)
            either = joined("OR", parts, NEVER)
            return either if key == "$or" else _negated(either)
        if key.startswith("$"):
            raise InvalidArgument(f"Unknown operator {key[:60]!r}.{_perhaps(key, JOINING)}")
        return self._comparisons(find_field(key), value, depth)

    def _comparisons(self, field: RunField, value: Any, depth: int) -> Sql:
        if not isinstance(value, Mapping) or not any(name.startswith("$") for name in value):
            return self._checked(_is_any_of(field, [value]))
        parts = []
        for name, operand in value.items():
            self._count(len(operand) if name == "$all" and isinstance(operand, list) else 1)
            if name == "$not":
                if not isinstance(operand, Mapping) or not depth:
                    raise InvalidArgument(f"$not takes operators, not {_shown(operand)}.")
                parts.append(_negated(self._comparisons(field, operand, depth - 1)))
            elif name in OPERATORS:
                parts.append(self._checked(OPERATORS[name](field, operand)))
            else:
                hint = _perhaps(name, ["$not", *OPERATORS])
                raise InvalidArgument(f"Unknown operator {name[:60]!r} of {field.name!r}.{hint}")
        return joined("AND", parts, ALWAYS)

    def _count(self, n_conditions: int) -> None:
        self._n_conditions += n_conditions
        if self._n_conditions > MAX_CONDITIONS:
            raise InvalidArgument(
                f"The filter is too large: at most {MAX_CONDITIONS:,} conditions, nested at most "
                f"{MAX_NESTING} deep, are possible."
            )

    def _checked(self, condition: Sql) -> Sql:
        self._n_sql += len(condition.text) + sum(
            len(value) for value in condition.values if isinstance(value, str)
        )
        if len(condition.text) and self._n_sql > MAX_SQL:
            raise InvalidArgument(
                "The filter is too large: it compares fields with long names too many times."
            )
        return condition


def _negated(condition: Sql) -> Sql:
    return build("(NOT ({}))", condition)


def _equal(field: RunField, operand: Any) -> Sql:
    return _is_any_of(field, [operand])


def _in(field: RunField, operand: Any) -> Sql:
    if not isinstance(operand, list):
        raise InvalidArgument(f"$in and $nin take a list of values, not {_shown(operand)}.")
    return _is_any_of(field, operand)


def _all(field: RunField, operand: Any) -> Sql:
    """Return the condition that a field contains each value of a list.

    A field that is not a list counts as a list of one value. For an empty list of values, the
    condition is false.
    """
    if not isinstance(operand, list):
        raise InvalidArgument(f"$all takes a list of values, not {_shown(operand)}.")
    parts = [joined("OR", [_equal(field, one), _holds(field, one)], NEVER) for one in operand]
    return joined("AND", parts, NEVER)


def _holds(field: RunField, operand: Any) -> Sql:
    """Return the condition that the value of a field is a list that contains a scalar."""
    if field.elements or operand is None or isinstance(operand, (list, dict)):
        return NEVER
    listed = build(
        "json_each(CASE WHEN {} = 'array' THEN {} ELSE '[]' END)", field.kind, field.value
    )
    return build(
        f"EXISTS (SELECT 1 FROM {{}} AS element WHERE element.type IN {_names(_kinds_of(operand))} "
        "AND element.value = {})",
        listed,
        bound(_bindable(operand)),
    )


def _is_any_of(field: RunField, operands: Sequence[Any]) -> Sql:
    parts = [_is_null(field)] if None in operands else []
    by_kind: dict[tuple[str, ...], list[Any]] = {}
    wholes = []
    for operand in operands:
        if isinstance(operand, (list, dict)) and field.whole:
            wholes.append(canonical(operand))
        elif operand is not None:
            converted = field.operand(operand)
            by_kind.setdefault(_kinds_of(converted), []).append(converted)
    if wholes:
        found = Sql(f"{CANONICAL}({field.whole})")
        parts.append(build("({} IN {}) IS TRUE", found, _members(wholes)))
    for kinds, values in by_kind.items():
        if kinds in NESTED:
            is_one = build(
                f"{CANONICAL}({{}}) IN {{}}", field.value, _members([*map(canonical, values)])
            )
        else:
            # No value equals NaN.
            numbers = [value for value in values if value == value]  # noqa: PLR0124
            is_one = build("{} IN {}", field.value, _members(numbers))
        parts.append(_where(field, build("{} AND {}", _has_kind(field, kinds), is_one)))
    return joined("OR", parts, NEVER)


def _members(values: Sequence[Any]) -> Sql:
    return Sql("(SELECT member.value FROM json_each(?) AS member)", (strict_json(values),))


def _is_null(field: RunField) -> Sql:
    if field.elements:
        return Sql(f"NOT EXISTS (SELECT 1 FROM {field.elements})")
    return build("(coalesce({}, 'null') = 'null')", field.kind)


def _exists(field: RunField, operand: Any) -> Sql:
    if field.elements:
        found = Sql(f"EXISTS (SELECT 1 FROM {field.elements})")
    else:
        found = build("(({}) IS NOT NULL)", field.kind)
    return found if operand else _negated(found)


def _ordered(sign: str) -> Callable[[RunField, Any], Sql]:
    def compare(field: RunField, operand: Any) -> Sql:
        if operand is None:
            return _is_null(field) if sign.endswith("=") else NEVER
        converted = field.operand(operand)
        if isinstance(converted, (list, dict)) or converted != converted:  # noqa: PLR0124 - NaN
            return NEVER
        # The kind is compared too, because to SQLite every text is greater than every number.
        is_so = build(f"{{}} {sign} {{}}", field.value, bound(_bindable(converted)))
        return _where(field, build("{} AND {}", _has_kind(field, _kinds_of(converted)), is_so))

    return compare


def _regex(field: RunField, operand: Any) -> Sql:
    if not isinstance(operand, str) or len(operand) > MAX_PATTERN:
        raise InvalidArgument(
            f"$regex takes a pattern of at most {MAX_PATTERN:,} characters, not {_shown(operand)}."
        )
    try:
        # Compiled here only for its error: SQLite would report no more than that a function failed.
        re.compile(operand, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidArgument(f"The pattern {operand[:100]!r} is wrong: {error}.") from None
    found = build(f"{MATCHES}({{}}, {{}})", bound(operand), field.value)
    return _where(field, build("{} AND {}", _has_kind(field, ("text",)), found))


OPERATORS: Mapping[str, Callable[[RunField, Any], Sql]] = {
    "$eq": _equal,
    "$ne": lambda field, operand: _negated(_equal(field, operand)),
    "$all": _all,
    "$in": _in,
    "$nin": lambda field, operand: _negated(_in(field, operand)),
    "$exists": _exists,
    "$regex": _regex,
    **{name: _ordered(sign) for name, sign in ORDERED.items()},
}


def _where(field: RunField, test: Sql) -> Sql:
    if field.elements:
        return build(f"EXISTS (SELECT 1 FROM {field.elements} WHERE {{}})", test)
    # NOT of null is null in SQL: without IS TRUE, `$ne` would not match the runs that lack the
    # field.
    return build("(({}) IS TRUE)", test)


def _has_kind(field: RunField, kinds: tuple[str, ...]) -> Sql:
    return build(f"{{}} IN {_names(kinds)}", field.kind)


def _names(kinds: tuple[str, ...]) -> str:
    return f"({', '.join(repr(kind) for kind in kinds)})"


def _kinds_of(operand: Any) -> tuple[str, ...]:
    if isinstance(operand, bool):
        return ("true", "false")
    if isinstance(operand, (int, float)):
        return ("integer", "real")
    if isinstance(operand, str):
        return ("text",)
    return ("array",) if isinstance(operand, list) else ("object",)


def _bindable(value: Any) -> Any:
    # The module sqlite3 refuses an integer that does not fit in 64 bits.
    if isinstance(value, int) and value not in INT64:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _perhaps(name: str, known: Sequence[str]) -> str:
    near = near_names(name.lower(), list(known))
    return f" Did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    return reprlib.repr(value)
