"""Rows as Arrow batches, one after the other, whatever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows that can be read once.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of each batch.
    batches : iterator of pyarrow.RecordBatch
        The rows.
    json_keys : frozenset of str
        Columns that are JSON text, because their cells are of types that no column can hold.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    json_keys: frozenset[str] = frozenset()
