"""`Selection`: the polars expressions that read some columns; cached per set of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from runlake.history.plan import sizes
from runlake.history.plan.arrow_types import is_int_or_float
from runlake.history.plan.key_columns import KeyColumns
from runlake.values import STEP

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Selection:
    """The polars expressions that read ``_step`` and some columns of an export.

    Parameters
    ----------
    names : sequence of str
        Names of the columns in the result, in their order.
    expressions : sequence of polars.Expr
        Select ``_step`` and the columns.
    shares : sequence of polars.Expr
        Select the same columns: one expression per thread, each with a part of the columns. They
        are used if all rows of a slice are wanted, with the values that the file has.
    is_as_stored : bool
        True if the columns are whole columns of the file, with their own names, and none has dates.
    is_numeric : bool
        True if ``is_as_stored`` and all columns are integers or floats.
    typed : sequence of list of str
        If ``is_numeric``, the names of the columns and ``_step``, one list for each type.
    is_small : bool
        True if every cell has few bytes: no strings, no lists.
    """

    names: Sequence[str]
    expressions: Sequence[pl.Expr]
    shares: Sequence[pl.Expr]
    is_as_stored: bool
    is_numeric: bool
    typed: Sequence[list[str]]
    is_small: bool


def select_columns(columns: KeyColumns) -> Selection:
    """Return the polars expressions that read some columns; the result is cached."""
    return columns.once(_select)


def _select(columns: KeyColumns) -> Selection:
    from runlake.history.decode.expressions import all_named, named, stored

    dtypes = [column.dtype for column in columns]
    is_small = all(map(pa.types.is_primitive, dtypes))
    is_whole = all(column.is_whole for column in columns)
    if is_whole and not any(map(pa.types.is_date, dtypes)):
        names = [column.name for column in columns]
        shares = [all_named(share) for share in _shares([STEP, *names])]
        is_numeric = all(map(is_int_or_float, dtypes))
        typed = _typed(columns) if is_numeric else []
        every = [all_named([STEP, *names])]
        return Selection(names, every, shares, True, is_numeric, typed, is_small)
    names = [str(index) for index in range(len(columns))]
    cells = [stored(column).alias(name) for column, name in zip(columns, names, strict=True)]
    expressions = [named(STEP), *cells]
    return Selection(names, expressions, [], False, False, [], is_small)


def _typed(columns: KeyColumns) -> list[list[str]]:
    # Steps are decoded as int64, whatever the stored type.
    names = {pa.int64(): [STEP]}
    for column in columns:
        names.setdefault(column.dtype, []).append(column.name)
    return list(names.values())


def _shares(names: Sequence[str]) -> list[Sequence[str]]:
    """Divide the names of many columns among the threads that decode them.

    Without this, polars would decode the columns of a row group one after the other.
    """
    import polars as pl

    n_shares = max(1, min(pl.thread_pool_size(), len(names) // sizes.COLUMNS_WORTH_A_THREAD))
    # The shares get columns in turn, because neighbouring columns have similar costs.
    return [names[start::n_shares] for start in range(n_shares)]
