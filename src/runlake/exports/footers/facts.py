"""What planning needs to know of an export, read from its footer and its ``_step`` column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.buffers import numbers_of
from runlake.exports.footers.soundness import check_file
from runlake.exports.footers.writers import is_common, kinds_in
from runlake.exports.ranges import ByteRange
from runlake.values import STEP, StepRange

STEPS_AT_ONCE = 1 << 20


class UnreadableExport(pa.ArrowInvalid):  # type: ignore[misc]
    """A Parquet file of which no answer can be made; the text says why."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of an export: rows, and first and last step, both inclusive.

    The steps are None where no row of the group has one.
    """

    n_rows: int
    first_step: int | None
    last_step: int | None


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column of an export.

    Parameters
    ----------
    type : pyarrow.DataType
        As stored.
    n_nulls : int or None
        None where the statistics do not tell, as for structs and lists.
    minimum, maximum : float or None
        Of the finite numbers, as far as the statistics of every row group tell.
    """

    type: pa.DataType
    n_nulls: int | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What planning needs to know of an export, so that it need not open the file.

    Parameters
    ----------
    row_groups : tuple of RowGroup
        In file order.
    is_ascending : bool
        Every row has a step, and each step is higher than the one before.
    n_columns : int
        Columns of the file, ``_step`` included.
    columns : mapping of str to ColumnFacts
        In file order; only those that were asked for.
    footer : bytes or None
        A footer of those columns alone, where the export's own is long.
    is_as_stated : bool
        What the footer states of row counts, order, and steps is what the ``_step`` column has.
    is_common : bool
        Every engine reads what the writer used: see `runlake.exports.footers.writers`.
    """

    row_groups: tuple[RowGroup, ...]
    is_ascending: bool
    n_columns: int
    columns: Mapping[str, ColumnFacts] = field(repr=False)
    footer: bytes | None = field(default=None, repr=False)
    is_as_stated: bool = True
    is_common: bool = True

    @property
    def n_rows(self) -> int:
        """Rows in the file."""
        return sum(group.n_rows for group in self.row_groups)

    @property
    def first_step(self) -> int | None:
        """Lowest step, None for a file without steps."""
        return min(
            (g.first_step for g in self.row_groups if g.first_step is not None), default=None
        )

    @property
    def last_step(self) -> int | None:
        """Highest step, None for a file without steps."""
        return max((g.last_step for g in self.row_groups if g.last_step is not None), default=None)

    @property
    def schema(self) -> pa.Schema:
        """The columns that were asked for, as an Arrow schema."""
        return pa.schema([(name, column.type) for name, column in self.columns.items()])

    @property
    def null_counts(self) -> dict[str, int]:
        """Nulls per column, for the columns whose statistics tell."""
        return {n: c.n_nulls for n, c in self.columns.items() if c.n_nulls is not None}


def read_export_facts(file: Path, footer: pq.FileMetaData | None = None) -> ExportFacts:
    """Read the footer and the steps of an export.

    Parameters
    ----------
    file : Path
        A file with its footer and its ``_step`` column.
    footer : pyarrow.parquet.FileMetaData, optional
        Its footer, where that was read already, within `refusing_unsound`.

    Returns
    -------
    ExportFacts
        Types and statistics from the footer; row counts and steps from the ``_step`` column
        itself, with which the footer is compared.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If the file is no Parquet file; `UnreadableExport` if its names or row counts are wrong.
    """
    with (
        refusing_unsound(file if footer is None else None),
        pq.ParquetFile(
            file,
            metadata=footer,
            memory_map=False,
            pre_buffer=False,
            page_checksum_verification=True,
        ) as parquet,
    ):
        schema = checked_schema(parquet.metadata)
        groups, is_ascending, is_as_stated = _row_groups(parquet)
        columns = read_columns(parquet.metadata, schema, dict.fromkeys(schema.names))
        return ExportFacts(
            groups,
            is_ascending,
            len(columns),
            columns,
            is_as_stated=is_as_stated,
            is_common=is_common(parquet.metadata, schema),
        )


def checked_schema(metadata: pq.FileMetaData) -> pa.Schema:
    """Return a schema in which each name is that of one column, or field; else `UnreadableExport`.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        A footer.
    """
    schema = metadata.schema.to_arrow_schema()
    if doubles := _doubles(schema.names):
        raise UnreadableExport(f"two columns are named {doubles[0]!r}")
    for column in schema:
        for kind in kinds_in(column.type) if pa.types.is_nested(column.type) else ():
            fields = [field.name for field in kind] if pa.types.is_struct(kind) else []
            if doubles := _doubles(fields):
                raise UnreadableExport(
                    f"two fields of column {column.name!r} are named {doubles[0]!r}"
                )
    # Arrow's own schema, which a footer may carry too, need not be that of the columns.
    n_leaves = sum(_n_leaves(column.type) for column in schema)
    if n_leaves != metadata.num_columns:
        raise UnreadableExport(
            f"it stores {metadata.num_columns:,} columns, but {n_leaves:,} by its Arrow schema"
        )
    return schema


def _doubles(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return []
    return [name for name, count in Counter(names).items() if count > 1]


@contextmanager
def refusing_unsound(file: Path | None) -> Iterator[None]:
    """Turn whatever is wrong with a file's footer into `UnreadableExport`.

    The footer is compared with itself first: of an unsound one pyarrow ends the process. None
    stands for a file of which that was done.
    """
    try:
        if file is not None:
            check_file(file)
        yield
    except (pa.ArrowException, OSError):
        raise
    except UnicodeDecodeError as error:
        raise UnreadableExport(f"a column has the name {error.object!r}, not UTF-8") from error
    except (ValueError, LookupError, ArithmeticError, TypeError, RecursionError) as error:
        # UnsoundFooter, and what pyarrow raises while it turns strange values into Python's.
        raise UnreadableExport(f"its footer is damaged: {error}") from error


def columns_for(keys: Iterable[str], types: Mapping[str, pa.DataType]) -> list[str]:
    """Return the columns in which an export can hold some keys.

    Parameters
    ----------
    keys : iterable of str
        The keys.
    types : mapping of str to pyarrow.DataType
        The columns of the export.

    Returns
    -------
    list of str
        Columns of the keys' names, and structs ``a`` that may hold a key ``a.b`` as a field.

    Examples
    --------
    >>> import pyarrow as pa
    >>> columns_for(["a.b", "c"], {"a": pa.struct([("b", pa.int64())]), "b": pa.int64()})
    ['a']
    """
    found = dict.fromkeys(key for key in keys if key in types)
    for parent in parents_of(keys):
        if parent in types and pa.types.is_struct(types[parent]):
            found[parent] = None
    return list(found)


def parents_of(keys: Iterable[str]) -> list[str]:
    """Return the names of which dotted keys can be fields: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = (key.split(".") for key in keys)
    return list(dict.fromkeys(".".join(names[:n]) for names in parts for n in range(1, len(names))))


