"""Whether a downloaded file is the export that was promised, and what it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runlake.values import STEP


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
    """Counts and hashes a body while it arrives, to compare with what the headers promise."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.promised = _promised_md5(headers)
        self.n_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        """Count and hash a piece of the body."""
        self.n_bytes += len(chunk)
        if self.promised is not None:
            self._md5.update(chunk)

    @property
    def agrees(self) -> bool:
        """The body is what the headers promised, as far as they promise anything."""
        return self.promised is None or self.promised == self._md5.digest()


def _promised_md5(headers: Mapping[str, str]) -> bytes | None:
    """Find an MD5 in the headers of S3, Google Cloud Storage or RFC 1864.

    S3 writes an ETag of the same look that is no MD5 for objects encrypted with a managed key.
    """
    google = re.search(r"md5=([A-Za-z0-9+/]{22}==)", headers.get("x-goog-hash", ""))
    encoded = google[1] if google else headers.get("content-md5")
    if encoded:
        return base64.b64decode(encoded)
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("etag", ""))
    is_encrypted = "x-amz-server-side-encryption-aws-kms-key-id" in headers
    return bytes.fromhex(etag[1]) if etag and not is_encrypted else None


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
