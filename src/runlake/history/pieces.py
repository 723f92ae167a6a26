"""What polars decodes at once of an export: queries for slices of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from runlake.history.ahead import collect_side_by_side
from runlake.history.batches import CELLS_PER_SLICE, MIN_ROWS, Reads, max_rows_of
from runlake.history.corruption import telling_corruption
from runlake.history.key_columns import Column
from runlake.history.kinds import is_int_or_float
from runlake.history.polars_files import scan_file
from runlake.history.segments import ExportRead
from runlake.history.slices import Slice, cut_slices, whole_groups
from runlake.values import STEP, Projection, StepRange

if TYPE_CHECKING:
    import polars as pl

CELLS_PER_ROW_GROUP = 2 << 22
CELLS_IN_FIRST_SLICE = 1 << 17
CELLS_WORTH_A_SEARCH = 1 << 18
COLUMNS_WORTH_A_THREAD = 250
PIECES_WAITED_FOR = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of an export that are decoded at once.

    Parameters
    ----------
    read : ExportRead
        The export.
    steps : StepRange
        What is wanted of it.
    projection : Projection
        Rows that it does not keep are left out.
    rows : Slice
        Where they are in the file.
    names : sequence of str
        What the columns of the read are called in the answer.
    is_numeric : bool
        All of them are integers or floats, under the names that they have in the file.
    parts : sequence of polars.LazyFrame
        Columns of the same rows.
    """

    read: ExportRead
    steps: StepRange
    projection: Projection
    rows: Slice
    names: Sequence[str] = field(compare=False, repr=False)
    is_numeric: bool = field(compare=False, repr=False)
    parts: Sequence[pl.LazyFrame] = field(compare=False, repr=False)

    def collect(self) -> pl.DataFrame:
        """Decode the rows."""
        with telling_corruption(self.read.file):
            return collect_side_by_side(self.parts)


def cut_pieces(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
) -> Iterator[Piece]:
    """Yield what to decode, export by export, each opened when its first piece is asked for."""
    is_first = True
    for read, steps in reads:
        max_rows = max_rows_of(read, n_sharing)
        limit = min(max_rows, _first_rows(read, first_rows)) if is_first else max_rows
        with telling_corruption(read.file):
            yield from _export_pieces(read, projection, steps, limit, max_rows)
        is_first = False


def _first_rows(read: ExportRead, first_rows: int) -> int:
    """Return how many rows are decoded soon: cells without a value cost little."""
    n_rows = read.facts.n_rows
    columns = [read.facts.columns[column.name] for column in read.columns]
    n_filled = n_rows + sum(n_rows - (column.n_nulls or 0) for column in columns)
    return max(MIN_ROWS, CELLS_IN_FIRST_SLICE * n_rows // (n_filled + 1))


def _export_pieces(
    read: ExportRead, projection: Projection, steps: StepRange, first_rows: int, max_rows: int
) -> Iterator[Piece]:
    from runlake.history.expressions import all_named, in_range, whole_step

    scan = scan_file(read)
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    is_exact = read.is_ascending and steps.covers(read.first_step, read.last_step)
    if read.is_ascending and not is_exact:
        groups = [_narrowed(scan, group, steps, len(read.columns)) for group in groups]
    wanted = [group for group in groups if group.n_rows]
    is_whole = read.step_kind == pa.int64()
    selection, names = _selection(read.columns)
    conditions = [] if is_exact else [in_range(steps)]
    conditions += _key_conditions(read.columns, names, projection)
    is_as_stored = _are_as_stored(read.columns)
    is_numeric = is_as_stored and all(is_int_or_float(column.kind) for column in read.columns)
    is_plain = is_whole and is_as_stored and not conditions
    whole_rows = max_rows * (CELLS_PER_ROW_GROUP // CELLS_PER_SLICE) if is_numeric else 0
    is_whole_file = is_plain and len(names) + 1 == read.facts.n_columns
    for number, piece in enumerate(cut_slices(wanted, first_rows, max_rows, whole_rows)):
        rows = scan.slice(piece.offset, piece.n_rows)
        # The first two are waited for, while nothing else works.
        shares = _shares([STEP, *names]) if is_plain and number < PIECES_WAITED_FOR else []
        if len(shares) > 1:
            parts = [rows.select(all_named(share)) for share in shares]
            yield Piece(read, steps, projection, piece, names, is_numeric, parts)
            continue
        if is_whole_file:
            yield Piece(read, steps, projection, piece, names, is_numeric, [rows])
            continue
        selected = rows.select(selection)
        if not is_whole:
            selected = selected.with_columns(whole_step())
        if conditions:
            selected = selected.filter(conditions)
        yield Piece(read, steps, projection, piece, names, is_numeric, [selected])


def _shares(names: Sequence[str]) -> list[Sequence[str]]:
    """Deal out many columns: polars decodes those of one row group one after the other."""
    import polars as pl

    n_shares = max(1, min(pl.thread_pool_size(), len(names) // COLUMNS_WORTH_A_THREAD))
    # One by one, because neighbours are alike in what they cost.
    return [names[start::n_shares] for start in range(n_shares)]


def _selection(columns: tuple[Column, ...]) -> tuple[list[pl.Expr], list[str]]:
    """Return what polars is to select, and the names that the columns have then."""
    from runlake.history.expressions import all_named, named, stored

    if _are_as_stored(columns):
        names = [column.name for column in columns]
        return [all_named([STEP, *names])], names
    names = [str(index) for index in range(len(columns))]
    cells = [stored(column).alias(name) for column, name in zip(columns, names, strict=True)]
    return [named(STEP), *cells], names


def _are_as_stored(columns: tuple[Column, ...]) -> bool:
    return all(column.is_whole and not pa.types.is_date(column.kind) for column in columns)


def _key_conditions(
    columns: tuple[Column, ...], names: list[str], projection: Projection
) -> list[pl.Expr]:
    from runlake.history.expressions import are_present

    if not projection.keys:
        return []
    if projection.how == "any":
        return [are_present(names, "any")]
    held: dict[str, list[str]] = {}
    for column, name in zip(columns, names, strict=True):
        held.setdefault(column.key, []).append(name)
    return [are_present(same, "any") for same in held.values()]


def _narrowed(scan: pl.LazyFrame, group: Slice, steps: StepRange, n_columns: int) -> Slice:
    """Return the rows of an ascending row group that are in a range, where looking is worth it."""
    from runlake.history.expressions import whole_step

    if group.n_rows * n_columns < CELLS_WORTH_A_SEARCH:
        return group
    column = scan.slice(group.offset, group.n_rows).select(whole_step()).collect().to_series()
    start = column.search_sorted(steps.start)
    stop = group.n_rows if steps.stop is None else column.search_sorted(steps.stop)
    return Slice(group.offset + start, stop - start)
