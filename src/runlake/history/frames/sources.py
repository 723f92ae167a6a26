"""Read exports and live rows as frames with the columns and types of the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import polars as pl

from runlake.errors import RunlakeError
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
from runlake.history.frames.answer_types import Types, own_types, simple_type
from runlake.history.frames.merge import merged_frame
from runlake.history.plan.key_columns import Column, KeyColumns
from runlake.history.plan.segments import ExportRead, Segment
from runlake.history.plan.slices import Slice, joined, whole_groups
from runlake.values import STEP, Projection, Row, StepRange


def empty_frame(types: Types) -> pl.DataFrame:
    """Return a frame without rows, with ``_step`` and a column per key of the given types."""
    schema = {key: polars_type(dtype) for key, dtype in types.items()}
    return pl.DataFrame(schema={STEP: pl.Int64, **schema})


def open_export(read: ExportRead) -> pl.LazyFrame:
    """Return an export's file as a lazy frame; pyarrow reads the files that polars cannot read.

    Raises
    ------
    RunlakeError
        If the process was forked from a process that had imported polars, because polars would
        hang.
    """
    check_polars()
    if polars_can_scan(read):
        return scan_file(read)
    import pyarrow as pa

    from runlake.history.decode.by_footer import read_columns
    from runlake.history.plan.arrow_types import as_polars_can_read

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
        The file of the export, as `open_export` returns it.
    read : ExportRead
        The row groups and columns of the export to read.
    types : mapping
        The type of the result's column for each key.
    steps : StepRange
        The range.
    place : Slice, optional
        Read only these rows of the file.

    Returns
    -------
    polars.LazyFrame
        The rows in the order of the file.
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
    """Return a lazy frame that scans whole exports with equal columns, in the given order."""
    # The files are equal in the wanted columns; they may have different other columns.
    scan = scan_files([read.file for read in reads], extra_columns="ignore")
    return _typed_export(scan, reads[0], types)


def _typed_export(scan: pl.LazyFrame, read: ExportRead, types: Types) -> pl.LazyFrame:
    """Convert an export's columns as `with_types` does, but keep the expressions in memory."""
    columns = read.columns
    if types is not columns.once(own_types):
        return with_types(scan, columns, types)
    known = read.facts.columns
    is_whole_file = len(known) == read.facts.n_columns == len(columns) + 1
    is_ready = is_whole_file and next(iter(known)) == STEP and read.has_whole_steps
    if is_ready and columns.once(_are_stored):
        return scan
    return scan.select(columns.once(_own_cells))


def _are_stored(columns: KeyColumns) -> bool:
    types = columns.once(own_types)
    return len(types) == len(columns) and all(
        _is_stored(column.key, (column,), types) for column in columns
    )


def _own_cells(columns: KeyColumns) -> list[pl.Expr]:
    return typed_columns(columns, columns.once(own_types))


def live_frame(rows: Sequence[Row], types: Types) -> pl.LazyFrame:
    """Return live rows as a frame; the cells of a row do not depend on the other rows."""
    # Imported late, because it imports pyarrow, and most reads have no live rows.
    from runlake.history.live.columns import rows_table, table_columns

    table = rows_table(rows, types)
    return with_types(from_arrow(table).lazy(), table_columns(table), types)


def keep_rows(frame: pl.LazyFrame, projection: Projection) -> pl.LazyFrame:
    """Return only the rows that have the requested keys, as a lazy frame."""
    if not projection.keys:
        return frame
    return frame.filter(are_present(projection.keys, projection.how))


def segment_frames(
    segment: Segment, types: Types, live: Iterable[Sequence[Row]]
) -> list[pl.LazyFrame]:
    """Return lazy frames that together have all rows of a segment; rows are not filtered by key."""
    frames = [export_frame(open_export(r), r, types, segment.steps) for r in segment.reads]
    pages = [live_frame(page, types) for page in live] if segment.live_steps else []
    if not segment.needs_merge:
        return [*frames, *pages]
    return [merged_frame([*frames, *pages], types)]


def with_types(frame: pl.LazyFrame, columns: Sequence[Column], types: Types) -> pl.LazyFrame:
    """Convert the columns of a lazy frame to the names and types of the result, ``_step`` first."""
    return frame.select(typed_columns(columns, types))


def typed_columns(columns: Sequence[Column], types: Types) -> list[pl.Expr]:
    """Return expressions that compute the columns of the result from an export or live rows."""
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
            cells += [_cells(key, held.get(key, ()), types) for key in keys]
    return cells


def _is_stored(key: str, columns: Sequence[Column], types: Types) -> bool:
    """Return whether a key's column is used as it is.

    A key then has one column, under the key's own name and with the result's type. Columns of
    strings, lists, structs and dates do not count.
    """
    if len(columns) != 1 or not columns[0].is_whole or columns[0].name != key:
        return False
    simple = simple_type(types, key)
    if simple is not None:
        return simple == columns[0].stored and simple.is_number_or_boolean
    import pyarrow as pa

    dtype = columns[0].dtype
    return bool(
        dtype == types[key] and pa.types.is_primitive(dtype) and not pa.types.is_date(dtype)
    )


def _cells(key: str, columns: Sequence[Column], types: Types) -> pl.Expr:
    if not columns:
        return pl.lit(None, polars_type(types[key])).alias(key)
    cells = [_fitted(column, types) for column in columns]
    return (cells[0] if len(cells) == 1 else pl.coalesce(cells)).alias(key)


def _fitted(column: Column, types: Types) -> pl.Expr:
    if simple_type(types, column.key) == column.stored:
        return stored(column)
    from runlake.history.frames.fit import fit_cells, json_text

    target = types[column.key]
    return (
        json_text(stored(column))
        if target is None
        else fit_cells(stored(column), column.dtype, target)
    )
