"""The rows of an export, decoded to Arrow arrays piece by piece."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cachetools import LRUCache, cached

from runlake.errors import CacheCorrupt
from runlake.history.ahead import collect_side_by_side, run_ahead
from runlake.history.forked import polars_is_usable
from runlake.history.key_columns import Column
from runlake.history.kinds import is_int_or_float, polars_can_read
from runlake.history.segments import ExportRead, Segment
from runlake.history.slices import Slice, cut_slices, whole_groups
from runlake.history.wide import scan_wide
from runlake.values import STEP, Projection, Row, StepRange

if TYPE_CHECKING:
    import polars as pl

# Measured (docs/explanation/reading.md): below some hundred thousand cells the cost per call shows,
# above some millions nothing is won but memory lost.
CELLS_PER_SLICE = 1 << 22
CELLS_PER_ROW_GROUP = 3 << 22
CELLS_IN_FIRST_ROWS = 1 << 13
CELLS_IN_FIRST_SLICE = 1 << 17
CELLS_WORTH_A_SEARCH = 1 << 18
COLUMNS_WORTH_A_THREAD = 250
# Some 20 MB of what polars keeps of footers.
CHUNKS_IN_MEMORY = 1 << 15
PIECES_WAITED_FOR = 2
MIN_ROWS = 64
PYARROW_ROWS = 4096
Reads = Iterable[tuple[ExportRead, StepRange]]
Begun = Callable[["Piece"], "pl.DataFrame | None"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as arrays of one length.

    Parameters
    ----------
    steps : pyarrow.Array
        int64, without nulls.
    columns : tuple of Column
        What the arrays are.
    arrays : tuple of pyarrow.Array
        One per column, as stored.
    rows : tuple of dict
        In place of arrays: a few rows of many numbers, of which rows are had faster.
    """

    steps: pa.Array
    columns: tuple[Column, ...]
    arrays: tuple[pa.Array, ...]
    rows: tuple[Row, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def cut(self, start: int, n_rows: int) -> Batch:
        """Return some rows of the batch, without a copy."""
        arrays = tuple(array.slice(start, n_rows) for array in self.arrays)
        return Batch(self.steps.slice(start, n_rows), self.columns, arrays)


def decode_exports(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    *,
    n_sharing: int = 1,
    begun: Begun | None = None,
) -> Iterator[Batch]:
    """Yield the rows of exports, one export after the other, each in file order.

    Parameters
    ----------
    reads : iterable of (ExportRead, StepRange)
        A file with its columns and row groups, and the steps that are wanted of it: rows outside of
        them, and those without a step, are left out.
    projection : Projection
        Rows that it does not keep are left out, as far as the arrays tell: a cell of JSON may be
        null, which is known only when it is parsed.
    first_rows : int
        Rows in the first batch at most; it is small, so that it comes soon.
    n_sharing : int
        Exports that are read at the same time, and share the memory.
    begun : callable, optional
        Given a piece, returns its rows if somebody decoded them already.

    Yields
    ------
    Batch
        Never empty; those of one export have the same columns and types. Memory is bounded by a
        batch.

    Raises
    ------
    CacheCorrupt
        If a file cannot be read.
    """
    for is_fast, some in groupby(_wanted(reads, projection), lambda one: _is_for_polars(one[0])):
        if is_fast:
            batches = _decode_polars(some, projection, first_rows, n_sharing, begun)
        else:
            batches = _decode_pyarrow(some, projection, first_rows, n_sharing)
        for batch in batches:
            if len(batch):
                yield batch


def _wanted(reads: Reads, projection: Projection) -> Reads:
    return [(read, steps) for read, steps in reads if _can_have_rows(read, projection)]


def _can_have_rows(read: ExportRead, projection: Projection) -> bool:
    keys = projection.keys
    if not keys:
        return True
    held = {column.key for column in read.columns}
    return bool(held) and (projection.how == "any" or len(held) == len(keys))


def _is_for_polars(read: ExportRead) -> bool:
    return polars_is_usable() and polars_can_scan(read)


def polars_can_scan(read: ExportRead) -> bool:
    """Tell whether a read brings no type that polars cannot read."""
    return all(polars_can_read(column.kind) for column in read.columns)


def scan_file(read: ExportRead) -> pl.LazyFrame:
    """Return a file as polars sees it.

    The footer is read, and stays with the scan for all queries that are made of it.
    """
    wide = scan_wide(read)
    if wide is not None:
        return wide
    found = read.file.stat()
    return _opened(read, (found.st_ino, found.st_mtime_ns))[0]


@cached(
    LRUCache(CHUNKS_IN_MEMORY, getsizeof=lambda opened: opened[1]),
    key=lambda read, version: (read.file, version),
    lock=threading.Lock(),
)
def _opened(read: ExportRead, version: object) -> tuple[pl.LazyFrame, int]:  # noqa: ARG001 - a key
    """Return a file with its footer read, and how many column chunks that tells of."""
    import polars as pl

    scan = pl.scan_parquet(read.file, glob=False)
    scan.collect_schema()
    return scan, read.facts.n_columns * len(read.facts.row_groups)


def _max_rows(read: ExportRead, n_sharing: int) -> int:
    return max(MIN_ROWS, CELLS_PER_SLICE // n_sharing // (len(read.columns) + 1))


@contextmanager
def telling_corruption(*files: Path) -> Iterator[None]:
    """Turn what engines raise about a broken file into `CacheCorrupt`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(files, error) from error
    except BaseException as error:
        # Errors of polars, and its panics, which are no Exception.
        if type(error).__module__.split(".")[0] in {"polars", "pyo3_runtime"}:
            raise _corrupt(files, error) from error
        raise


def _corrupt(files: tuple[Path, ...], error: BaseException) -> CacheCorrupt:
    names = " or ".join(repr(str(file)) for file in files)
    for file in files:
        # The next read compares a file with its checksum that was touched by somebody else.
        with suppress(OSError):
            os.utime(file)
    return CacheCorrupt(
        f"The cached export {names} cannot be read ({error}). Scan again: it is compared with its "
        "checksum, and fetched anew.",
        path=str(files[0]) if files else None,
        paths=tuple(map(str, files)),
    )


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


def first_piece(
    segments: Sequence[Segment], projection: Projection, first_rows: int
) -> Piece | None:
    """Return what `decode_exports` decodes first of segments; None if they begin otherwise."""
    if not (segments and segments[0].is_one_export and _is_for_polars(segments[0].reads[0])):
        return None
    reads = [(segments[0].reads[0], segments[0].steps)]
    return next(_pieces(_wanted(reads, projection), projection, first_rows, 1), None)


def _decode_polars(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
    begun: Begun | None,
) -> Iterator[Batch]:
    def collect(piece: Piece) -> tuple[Piece, pl.DataFrame]:
        frame = None if begun is None else begun(piece)
        return piece, piece.collect() if frame is None else frame

    pieces = _pieces(reads, projection, first_rows, n_sharing)
    is_first = True
    for piece, frame in run_ahead(partial(collect, one) for one in pieces):
        left = frame
        if is_first and piece.is_numeric and len(piece.names) >= COLUMNS_WORTH_A_THREAD:
            n_rows = max(1, CELLS_IN_FIRST_ROWS // len(piece.names))
            yield _first_rows(piece, frame.head(n_rows))
            left = frame.slice(n_rows)
        is_first = False
        for arrays in _arrays(left, is_numeric=piece.is_numeric):
            columns = tuple(arrays[name] for name in piece.names)
            yield Batch(arrays[STEP], piece.read.columns, columns)


def _first_rows(piece: Piece, frame: pl.DataFrame) -> Batch:
    """Return rows of numbers without the arrays between, which cost the same for any few rows."""
    rows = frame[list(dict.fromkeys([STEP, *piece.names]))].to_dicts()
    filled = ({key: cell for key, cell in row.items() if cell is not None} for row in rows)
    return Batch(frame[STEP].to_arrow(), piece.read.columns, (), tuple(filled))


def _pieces(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
) -> Iterator[Piece]:
    """Yield what to decode, export by export, each opened when its first piece is asked for."""
    is_first = True
    for read, steps in reads:
        max_rows = _max_rows(read, n_sharing)
        n_first = max(MIN_ROWS, CELLS_IN_FIRST_SLICE // (len(read.columns) + 1))
        limit = min(first_rows, n_first, max_rows) if is_first else max_rows
        with telling_corruption(read.file):
            yield from _export_pieces(read, projection, steps, limit, max_rows)
        is_first = False


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
    whole_rows = max_rows * (CELLS_PER_ROW_GROUP // CELLS_PER_SLICE)
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


def _arrays(frame: pl.DataFrame, *, is_numeric: bool) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of a frame, chunk by chunk.

    One stream of all columns costs a quarter of what ``to_arrow`` does column by column, but it
    copies chunks together, and brings texts as views, of which pyarrow can neither filter nor take.
    """
    import polars.selectors as cs

    are_numbers = cs.numeric() | cs.boolean() | cs.temporal()
    texts = None if is_numeric else frame.select(~are_numbers).to_arrow()
    numbers = frame if is_numeric else frame.select(are_numbers)
    offset = 0
    for n_rows in frame.to_series(0).chunk_lengths():
        for batch in pa.RecordBatchReader.from_stream(numbers.slice(offset, n_rows)):
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            if texts is not None:
                for name in texts.column_names:
                    arrays[name] = _single(texts.column(name).slice(offset, n_rows))
            yield arrays
        offset += n_rows


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _decode_pyarrow(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
) -> Iterator[Batch]:
    for read, steps in reads:
        n_rows = min(PYARROW_ROWS, _max_rows(read, n_sharing))
        with telling_corruption(read.file):
            for batch in _read_batches(read, projection, steps, n_rows):
                # The first rows come fast: what is made of them is made of few.
                yield batch.cut(0, first_rows)
                if len(batch) > first_rows:
                    yield batch.cut(first_rows, len(batch) - first_rows)
                first_rows = PYARROW_ROWS


def _read_batches(
    read: ExportRead, projection: Projection, steps: StepRange, n_rows: int
) -> Iterator[Batch]:
    columns = read.columns
    names = list(dict.fromkeys([STEP, *(column.name for column in columns)]))
    footer = read.facts.footer
    metadata = None if footer is None else pq.read_metadata(pa.BufferReader(footer))
    with pq.ParquetFile(read.file, metadata=metadata) as parquet:
        # One row group at a time: pyarrow cannot read nested texts across them.
        batches = (
            batch
            for index in read.row_groups
            for batch in parquet.iter_batches(n_rows, row_groups=[index], columns=names)
        )
        for raw in batches:
            arrays = tuple(_stored(raw, column) for column in columns)
            masks, whole = _whole_steps(raw.column(STEP), steps)
            masks += _key_masks(columns, arrays, projection)
            for mask in masks[1:]:
                masks[0] = pc.and_(masks[0], mask)
            if masks and not pc.all(masks[0]).as_py():
                whole = whole.filter(masks[0])
                arrays = tuple(array.filter(masks[0]) for array in arrays)
            yield Batch(whole, columns, arrays)


def _stored(batch: pa.RecordBatch, column: Column) -> pa.Array:
    # pyarrow selects by prefix: asked for 'a' it brings 'a.b' too, hence the name.
    array = batch.column(column.name)
    for name in column.path[1:]:
        array = pc.struct_field(array, name)
    # pyarrow can neither filter views nor take of them.
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if pa.types.is_binary_view(array.type) else array


def _whole_steps(column: pa.Array, steps: StepRange) -> tuple[list[pa.Array], pa.Array]:
    """Return masks of the rows whose step is in range, and the steps as int64."""
    if pa.types.is_floating(column.type):
        is_step = pc.fill_null(pc.less(pc.abs(column), 2.0**63), fill_value=False)
        column = pc.if_else(is_step, column, 0.0)
    elif pa.types.is_uint64(column.type):
        is_step = pc.fill_null(pc.less(column, pa.scalar(2**63, pa.uint64())), fill_value=False)
        column = pc.if_else(is_step, column, pa.scalar(0, pa.uint64()))
    else:
        is_step = pc.is_valid(column)
    whole = pc.cast(column, pa.int64(), safe=False)
    is_in = pc.fill_null(pc.greater_equal(whole, steps.start), fill_value=False)
    masks = [is_step, is_in]
    if steps.stop is not None:
        masks.append(pc.fill_null(pc.less(whole, steps.stop), fill_value=False))
    return masks, whole


def _key_masks(
    columns: tuple[Column, ...], arrays: tuple[pa.Array, ...], projection: Projection
) -> list[pa.Array]:
    if not projection.keys:
        return []
    present: dict[str, pa.Array] = {}
    for column, array in zip(columns, arrays, strict=True):
        key = column.key if projection.how == "all" else ""
        is_valid = pc.is_valid(array)
        present[key] = pc.or_(present[key], is_valid) if key in present else is_valid
    return list(present.values())
