"""Cast cells to the type of the result's column, or encode the cells as JSON."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from runlake.history.decode.expressions import polars_type
from runlake.history.plan.arrow_types import is_plain, unify
from runlake.history.rows.cells import cell_reader, read_optional


def fit_cells(cells: pl.Expr, dtype: pa.DataType, target: pa.DataType) -> pl.Expr:
    """Cast cells from type ``dtype`` to type ``target``; match fields of structs by name.

    polars alone would match the fields by position.
    """
    if pa.types.is_null(dtype):
        # In a file without an Arrow schema, polars reads a column without a type as integers.
        return pl.lit(None, polars_type(target))
    if dtype == target or (is_plain(dtype) and unify([dtype]) == target):
        return cells
    if pa.types.is_struct(target) and pa.types.is_struct(dtype):
        fields = [
            fit_cells(
                cells.struct[dtype.get_field_index(f.name)], dtype.field(f.name).type, f.type
            ).alias(f.name)
            if dtype.get_field_index(f.name) >= 0
            else pl.lit(None, polars_type(f.type)).alias(f.name)
            for f in target
        ]
        return pl.when(cells.is_not_null()).then(pl.struct(fields))
    if pa.types.is_large_list(target) and not pa.types.is_null(dtype):
        if pa.types.is_fixed_size_list(dtype):
            cells = cells.cast(pl.List(polars_type(dtype.value_type)))
        if _is_flat(target.value_type):
            return cells.cast(polars_type(target))
        return cells.list.eval(fit_cells(pl.element(), dtype.value_type, target.value_type))
    return cells.cast(polars_type(target), strict=False)


def _is_flat(dtype: pa.DataType) -> bool:
    return not (pa.types.is_struct(dtype) or pa.types.is_large_list(dtype))


def json_text(cells: pl.Expr) -> pl.Expr:
    """Encode cells of any type as JSON text; polars' own encoding would lose NaN and infinities."""
    # An alias is needed: the name of a column may contain a NUL. Python reads the cells through
    # Arrow, which allows no NUL in names.
    return cells.alias("cells").map_batches(
        _as_json_text, return_dtype=pl.String, is_elementwise=True
    )


def _as_json_text(column: pl.Series) -> pl.Series:
    array = column.to_arrow()
    cells = read_optional(array, cell_reader(array.type))
    texts = [None if cell is None else json.dumps(cell, default=_dump) for cell in cells]
    return pl.Series(column.name, texts, pl.String)


def _dump(cell: Any) -> str | float:
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    return float(cell) if isinstance(cell, Decimal) else str(cell)