def read_columns(
    metadata: pq.FileMetaData, schema: pa.Schema, names: Iterable[str]
) -> dict[str, ColumnFacts]:
    """Read the statistics of some columns from a footer.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    schema : pyarrow.Schema
        Of the same file.
    names : iterable of str
        Top-level columns; those that the file lacks are left out.

    Returns
    -------
    dict of str to ColumnFacts
        In the order of the names.
    """
    leaves = leaf_positions(schema)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    found = {}
    for name in names:
        if name in leaves:
            kind = schema.field(leaves[name][2]).type
            first, stop, _ = leaves[name]
            is_flat = stop - first == 1 and not pa.types.is_nested(kind)
            found[name] = _statistics(groups, first, kind) if is_flat else ColumnFacts(kind)
    return found


def leaf_positions(schema: pa.Schema) -> dict[str, tuple[int, int, int]]:
    """Return for each top-level column its first and last+1 leaf, and its place in the schema.

    Parquet stores a struct or a list as one column chunk per leaf, in the order of the schema; the
    paths of leaves cannot tell a struct ``a`` with a field ``b`` from a column named ``a.b``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> point = pa.struct([("x", pa.int64()), ("y", pa.int64())])
    >>> schema = pa.schema([("a", point), ("b", pa.int8())])
    >>> leaf_positions(schema)
    {'a': (0, 2, 0), 'b': (2, 3, 1)}
    """
    positions: dict[str, tuple[int, int, int]] = {}
    start = 0
    for place, column in enumerate(schema):
        stop = start + _n_leaves(column.type)
        positions.setdefault(column.name, (start, stop, place))
        start = stop
    return positions


