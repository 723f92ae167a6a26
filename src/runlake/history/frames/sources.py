"""Read exports and live rows as frames with the columns and types of the answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

import polars as pl
import pyarrow as pa

from runlake.errors import RunlakeError
from runlake.history.decode.by_footer import read_columns
from runlake.history.decode.by_polars import polars_can_scan, scan_file, scan_files
from runlake.history.decode.expressions import (
    all_named,
    are_present,
    from_arrow,
    in_range,
    polars_type,
    stored,
    whole_step,
)
from runlake.history.decode.forked import polars_is_usable
from runlake.history.frames.merge import merged_frame
from runlake.history.live.columns import rows_table, table_columns
from runlake.history.plan.arrow_types import as_polars_can_read, is_plain, unify
from runlake.history.plan.key_columns import Column, KeyColumns, check_names
from runlake.history.plan.segments import ExportRead, Segment
from runlake.history.plan.slices import Slice, joined, whole_groups
from runlake.history.rows.cells import cell_reader, read_optional
from runlake.values import STEP, Projection, Row, StepRange

Types = Mapping[str, pa.DataType | None]


def answer_types(sources: Iterable[Sequence[Column]], keys: Sequence[str] | None) -> Types:
    """Return the type of each key over all sources.

    Parameters
    ----------
    sources : iterable of sequences of Column
        The columns of each export and of the live rows.
    keys : sequence of str or None
        Keys of the answer; None means all keys of the sources, in their order.

    Returns
    -------
    mapping of str to pyarrow.DataType or None
        The type of each key. None if a key has no common type; its column is then JSON text.
    """
    check_names(keys or ())
    distinct = list(distinct_columns(sources))
    if keys is None and len(distinct) == 1 and isinstance(distinct[0], KeyColumns):
        return distinct[0].once(_own_types)
    return _unified(distinct, keys)


def _own_types(columns: KeyColumns) -> Types:
    return _unified([columns], None)


def _unified(sources: Iterable[Sequence[Column]], keys: Sequence[str] | None) -> Types:
    held: dict[str, dict[pa.DataType, None]] = {key: {} for key in keys or ()}
    for columns in sources:
        for column in columns:
            if keys is None or column.key in held:
                held.setdefault(column.key, {})[column.dtype] = None
    return {key: unify(list(dtypes)) if dtypes else pa.null() for key, dtypes in held.items()}


def distinct_columns(sources: Iterable[Sequence[Column]]) -> Iterator[Sequence[Column]]:
    """Yield only those sources whose columns differ from the columns of all earlier sources."""
    seen = set()
    for columns in sources:
        if isinstance(columns, KeyColumns):
            if columns.fingerprint in seen:
                continue
            seen.add(columns.fingerprint)
        yield columns


def empty_frame(types: Types) -> pl.DataFrame:
    """Return a frame without rows, with the columns of the answer."""
    schema = {key: polars_type(dtype) for key, dtype in types.items()}
    return pl.DataFrame(schema={STEP: pl.Int64, **schema})


def open_export(read: ExportRead) -> pl.LazyFrame:
    """Return a file as a lazy frame; pyarrow reads the file if polars cannot read its types.

    Raises
    ------
    RunlakeError
        If the process was forked from a process that used polars, because polars would hang.
    """
    check_polars()
    if polars_can_scan(read):
        return scan_file(read)
    names = list(dict.fromkeys([STEP, *(column.name for column in read.columns)]))
    table = read_columns(read, names)
    fields = [(field.name, as_polars_can_read(field.type)) for field in table.schema]
    return from_arrow(table.cast(pa.schema(fields))).lazy()


def check_polars() -> None:
    """Raise an error if polars would hang, because the process was forked with polars loaded."""
    if not polars_is_usable():
        raise RunlakeError(
            "This process was forked from a process that had polars loaded; polars would hang. "
            "Start processes with 'spawn' or 'forkserver' (multiprocessing.get_context), or read "
            "rows: run.beta_scan_history() works in a fork."
        )


def export_frame(
    scan: pl.LazyFrame, read: ExportRead, types: Types, steps: StepRange, place: Slice | None = None
) -> pl.LazyFrame:
    """Return the rows of an export in a range of steps.

    Parameters
    ----------
    scan : polars.LazyFrame
        The file, from `open_export`.
    read : ExportRead
        Its row groups and columns to read.
    types : mapping
        The types of the answer, by key.
    steps : StepRange
        The range.
    place : Slice, optional
        Read only these rows of the file.

    Returns
    -------
    polars.LazyFrame
        In the order of the file.
    """
    if place is not None:
        scan = scan.slice(place.offset, place.n_rows)
    elif not read.is_whole:
        # Other row groups may not be on disk (a partial download), so slice them away instead of
        # trusting an engine's pruning not to read them.
        runs = joined(whole_groups([g.n_rows for g in read.facts.row_groups], read.row_groups))
        scan = pl.concat([scan.slice(run.offset, run.n_rows) for run in runs])
    if read.is_ascending and steps.covers(read.first_step, read.last_step):
        return _typed_export(scan, read, types)
    # The first filters are on the stored column, whose statistics the engine can use for pruning;
    # only the last filter, on the step as an integer, is exact.
    scan = scan.filter(pl.col(STEP) > steps.start - 1)
    if steps.stop is not None:
        scan = scan.filter(pl.col(STEP) < steps.stop)
    return with_types(scan, read.columns, types).filter(in_range(steps))


def alike_frame(reads: Sequence[ExportRead], types: Types) -> pl.LazyFrame:
    """Return all rows of whole exports with equal columns in one scan, in the given order."""
    scan = scan_files([read.file for read in reads], extra_columns="ignore")
    return _typed_export(scan, reads[0], types)


def _typed_export(scan: pl.LazyFrame, read: ExportRead, types: Types) -> pl.LazyFrame:
    """Convert an export's columns as `with_types` does; cache the expressions for its types."""
    columns = read.columns
    if types is not columns.once(_own_types):
        return with_types(scan, columns, types)
    known = read.facts.columns
    is_whole_file = len(known) == read.facts.n_columns == len(columns) + 1
    is_ready = is_whole_file and next(iter(known)) == STEP and read.step_dtype == pa.int64()
    if is_ready and columns.once(_are_stored):
        return scan
    return scan.select(columns.once(_own_cells))


