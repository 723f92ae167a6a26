"""Whether a downloaded file is the export that was promised, and what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runlake.exports.validator import Validator
from runlake.values import STEP

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of an export: rows, and first and last step, both inclusive.

    The steps are None where no row of the group has one.
    """

    n_rows: int
    first_step: int | None
    last_step: int | None


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What planning needs to know of an export, so that it need not open the file.

    Parameters
    ----------
    row_groups : tuple of RowGroup
        In file order.
    is_ascending : bool
        Every row has a step, and each step is higher than the one before.
    schema : pyarrow.Schema
        Columns as stored.
    null_counts : mapping of str to int
        Nulls per column, for the columns whose statistics tell.
    """

    row_groups: tuple[RowGroup, ...]
    is_ascending: bool
    schema: pa.Schema
    null_counts: Mapping[str, int]

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


class Digest:
    """Counts and hashes bytes while they arrive, to compare with what a host promises.

    Parameters
    ----------
    with_md5 : bool
        MD5 costs more than all the rest of a download, hence only where nothing else is promised.
    """

    def __init__(self, *, with_md5: bool) -> None:
        self.n_bytes = 0
        self.crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    @classmethod
    def for_promise(cls, validator: Validator) -> Digest:
        """Return a digest that can tell whether a promise is kept."""
        return cls(with_md5=validator.md5 is not None and validator.crc32c is None)

    def update(self, chunk: bytes) -> None:
        """Count and hash a piece."""
        self.n_bytes += len(chunk)
        self.crc32c = google_crc32c.extend(self.crc32c, chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    def read(self, file: BinaryIO, n_bytes: int | None = None) -> None:
        """Count and hash what a file holds, to its end or so many bytes."""
        left = n_bytes
        while chunk := file.read(READ_BYTES if left is None else min(READ_BYTES, left)):
            self.update(chunk)
            left = None if left is None else left - len(chunk)

    def disagreement(self, validator: Validator) -> str | None:
        """Return which promise is broken, None if none is that can be told."""
        if validator.crc32c is not None:
            return None if validator.crc32c == self.crc32c else "CRC32C"
        if validator.md5 is not None and self._md5 is not None:
            return None if validator.md5 == self._md5.hexdigest() else "MD5"
        return None


def digest_file(file: Path, validator: Validator) -> Digest:
    """Read a whole file for its digest.

    Parameters
    ----------
    file : Path
        A complete file.
    validator : Validator
        What the storage host promised of it; `Digest.disagreement` compares.

    Returns
    -------
    Digest
        With whatever the promise needs.
    """
    digest = Digest.for_promise(validator)
    with file.open("rb", buffering=0) as content:
        digest.read(content)
    return digest


def read_export_facts(file: Path) -> ExportFacts:
    """Read the footer and the steps of an export.

    Parameters
    ----------
    file : Path
        A complete file.

    Returns
    -------
    ExportFacts
        From the footer; steps from the ``_step`` column itself, whose order statistics do not tell.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If the file is no Parquet file.
    """
    with pq.ParquetFile(file) as parquet:
        metadata = parquet.metadata
        schema = parquet.schema_arrow
        has_step = STEP in schema.names
        groups = []
        last: int | None = None
        is_ascending = has_step
        for index in range(metadata.num_row_groups):
            n_rows = metadata.row_group(index).num_rows
            if not has_step:
                groups.append(RowGroup(n_rows, None, None))
                continue
            column = parquet.read_row_group(index, columns=[STEP]).column(STEP).combine_chunks()
            group, group_ascends = _step_facts(column)
            is_ascending = is_ascending and group_ascends
            if group.first_step is not None:
                is_ascending = is_ascending and (last is None or group.first_step > last)
                last = group.last_step
            groups.append(group)
        return ExportFacts(tuple(groups), is_ascending, schema, _null_counts(metadata))


def _step_facts(column: pa.Array) -> tuple[RowGroup, bool]:
    steps = pc.drop_null(column)
    if pa.types.is_floating(steps.type):
        steps = steps.filter(pc.is_finite(steps))
    steps = pc.cast(steps, pa.int64(), safe=False)
    if len(steps) == 0:
        return RowGroup(len(column), None, None), len(column) == 0
    bounds = pc.min_max(steps)
    rises = pc.all(pc.greater(steps[1:], steps[:-1])).as_py() if len(steps) > 1 else True
    group = RowGroup(len(column), bounds["min"].as_py(), bounds["max"].as_py())
    return group, bool(rises) and len(steps) == len(column)


def _null_counts(metadata: pq.FileMetaData) -> dict[str, int]:
    counts: dict[str, int] = {}
    unknown: set[str] = set()
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for position in range(group.num_columns):
            column = group.column(position)
            statistics = column.statistics
            if statistics is None or not statistics.has_null_count:
                unknown.add(column.path_in_schema)
            else:
                name = column.path_in_schema
                counts[name] = counts.get(name, 0) + statistics.null_count
    return {name: count for name, count in counts.items() if name not in unknown}
