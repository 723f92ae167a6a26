"""`Stream`: rows as Arrow batches, from any source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows as Arrow batches, which can be read only once.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of every batch.
    batches : iterator of pyarrow.RecordBatch
        The rows.
    json_keys : frozenset of str
        Columns that are JSON text, because their values have no common type.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    json_keys: frozenset[str] = frozenset()
