"""Columns of a wide export, read by a footer that knows no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.history.plan.segments import ExportRead

if TYPE_CHECKING:
    import polars as pl


def scan_wide(read: ExportRead) -> pl.LazyFrame | None:
    """Return the wanted columns of an export whose footer is long.

    Parameters
    ----------
    read : ExportRead
        With a slim footer among its facts, or without.

    Returns
    -------
    polars.LazyFrame or None
        As long as the file, so that rows have the same places; row groups that are not wanted are
        null, and may not be on disk. None where there is no slim footer. The columns are in memory:
        they are few, or the footer would not be slim.
    """
    footer = read.facts.footer
    if footer is None:
        return None
    from runlake.history.decode.expressions import from_arrow

    metadata = pq.read_metadata(pa.BufferReader(footer))
    return from_arrow(read_columns(read, metadata=metadata)).lazy()


def read_columns(
    read: ExportRead,
    names: Sequence[str] | None = None,
    metadata: pq.FileMetaData | None = None,
) -> pa.Table:
    """Read columns by pyarrow.

    Parameters
    ----------
    read : ExportRead
        The export.
    names : sequence of str, optional
        Columns; all that the footer knows if omitted.
    metadata : pyarrow.parquet.FileMetaData, optional
        A footer to use in place of the file's own.

    Returns
    -------
    pyarrow.Table
        As long as the file; row groups that are not wanted are null.
    """
    wanted = set(read.row_groups)
    with pq.ParquetFile(read.file, metadata=metadata, page_checksum_verification=True) as parquet:
        # pyarrow selects by prefix: asked for 'a' it brings 'a.b' too.
        fields = [f for f in parquet.schema_arrow if names is None or f.name in set(names)]
        schema = pa.schema(fields)
        tables = [
            parquet.read_row_group(index, columns=names).select(schema.names)
            if index in wanted
            else _nulls(schema, group.n_rows)
            for index, group in enumerate(read.facts.row_groups)
        ]
    if not tables:
        return schema.empty_table()
    table = pa.concat_tables(tables)
    # Texts that are no UTF-8 would be met by whoever reads the cells.
    table.validate(full=True)
    return table


def _nulls(schema: pa.Schema, n_rows: int) -> pa.Table:
    return pa.Table.from_arrays([pa.nulls(n_rows, field.type) for field in schema], schema=schema)