def chunk_ranges(
    metadata: pq.FileMetaData,
    schema: pa.Schema,
    wanted: Mapping[str, Iterable[int]],
) -> list[ByteRange]:
    """Return where column chunks lie in the file.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    schema : pyarrow.Schema
        Of the same file.
    wanted : mapping of str to iterable of int
        Row groups by column; columns that the file lacks are left out.

    Returns
    -------
    list of ByteRange
        One per chunk (Parquet format, ``ColumnMetaData``), in no order.
    """
    leaves = leaf_positions(schema)
    ranges = []
    for name, groups in wanted.items():
        if name not in leaves:
            continue
        for group in groups:
            for leaf in range(*leaves[name][:2]):
                chunk = metadata.row_group(group).column(leaf)
                start = chunk.data_page_offset
                # Some writers note a dictionary offset of 0 for "none".
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    start = min(start, chunk.dictionary_page_offset)
                ranges.append(ByteRange(start, start + chunk.total_compressed_size))
    return ranges


def touched_row_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, start: int, stop: int | None
) -> tuple[int, ...]:
    """Return the row groups that may hold a step of ``start <= step < stop``, by statistics."""
    leaves = leaf_positions(schema)
    touched = []
    for index in range(metadata.num_row_groups):
        bounds = None
        if STEP in leaves:
            bounds = metadata.row_group(index).column(leaves[STEP][0]).statistics
        if bounds is None or not bounds.has_min_max or _overlaps(bounds, start, stop):
            touched.append(index)
    return tuple(touched)


def _overlaps(bounds: pq.Statistics, start: int, stop: int | None) -> bool:
    # Of NaN neither is known.
    return not (bounds.max < start or (stop is not None and bounds.min >= stop))


def groups_in(facts: ExportFacts, steps: StepRange) -> tuple[int, ...]:
    """Return the row groups that hold a step of a range."""
    return tuple(
        index
        for index, group in enumerate(facts.row_groups)
        if group.first_step is not None
        and group.last_step is not None
        and steps.touches(group.first_step, group.last_step)
    )


def _n_leaves(kind: pa.DataType) -> int:
    types = pa.types
    if types.is_dictionary(kind):
        return _n_leaves(kind.value_type)
    if types.is_struct(kind):
        return sum(_n_leaves(child.type) for child in kind)
    if types.is_map(kind):
        return _n_leaves(kind.key_type) + _n_leaves(kind.item_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _n_leaves(kind.storage_type)
    if types.is_nested(kind) and not types.is_union(kind):
        return _n_leaves(kind.value_type)
    return 1


def _statistics(groups: list[pq.RowGroupMetaData], leaf: int, kind: pa.DataType) -> ColumnFacts:
    """Return what the statistics of a column state, None where they cannot be true."""
    n_nulls: int | None = 0
    bounds: list[float] | None = []
    # The statistics of 16-bit floats come as bytes.
    is_number = pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())
    for group in groups:
        statistics = group.column(leaf).statistics
        n_here = _stated_nulls(statistics, group.num_rows)
        n_nulls = None if n_nulls is None or n_here is None else n_nulls + n_here
        if statistics is None or not is_number:
            bounds = None
        elif statistics.has_min_max:
            if bounds is not None:
                bounds += [float(statistics.min), float(statistics.max)]
                # NaN is at no side of anything.
                bounds = bounds if bounds[-2] <= bounds[-1] else None
        elif n_here != group.num_rows:
            bounds = None
    if not bounds:
        return ColumnFacts(kind, n_nulls)
    return ColumnFacts(kind, n_nulls, min(bounds), max(bounds))


def _stated_nulls(statistics: pq.Statistics | None, n_rows: int) -> int | None:
    if statistics is None or not statistics.has_null_count:
        return None
    n_nulls: int = statistics.null_count
    is_possible = 0 <= n_nulls <= n_rows and not (statistics.has_min_max and n_nulls == n_rows)
    return n_nulls if is_possible else None


@dataclass(frozen=True, slots=True)
class _Steps:
    """What the ``_step`` column of a row group has, or some of it."""

    group: RowGroup
    is_ascending: bool
    n_nulls: int


