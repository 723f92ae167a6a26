"""Read what the plan of a read needs from an export's footer and its ``_step`` column."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.exports.footers.schema import Columns, refusing_unsound
from runlake.exports.footers.steps import read_row_groups
from runlake.exports.footers.writers import is_common


def read_export_facts(file: Path | bytes, footer: pq.FileMetaData | None = None) -> ExportFacts:
    """Return the facts of an export, read from its footer and its ``_step`` column.

    Parameters
    ----------
    file : Path or bytes
        A file, or its content, with at least its footer and its ``_step`` column.
    footer : pyarrow.parquet.FileMetaData, optional
        The footer, if the caller has read it already, inside `refusing_unsound`.

    Returns
    -------
    ExportFacts
        Types and statistics are from the footer; row counts and steps are from the ``_step``
        column, and compared with the footer.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If the file is not a Parquet file; `UnreadableExport` if the footer is damaged, or the
        column names or row counts in it are wrong.
    """
    with (
        refusing_unsound(file if footer is None else None) as parts,
        pq.ParquetFile(
            pa.BufferReader(file) if isinstance(file, bytes) else file,
            metadata=footer,
            memory_map=False,
            pre_buffer=False,
            page_checksum_verification=True,
        ) as parquet,
    ):
        known = Columns.of_footer(parquet.metadata, parts)
        groups, is_ascending, is_as_stated = read_row_groups(parquet, known)
        columns = read_columns(parquet.metadata, known, known.leaves)
        return ExportFacts(
            groups,
            is_ascending,
            len(columns),
            KnownColumns(columns),
            is_as_stated=is_as_stated,
            is_common=is_common(parquet.metadata, known.kinds),
        )


def read_columns(
    metadata: pq.FileMetaData, columns: Columns, names: Iterable[str]
) -> dict[str, ColumnFacts]:
    """Read the statistics of the requested columns from a footer.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    columns : Columns
        Columns of the same file.
    names : iterable of str
        Top-level columns; columns that the file does not have are ignored.

    Returns
    -------
    dict of str to ColumnFacts
        Columns in the order of ``names``.
    """
    schema, leaves = columns.schema, columns.leaves
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    found = {}
    for name in names:
        if name in leaves:
            kind = schema.field(leaves[name][2]).type
            first, stop, _ = leaves[name]
            is_flat = stop - first == 1 and not pa.types.is_nested(kind)
            found[name] = _statistics(groups, first, kind) if is_flat else ColumnFacts.of(kind)
    return found


def _statistics(groups: list[pq.RowGroupMetaData], leaf: int, kind: pa.DataType) -> ColumnFacts:
    """Return type, number of nulls and bounds of a column; impossible statistics are ignored."""
    n_nulls: int | None = 0
    bounds: list[float] | None = []
    # Not for 16-bit floats: pyarrow returns their statistics as bytes.
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
                # Also drops NaN bounds, with which every comparison is False.
                bounds = bounds if bounds[-2] <= bounds[-1] else None
        elif n_here != group.num_rows:
            bounds = None
    if not bounds:
        return ColumnFacts.of(kind, n_nulls)
    return ColumnFacts.of(kind, n_nulls, min(bounds), max(bounds))


def _stated_nulls(statistics: pq.Statistics | None, n_rows: int) -> int | None:
    if statistics is None or not statistics.has_null_count:
        return None
    n_nulls: int = statistics.null_count
    is_possible = 0 <= n_nulls <= n_rows and not (statistics.has_min_max and n_nulls == n_rows)
    return n_nulls if is_possible else None
