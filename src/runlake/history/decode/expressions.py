"""Columns by their very names: polars expressions, and frames from and to Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow as pa

from runlake.history.plan.key_columns import Column
from runlake.values import STEP, StepRange


def named(name: str) -> pl.Expr:
    """Return a column by its very name; polars takes ``*`` and ``^...$`` for patterns."""
    return cs.by_name(name).as_expr() if _is_pattern(name) else pl.col(name)


def _is_pattern(name: str) -> bool:
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def all_named(names: Sequence[str]) -> pl.Expr:
    """Return columns by their very names, in any order."""
    return cs.by_name(*names).as_expr()


def pick(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return columns by their very names, in the order asked for."""
    return frame[list(dict.fromkeys(names))]


def from_arrow(table: pa.Table) -> pl.DataFrame:
    """Return a table as a frame of the same names; polars keeps neither an empty one nor a NUL."""
    names: list[str] = table.column_names
    frame: Any = pl.from_arrow(table.rename_columns(list(map(str, range(len(names))))))
    found: pl.DataFrame = frame
    found.columns = names
    return found


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a frame as a table of the same names; polars panics where one has a NUL."""
    names = frame.columns
    if not any("\0" in name for name in names):
        return frame.to_arrow()
    frame = frame.rename({name: str(index) for index, name in enumerate(names)})
    return frame.to_arrow().rename_columns(names)


def stored(column: Column) -> pl.Expr:
    """Return the cells of a column as they are stored."""
    cells = named(column.name)
    if any(map(_is_pattern, column.path[1:])):
        read = partial(_field_of, column.path[1:])
        dtype = polars_type(column.dtype)
        cells = cells.alias("cells").map_batches(read, return_dtype=dtype, is_elementwise=True)
    else:
        for field in column.path[1:]:
            cells = cells.struct.field(field)
    # polars reads a date of 64 bits as a moment.
    return cells.cast(pl.Date) if pa.types.is_date(column.dtype) else cells


def _field_of(path: tuple[str, ...], structs: pl.Series) -> pl.Series:
    import pyarrow.compute as pc

    cells = structs.to_arrow()
    for name in path:
        cells = pc.struct_field(cells, [cells.type.get_field_index(name)])
    found: Any = pl.from_arrow(cells)
    series: pl.Series = found
    return series


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


@lru_cache(maxsize=1024)
def polars_type(dtype: pa.DataType | None) -> pl.DataType:
    """Return what polars has a type of Arrow as; None stands for text."""
    if dtype is None:
        return pl.String()
    # An array of a list would do, but making one looks for pandas, which takes long to import.
    empty: Any = pl.from_arrow(pa.nulls(0, dtype))
    found: pl.DataType = empty.dtype
    return found
