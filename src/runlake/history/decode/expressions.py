"""Make polars expressions for columns with any name, and convert frames from and to Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs

from runlake.history.plan.key_columns import Column
from runlake.values import STEP, StepRange

if TYPE_CHECKING:
    import pyarrow as pa


def named(name: str) -> pl.Expr:
    """Return an expression for the column of exactly this name.

    `pl.col` would treat ``*`` and ``^...$`` as patterns.
    """
    return cs.by_name(name).as_expr() if _is_pattern(name) else pl.col(name)


def _is_pattern(name: str) -> bool:
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def all_named(names: Sequence[str]) -> pl.Expr:
    """Return one expression for the columns with exactly these names, in any order."""
    return cs.by_name(*names).as_expr()


def in_order(names: Sequence[str]) -> list[pl.Expr]:
    """Return expressions for the columns with exactly these names, in this order.

    Usually this is one expression, because polars takes some 15 us for each. If polars would take a
    name as a pattern, there is one expression per name.
    """
    if any(map(_is_pattern, names)):
        return [named(name) for name in names]
    return [pl.col(list(names))]


def pick(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return a frame with only the columns of these names, in this order."""
    return frame[list(dict.fromkeys(names))]


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """Convert an Arrow table to a frame without changing column names.

    `pl.from_arrow` would change empty names and names with a NUL.
    """
    names: list[str] = table.column_names
    frame: Any = pl.from_arrow(table.rename_columns(list(map(str, range(len(names))))))
    found: pl.DataFrame = frame
    found.columns = names
    return found


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Convert a frame to an Arrow table, even if a column name has a NUL.

    polars' own `to_arrow` panics for such a name.
    """
    names = frame.columns
    if not any("\0" in name for name in names):
        return frame.to_arrow()
    frame = frame.rename({name: str(index) for index, name in enumerate(names)})
    return frame.to_arrow().rename_columns(names)


def stored(column: Column) -> pl.Expr:
    """Return an expression for the cells of a column, or of a field of structs, as stored."""
    cells = named(column.name)
    if any(map(_is_pattern, column.path[1:])):
        # `struct.field` takes such names as patterns too.
        read = partial(_field_of, column.path[1:])
        dtype = polars_type(column.dtype)
        cells = cells.alias("cells").map_batches(read, return_dtype=dtype, is_elementwise=True)
    else:
        for field in column.path[1:]:
            cells = cells.struct.field(field)
    # polars reads a 64-bit date as a datetime.
    return cells.cast(pl.Date) if column.stored.is_date else cells


def _field_of(path: tuple[str, ...], structs: pl.Series) -> pl.Series:
    import pyarrow.compute as pc

    cells = structs.to_arrow()
    for name in path:
        cells = pc.struct_field(cells, [cells.type.get_field_index(name)])
    found: Any = pl.from_arrow(cells)
    series: pl.Series = found
    return series


def whole_step() -> pl.Expr:
    """Return ``_step`` as an int64 expression; null if a step is missing, NaN or too large."""
    return pl.col(STEP).cast(pl.Int64, strict=False)


def in_range(steps: StepRange) -> pl.Expr:
    """Return a polars condition for rows with a step in a range; null for rows without a step."""
    is_in = pl.col(STEP) >= steps.start
    return is_in if steps.stop is None else is_in & (pl.col(STEP) < steps.stop)


def are_present(names: Iterable[str], how: str) -> pl.Expr:
    """Return a polars condition for rows that have a value in all columns, or in any of them.

    ``how`` is ``"all"`` or ``"any"``, as for `Question`.
    """
    present = [named(name).is_not_null() for name in names]
    return pl.all_horizontal(present) if how == "all" else pl.any_horizontal(present)


@lru_cache(maxsize=1024)
def polars_type(dtype: pa.DataType | None) -> pl.DataType:
    """Return the polars type for an Arrow type; for None, which means JSON text, `pl.String`."""
    if dtype is None:
        return pl.String()
    import pyarrow as pa

    # pa.nulls, because making an array from a list would import pandas, which is slow.
    empty: Any = pl.from_arrow(pa.nulls(0, dtype))
    found: pl.DataType = empty.dtype
    return found
