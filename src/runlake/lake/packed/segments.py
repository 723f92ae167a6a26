"""Write runs into data files, segment by segment, sorted by key, run and step.

A segment is a set of files with all values of some runs. It is bounded by its bytes in memory, not
by its number of runs. A file is written under a temporary name and renamed when it is complete. So
a file with the name of a data file is always whole.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from runlake.lake.packed.place import METRICS, STATS, PackedPlace
from runlake.lake.packed.rows import KeyValues, RunValues
from runlake.lake.packed.schemas import arrow_schema
from runlake.lake.packed.stats import KeyStats, joined_stats, stats_of

SEGMENT_BYTES = 384 << 20
# A key gets row groups of its own from this number of rows; other keys share them.
OWN_ROWS = 100_000
SHARED_ROWS = 250_000
MAX_ROWS = 1 << 20
PARTIAL = ".part"
# Columns of few values, which become dictionaries.
REPEATED = frozenset({"key", "run", "type", "kind"})


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A data file that no snapshot names yet."""

    table: str
    path: str
    n_rows: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class PackedRun:
    """A run whose rows are in the files of a `Segment`."""

    number: int
    directory: str
    source: str
    n_rows: int


@dataclass(slots=True)
class Segment:
    """Files with all values of some runs. Other machines may write a segment, so it is picklable.

    Parameters
    ----------
    files : list of WrittenFile
        The data files, of the tables of values and of the table ``stats``.
    runs : list of PackedRun
        The runs whose values are in the files.
    left_out : dict of str to str
        Reason why a run was not packed, by the run's directory.
    """

    files: list[WrittenFile] = field(default_factory=list)
    runs: list[PackedRun] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, other: Segment) -> None:
        """Add the files and runs of another segment."""
        self.files += other.files
        self.runs += other.runs
        self.left_out |= other.left_out


def write_segments(
    place: PackedPlace, runs: Iterable[RunValues], max_bytes: int = SEGMENT_BYTES
) -> Iterator[Segment]:
    """Write runs in order into segments; yield each segment when its files are complete.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    runs : iterable of RunValues
        The runs, ascending by number.
    max_bytes : int
        When the runs in memory reach this size in bytes, they are written as a segment.
    """
    held: list[RunValues] = []
    n_bytes = 0
    for run in runs:
        held.append(run)
        n_bytes += run.n_bytes
        if n_bytes >= max_bytes:
            yield write_segment(place, held)
            held, n_bytes = [], 0
    if held:
        yield write_segment(place, held)


def write_segment(place: PackedPlace, runs: Sequence[RunValues]) -> Segment:
    """Write runs into the files of one segment; return the segment."""
    by_key: dict[tuple[str, str], list[tuple[int, KeyValues]]] = {}
    for one in runs:
        for values in one.keys:
            if values.table is not None:
                by_key.setdefault((values.table, values.key), []).append((one.run.number, values))
    first, last = runs[0].run.number, runs[-1].run.number
    segment = Segment()
    stats: list[KeyStats] = []
    for table in METRICS:
        keys = sorted(key for of, key in by_key if of == table)
        if not keys:
            continue
        # Taken out one by one, so that the values of a key are freed once they are written.
        blocks: Iterator[Block] = (_block(key, by_key.pop((table, key))) for key in keys)
        segment.files.append(write_file(place, table, (first, last), _noting(blocks, stats)))
    segment.files.append(_write_stats(place, (first, last), stats, runs))
    segment.runs = [
        PackedRun(one.run.number, one.run.directory.relative, one.run.source, one.n_rows)
        for one in runs
    ]
    return segment