def _are_stored(columns: KeyColumns) -> bool:
    types = columns.once(_own_types)
    return len(types) == len(columns) and all(
        _is_stored(column.key, (column,), types) for column in columns
    )


def _own_cells(columns: KeyColumns) -> list[pl.Expr]:
    return typed_columns(columns, columns.once(_own_types))


def live_frame(rows: Sequence[Row], types: Types) -> pl.LazyFrame:
    """Return live rows as a frame; no cell of it depends on the other rows."""
    table = rows_table(rows, types)
    return with_types(from_arrow(table).lazy(), table_columns(table), types)


def keep_rows(frame: pl.LazyFrame, projection: Projection) -> pl.LazyFrame:
    """Keep the rows that match a projection."""
    if not projection.keys:
        return frame
    return frame.filter(are_present(projection.keys, projection.how))


def segment_frames(
    segment: Segment, types: Types, live: Iterable[Sequence[Row]]
) -> list[pl.LazyFrame]:
    """Return frames that together have all rows of a segment; rows are not filtered by key."""
    frames = [export_frame(open_export(r), r, types, segment.steps) for r in segment.reads]
    pages = [live_frame(page, types) for page in live] if segment.live_steps else []
    if not segment.needs_merge:
        return [*frames, *pages]
    return [merged_frame([*frames, *pages], types)]


def with_types(frame: pl.LazyFrame, columns: Sequence[Column], types: Types) -> pl.LazyFrame:
    """Convert the columns of a source to the names and types of the answer, ``_step`` first."""
    return frame.select(typed_columns(columns, types))


def typed_columns(columns: Sequence[Column], types: Types) -> list[pl.Expr]:
    """Return the answer's columns as expressions over the columns of a source."""
    held: dict[str, list[Column]] = {}
    for column in columns:
        held.setdefault(column.key, []).append(column)
    cells = [whole_step()]
    # One expression selects all consecutive columns that need no conversion, because polars takes
    # 15 us for each expression.
    for is_stored, keys in groupby(types, lambda key: _is_stored(key, held.get(key, ()), types)):
        if is_stored:
            cells.append(all_named(list(keys)))
        else:
            cells += [_cells(key, held.get(key, ()), types[key]) for key in keys]
    return cells


def _is_stored(key: str, columns: Sequence[Column], types: Types) -> bool:
    """Return whether a key's only column is stored under its name, with the type of the answer."""
    if len(columns) != 1 or not columns[0].is_whole or columns[0].name != key:
        return False
    dtype = columns[0].dtype
    return bool(
        dtype == types[key] and pa.types.is_primitive(dtype) and not pa.types.is_date(dtype)
    )


def _cells(key: str, columns: Sequence[Column], dtype: pa.DataType | None) -> pl.Expr:
    if not columns:
        return pl.lit(None, polars_type(dtype)).alias(key)
    fitted = [
        json_text(stored(column)) if dtype is None else _fit(stored(column), column.dtype, dtype)
        for column in columns
    ]
    return (fitted[0] if len(fitted) == 1 else pl.coalesce(fitted)).alias(key)


def _fit(cells: pl.Expr, dtype: pa.DataType, target: pa.DataType) -> pl.Expr:
    """Cast cells to the answer's type; fields of structs are matched by name.

    polars alone would match them by position.
    """
    if pa.types.is_null(dtype):
        # In a file without an Arrow schema, polars reads a column without a type as integers.
        return pl.lit(None, polars_type(target))
    if dtype == target or (is_plain(dtype) and unify([dtype]) == target):
        return cells
    if pa.types.is_struct(target) and pa.types.is_struct(dtype):
        fields = [
            _fit(
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
        return cells.list.eval(_fit(pl.element(), dtype.value_type, target.value_type))
    return cells.cast(polars_type(target), strict=False)


def _is_flat(dtype: pa.DataType) -> bool:
    return not (pa.types.is_struct(dtype) or pa.types.is_large_list(dtype))


def json_text(cells: pl.Expr) -> pl.Expr:
    """Encode cells of any type as JSON; polars' own encoding would lose NaN and infinities."""
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