def _row_groups(parquet: pq.ParquetFile) -> tuple[tuple[RowGroup, ...], bool, bool]:
    """Return the row groups, whether steps ascend, and whether the footer states the same."""
    metadata = parquet.metadata
    if STEP not in parquet.schema_arrow.names:
        stated = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        groups = tuple(RowGroup(group.num_rows, None, None) for group in stated)
        return groups, False, _has_rows_as_stated(metadata, groups)
    leaf, _, place = leaf_positions(parquet.schema_arrow)[STEP]
    is_integer = pa.types.is_integer(parquet.schema_arrow.field(place).type)
    found = []
    is_as_stated = True
    for index in range(metadata.num_row_groups):
        steps = _joined(_step_facts(column) for column in _step_columns(parquet, index))
        row_group = metadata.row_group(index)
        n_stored = row_group.column(leaf).num_values
        if steps.group.n_rows < n_stored:
            # No engine reads behind the count of rows.
            raise UnreadableExport(
                f"row group {index} has {n_stored:,} steps, but states {row_group.num_rows:,} rows"
            )
        found.append(steps)
        is_as_stated = is_as_stated and _is_as_stated(row_group, leaf, steps, is_integer=is_integer)
    groups = tuple(steps.group for steps in found)
    is_ascending = _joined(found).is_ascending
    is_as_stated = (
        is_as_stated
        and _has_rows_as_stated(metadata, groups)
        and _is_sorted_as_stated(parquet, is_ascending)
    )
    return groups, is_ascending, is_as_stated


def _has_rows_as_stated(metadata: pq.FileMetaData, groups: Iterable[RowGroup]) -> bool:
    return bool(sum(group.n_rows for group in groups) == metadata.num_rows)


def _step_columns(parquet: pq.ParquetFile, index: int) -> Iterator[pa.Array]:
    """Yield the ``_step`` column of a row group in pieces of bounded size."""
    if parquet.metadata.row_group(index).num_rows > STEPS_AT_ONCE:
        for batch in parquet.iter_batches(
            STEPS_AT_ONCE, row_groups=[index], columns=[STEP], use_threads=False
        ):
            yield batch.column(STEP)
        return
    table = parquet.read_row_group(index, columns=[STEP], use_threads=False)
    yield table.column(STEP).combine_chunks()


def _joined(parts: Iterable[_Steps]) -> _Steps:
    """Return what rows have that follow each other."""
    n_rows = n_nulls = 0
    first: int | None = None
    last: int | None = None
    highest: int | None = None
    is_ascending = True
    for part in parts:
        group = part.group
        n_rows += group.n_rows
        n_nulls += part.n_nulls
        is_ascending = is_ascending and part.is_ascending
        if group.first_step is None or group.last_step is None:
            continue
        is_ascending = is_ascending and (highest is None or group.first_step > highest)
        highest = group.last_step
        first = group.first_step if first is None else min(first, group.first_step)
        last = group.last_step if last is None else max(last, group.last_step)
    return _Steps(RowGroup(n_rows, first, last), is_ascending, n_nulls)


def _is_as_stated(
    stated: pq.RowGroupMetaData, leaf: int, steps: _Steps, *, is_integer: bool
) -> bool:
    """Tell whether a row group has the rows and the whole steps that its footer states."""
    group = steps.group
    if stated.num_rows != group.n_rows:
        return False
    statistics = stated.column(leaf).statistics
    if not is_integer or statistics is None:
        return True
    if statistics.has_null_count and statistics.null_count != steps.n_nulls:
        return False
    if not statistics.has_min_max:
        return True
    return bool((statistics.min, statistics.max) == (group.first_step, group.last_step))


def _is_sorted_as_stated(parquet: pq.ParquetFile, is_ascending: bool) -> bool:
    """Tell whether no order is stated but that of the steps; polars believes what is stated."""
    (step, _, _) = leaf_positions(parquet.schema_arrow).get(STEP, (None, None, None))
    metadata = parquet.metadata
    stated = [metadata.row_group(n).sorting_columns for n in range(metadata.num_row_groups)]
    return all(
        sorting.column_index == step and not sorting.descending and is_ascending
        for columns in stated
        for sorting in columns[:1]
    )


def _step_facts(column: pa.Array) -> _Steps:
    steps = numbers_of(_whole_steps(column))
    n_rows = len(column)
    if len(steps) == 0:
        return _Steps(RowGroup(n_rows, None, None), n_rows == 0, column.null_count)
    rises = bool((steps[1:] > steps[:-1]).all())
    group = RowGroup(n_rows, int(steps.min()), int(steps.max()))
    return _Steps(group, rises and len(steps) == n_rows, column.null_count)


def _whole_steps(column: pa.Array) -> pa.Array:
    """Return the steps that are there, as int64."""
    if column.type == pa.int64() and not column.null_count:
        return column
    # Imported late, because it takes as long as all else of pyarrow, and mostly nothing needs it.
    import pyarrow.compute as pc

    steps = pc.drop_null(column)
    if pa.types.is_floating(steps.type):
        steps = steps.filter(pc.is_finite(steps))
    return pc.cast(steps, pa.int64(), safe=False)