@dataclass(frozen=True, slots=True)
class Block:
    """All values of one key that a segment writes to one table, ascending by run and step.

    Parameters
    ----------
    key : str
        The key.
    numbers, counts : array
        The run number of each run, and how many values the run has.
    steps, values : Series
        The step of each value, and the values, run by run.
    """

    key: str
    numbers: np.ndarray
    counts: np.ndarray
    steps: pl.Series
    values: pl.Series

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the values as the rows of an Arrow table, with the columns of a data file."""
        n_rows = len(self.values)
        # All rows have one key: in a dictionary it takes four bytes per row.
        keys = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(n_rows, np.int32)), pa.array([self.key], pa.string())
        )
        oldest = pl.CompatLevel.oldest()
        columns = [
            keys,
            pa.array(np.repeat(self.numbers, self.counts), pa.int32()),
            self.steps.to_arrow(compat_level=oldest),
            self.values.to_arrow(compat_level=oldest),
        ]
        return pa.Table.from_arrays(columns, schema=schema)


def _block(key: str, found: Sequence[tuple[int, KeyValues]]) -> Block:
    steps = [values.steps for _, values in found if values.steps is not None]
    cells = [values.values for _, values in found if values.values is not None]
    return Block(
        key,
        np.array([number for number, _ in found], np.int32),
        np.array([len(one) for one in cells], np.int64),
        pl.concat([one.alias("step") for one in steps], rechunk=True),
        pl.concat([one.alias("value") for one in cells], rechunk=True),
    )


def _noting(blocks: Iterable[Block], stats: list[KeyStats]) -> Iterator[Block]:
    for block in blocks:
        stats.append(stats_of(block.key, block.numbers, block.counts, block.steps, block.values))
        yield block


def write_file(
    place: PackedPlace, table: str, numbers: tuple[int, int], blocks: Iterable[Block]
) -> WrittenFile:
    """Write blocks, ascending by key, into a data file of a metrics table.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    table : str
        The table.
    numbers : tuple of int
        Bounds of the run numbers in the file, both inclusive. The file's name has both.
    blocks : iterable of Block
        The values of each key, ascending by key.
    """
    schema = arrow_schema(table, has_dictionary=True)
    return _write(place, table, numbers, schema, (block.table(schema) for block in blocks))


def write_tables(
    place: PackedPlace, table: str, numbers: tuple[int, int], keys: Iterable[pa.Table]
) -> WrittenFile:
    """Write Arrow tables, each with the rows of one key, into a data file; see `write_file`."""
    schema = arrow_schema(table)
    return _write(place, table, numbers, schema, (rows.cast(schema) for rows in keys))


def _write(
    place: PackedPlace,
    table: str,
    numbers: tuple[int, int],
    schema: pa.Schema,
    keys: Iterable[pa.Table],
) -> WrittenFile:
    path, partial = _new_file(place, table, numbers)
    with open_writer(partial, schema) as writer:
        shared: list[pa.Table] = []
        n_shared = 0
        for rows in keys:
            if rows.num_rows >= OWN_ROWS:
                # A file is sorted by key, so the smaller keys before this one are written first.
                n_shared = _write_shared(writer, shared)
                writer.write_table(rows, row_group_size=MAX_ROWS)
                continue
            if n_shared + rows.num_rows > SHARED_ROWS:
                n_shared = _write_shared(writer, shared)
            shared.append(rows)
            n_shared += rows.num_rows
        _write_shared(writer, shared)
    return _finished(table, path, partial)


def _write_shared(writer: pq.ParquetWriter, shared: list[pa.Table]) -> int:
    if shared:
        rows = pa.concat_tables(shared).unify_dictionaries()
        writer.write_table(rows, row_group_size=MAX_ROWS)
        shared.clear()
    return 0


def write_rows(
    place: PackedPlace, table: str, numbers: tuple[int, int], rows: pl.DataFrame
) -> WrittenFile:
    """Write a frame into a data file of a table. The frame has the columns of the table."""
    schema = arrow_schema(table)
    path, partial = _new_file(place, table, numbers)
    with open_writer(partial, schema) as writer:
        found = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
        writer.write_table(found, row_group_size=OWN_ROWS)
    return _finished(table, path, partial)


def _write_stats(
    place: PackedPlace,
    numbers: tuple[int, int],
    found: Sequence[KeyStats],
    runs: Sequence[RunValues],
) -> WrittenFile:
    return write_rows(place, STATS, numbers, joined_stats(found, runs))


def _new_file(place: PackedPlace, table: str, numbers: tuple[int, int]) -> tuple[Path, Path]:
    first, last = numbers
    path = place.data(table) / f"{first:010d}-{last:010d}-{uuid.uuid4().hex}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path, path.with_name(path.name + PARTIAL)


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a Parquet writer for a data file with the columns of the schema."""
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name in REPEATED],
        column_encoding={one.name: _encoding(one) for one in schema if _encoding(one)} or None,
        write_page_index=True,
        # For `page_checksums`; writing them takes no measurable time.
        write_page_checksum=True,
        store_schema=False,
    )


def _encoding(column: pa.Field) -> str | None:
    """Return the Parquet encoding of a column; None for pyarrow's default encoding."""
    if column.name in REPEATED:
        return None
    # The first bytes of floats that were logged together are alike, and the last bytes are often
    # zero. Stored apart, they take a tenth less space. zstd leaves the other bytes as they are, so
    # pyarrow and DuckDB read the column in half of the time.
    if pa.types.is_float64(column.type):
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if pa.types.is_int64(column.type) else None


def _finished(table: str, path: Path, partial: Path) -> WrittenFile:
    """Flush a complete file to the disk, and rename it from ``partial`` to its final name."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(path)
    # The new name must be on the disk too before a commit names it.
    _sync_directory(path.parent)
    metadata = pq.read_metadata(path)
    return WrittenFile(table, str(path), metadata.num_rows, path.stat().st_size)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
