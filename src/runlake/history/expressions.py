"""Polars expressions over the columns of an export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
import polars.selectors as cs
import pyarrow as pa

from runlake.history.key_columns import Column
from runlake.values import STEP, StepRange


def named(name: str) -> pl.Expr:
    """Return a column by its very name; polars takes ``*`` and ``^...$`` for patterns."""
    is_pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return cs.by_name(name).as_expr() if is_pattern else pl.col(name)


def all_named(names: Sequence[str]) -> pl.Expr:
    """Return columns by their very names, in any order."""
    return cs.by_name(*names).as_expr()


def stored(column: Column) -> pl.Expr:
    """Return the cells of a column as they are stored."""
    cells = named(column.name)
    for field in column.path[1:]:
        cells = cells.struct.field(field)
    # polars reads a date of 64 bits as a moment.
    return cells.cast(pl.Date) if pa.types.is_date(column.kind) else cells


def whole_step() -> pl.Expr:
    """Return ``_step`` as int64; null where a row has none, or NaN, or one beyond all bounds."""
    return pl.col(STEP).cast(pl.Int64, strict=False)


def in_range(steps: StepRange) -> pl.Expr:
    """Return whether ``_step`` is there and in a range."""
    is_in = pl.col(STEP) >= steps.start
    return is_in if steps.stop is None else is_in & (pl.col(STEP) < steps.stop)


def are_present(names: Iterable[str], how: str) -> pl.Expr:
    """Return whether all, or any, of some columns have a cell."""
    present = [named(name).is_not_null() for name in names]
    return pl.all_horizontal(present) if how == "all" else pl.any_horizontal(present)
