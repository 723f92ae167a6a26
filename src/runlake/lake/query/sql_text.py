"""`Sql`: SQL text together with its parameters, so that values never become part of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from runlake.cache.strict_json import stored_text


@dataclass(frozen=True, slots=True)
class Sql:
    """A SQL expression and its parameters.

    Parameters
    ----------
    text : str
        The expression, with a question mark for each parameter.
    values : tuple
        The parameters, in order.
    """

    text: str
    values: tuple[Any, ...] = ()


def build(template: str, *parts: Sql) -> Sql:
    """Fill a template with SQL expressions; return the expression with all parameters.

    Examples
    --------
    >>> build("({} > {})", Sql("a"), Sql("?", (1,)))
    Sql(text='(a > ?)', values=(1,))
    """
    text = template.format(*(part.text for part in parts))
    return Sql(text, tuple(chain.from_iterable(part.values for part in parts)))


def bound(value: object) -> Sql:
    """Return a SQL parameter for a value.

    Lone surrogates and NUL are replaced in a string, as in strings that the catalog stores.
    """
    if isinstance(value, str):
        value = stored_text(value)
    return Sql("?", (value,))


def joined(word: str, parts: Sequence[Sql], empty: Sql) -> Sql:
    """Join conditions with AND or OR as a balanced tree, because SQLite limits their depth.

    Examples
    --------
    >>> joined("OR", [Sql("a"), Sql("b"), Sql("c")], Sql("0")).text
    '((a) OR (((b) OR (c))))'
    """
    if len(parts) < 2:  # noqa: PLR2004 - nothing to join
        return parts[0] if parts else empty
    middle = len(parts) // 2
    return build(
        f"(({{}}) {word} ({{}}))",
        joined(word, parts[:middle], empty),
        joined(word, parts[middle:], empty),
    )
