"""Parquet files whose footers state facts that are not true of the file."""

from __future__ import annotations

import io
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FOOTER_END = 8
# Thrift's compact protocol: the next field, an integer of 64 bits.
NEXT_INTEGER = 0x16


def misstated(
    rows: pa.Table, stated: pa.Table, row_group_size: int, **options: Any
) -> bytes | None:
    """Return a file of some rows with the footer of others, None if those take other space."""
    whole = [_plain(table, row_group_size, **options) for table in (rows, stated)]
    if _places(whole[0]) != _places(whole[1]):
        return None
    return _split(whole[0])[0] + _split(whole[1])[1]


def restated(content: bytes, number: int, other: int, *, place: int = 0) -> bytes:
    """Return a file whose footer states another number: of rows, of row groups' rows, of nulls.

    ``place`` says which of the fields that have the number is changed.
    """
    data, footer = _split(content)
    old, new = (bytes([NEXT_INTEGER, 2 * value]) for value in (number, other))
    before = footer.split(old)
    assert len(before) > place + 1, len(before)
    changed = old.join(before[: place + 1]) + new + old.join(before[place + 1 :])
    return data + changed


def _places(content: bytes) -> list[tuple[int, int]]:
    metadata = pq.read_metadata(io.BytesIO(content))
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    return [(chunk.data_page_offset, chunk.total_compressed_size) for chunk in chunks]


def _plain(table: pa.Table, row_group_size: int, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        row_group_size=row_group_size,
        use_dictionary=False,
        compression="none",
        **options,
    )
    return sink.getvalue()


def _split(content: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack("<I", content[-FOOTER_END:-4])
    at = len(content) - FOOTER_END - length
    return content[:at], content[at:]
