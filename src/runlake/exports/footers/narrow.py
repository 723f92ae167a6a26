"""Make footers of only some columns: a read of one key need not parse ten thousand columns.

A Parquet footer is one Thrift structure in the compact protocol (Parquet format,
``parquet.thrift``, ``FileMetaData``). It contains the schema and, for every row group, a
``ColumnChunk`` per leaf column. The footer is walked once to slice it into these parts; then a slim
footer is joined from the slices of some columns, without parsing the slices.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runlake.exports.footers.forms import Forms, Rules
from runlake.exports.footers.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    SHORT_LIST,
    STRUCT,
    UnknownType,
    Walker,
)

MAGIC = b"PAR1"
LENGTH_AND_MAGIC = 8
VERSION, SCHEMA, N_ROWS, ROW_GROUPS, CREATED_BY = 1, 2, 3, 4, 6
CHUNKS, SORTING_COLUMNS = 1, 4
N_CHILDREN = 5
# The field (3, 3) is meta_data.path_in_schema of a column chunk, a string of any length.
_chunks_seen: Forms[None] = Forms(Rules(free=frozenset({(3, 3)})))


@dataclass(frozen=True, slots=True)
class ColumnSlice:
    """The bytes of a footer that describe one top-level column.

    Parameters
    ----------
    n_elements : int
        Number of schema elements: one, and one per nested field.
    elements : bytes
        The schema elements.
    n_leaves : int
        Number of leaf columns.
    chunks : tuple of bytes
        For each row group, the ``ColumnChunk`` structures of the column's leaves.
    """

    n_elements: int
    elements: bytes
    n_leaves: int
    chunks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FooterFrame:
    """The bytes of a footer that do not belong to any column.

    Parameters
    ----------
    version, n_rows : bytes
        The two fields with their headers.
    root : tuple of bytes
        The schema's root element: the bytes before and after its number of children.
    groups : tuple of bytes
        For each row group, the bytes after its column chunks.
    created_by : bytes
        The field ``created_by`` without its header; may be empty. Readers use it to correct faults
        of old writers.
    """

    version: bytes
    root: tuple[bytes, bytes]
    n_rows: bytes
    groups: tuple[bytes, ...]
    created_by: bytes


class Unsliceable(Exception):
    """The footer cannot be divided into columns, and must be read whole; the message says why."""


def read_footer(file: Path | bytes) -> bytes:
    """Return the footer of a Parquet file, without the length and magic bytes at its end.

    ``file`` is a path, or the whole content of a file.
    """
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as content:
        end = content.seek(0, 2)
        content.seek(max(0, end - LENGTH_AND_MAGIC))
        length = int.from_bytes(content.read(4), "little")
        content.seek(max(0, end - LENGTH_AND_MAGIC - length))
        return content.read(length)


def slice_footer(metadata: bytes) -> tuple[FooterFrame, tuple[ColumnSlice, ...]]:
    """Slice a footer into a `FooterFrame` and a `ColumnSlice` for each column.

    Parameters
    ----------
    metadata : bytes
        The footer without its length and magic bytes.

    Returns
    -------
    tuple of FooterFrame and tuple of ColumnSlice
        The frame, and the columns in file order.

    Raises
    ------
    Unsliceable
        If a row group names its sorting columns by position, or the footer is encrypted, or its
        fields are in an unusual order, or it cannot be parsed.
    """
    try:
        return _slice(Walker(metadata))
    except UnknownType as error:
        raise Unsliceable(str(error)) from error
    except (IndexError, KeyError, RecursionError) as error:
        raise Unsliceable("the footer ends too early") from error


def slim_footer(frame: FooterFrame, columns: Sequence[ColumnSlice]) -> bytes:
    """Make a footer from a `FooterFrame` and some columns.

    Parameters
    ----------
    frame : FooterFrame
        The footer's bytes that belong to no column.
    columns : sequence of ColumnSlice
        The columns to keep, in file order.

    Returns
    -------
    bytes
        A Parquet file that consists only of the footer. Its offsets are those of the original file.
    """
    n_elements = 1 + sum(column.n_elements for column in columns)
    n_leaves = sum(column.n_leaves for column in columns)
    parts = [frame.version, _field(SCHEMA - VERSION, LIST), _list_header(n_elements)]
    parts += [frame.root[0], _varint(len(columns) << 1), frame.root[1]]
    parts += [column.elements for column in columns]
    parts += [frame.n_rows, _field(ROW_GROUPS - N_ROWS, LIST), _list_header(len(frame.groups))]
    for group, rest in enumerate(frame.groups):
        parts += [_field(CHUNKS, LIST), _list_header(n_leaves)]
        parts += [column.chunks[group] for column in columns]
        parts.append(rest)
    # Without the key-value metadata and the column orders (fields 5 and 7): the Arrow schema in the
    # first, and the list in the second, have an entry for every column of the file.
    if frame.created_by:
        parts += [_field(CREATED_BY - ROW_GROUPS, BINARY), frame.created_by]
    metadata = b"".join([*parts, b"\0"])
    return b"".join([MAGIC, metadata, len(metadata).to_bytes(4, "little"), MAGIC])


def pack_frame(frame: FooterFrame) -> bytes:
    """Return a `FooterFrame` as bytes."""
    return _pack([frame.version, *frame.root, frame.n_rows, frame.created_by, *frame.groups])


def unpack_frame(content: bytes) -> FooterFrame:
    """Return a `FooterFrame` from the bytes that `pack_frame` returned."""
    version, before, after, n_rows, created_by, *groups = _unpack(content)
    return FooterFrame(version, (before, after), n_rows, tuple(groups), created_by)


def pack_column(column: ColumnSlice) -> bytes:
    """Return a `ColumnSlice` as bytes."""
    counts = _varint(column.n_elements), _varint(column.n_leaves)
    return _pack([*counts, column.elements, *column.chunks])


def unpack_column(content: bytes) -> ColumnSlice:
    """Return a `ColumnSlice` from the bytes that `pack_column` returned."""
    n_elements, n_leaves, elements, *chunks = _unpack(content)
    counts = Walker(n_elements).varint(), Walker(n_leaves).varint()
    return ColumnSlice(counts[0], elements, counts[1], tuple(chunks))


def _pack(parts: Sequence[bytes]) -> bytes:
    return b"".join(piece for part in parts for piece in (_varint(len(part)), part))


def _unpack(content: bytes) -> list[bytes]:
    walker = Walker(content)
    parts = []
    while walker.at < len(content):
        length = walker.varint()
        parts.append(content[walker.at : walker.at + length])
        walker.at += length
    return parts


def _slice(walker: Walker) -> tuple[FooterFrame, tuple[ColumnSlice, ...]]:
    fields: dict[int, bytes] = {}
    elements: list[tuple[int, bytes]] = []
    root = (b"", b"")
    groups: list[tuple[list[bytes], bytes]] = []
    last = 0
    while (field := walker.field(last)) is not None:
        last, kind = field
        if last == SCHEMA:
            count, _ = walker.list_header()
            root = _root(walker)
            elements = [_element(walker) for _ in range(count - 1)]
        elif last == ROW_GROUPS:
            count, _ = walker.list_header()
            groups = [_row_group(walker) for _ in range(count)]
        else:
            fields[last] = walker.skipped(kind)
        if last > CREATED_BY + 1:
            raise Unsliceable("the footer is encrypted")
    frame = FooterFrame(
        _field(VERSION, I32) + fields[VERSION],
        root,
        _field(N_ROWS - SCHEMA, I64) + fields[N_ROWS],
        tuple(rest for _, rest in groups),
        fields.get(CREATED_BY, b""),
    )
    return frame, tuple(_columns(elements, [chunks for chunks, _ in groups]))


def _columns(
    elements: Sequence[tuple[int, bytes]], groups: Sequence[Sequence[bytes]]
) -> list[ColumnSlice]:
    columns = []
    element = leaf = 0
    while element < len(elements):
        # Schema elements are in depth-first order: a column ends when no node of it is open.
        start, n_leaves, open_nodes = element, 0, 1
        while open_nodes:
            n_children = elements[element][0]
            n_leaves += not n_children
            open_nodes += n_children - 1
            element += 1
        content = b"".join(bytes_ for _, bytes_ in elements[start:element])
        chunks = tuple(b"".join(chunks[leaf : leaf + n_leaves]) for chunks in groups)
        columns.append(ColumnSlice(element - start, content, n_leaves, chunks))
        leaf += n_leaves
    return columns


def _element(walker: Walker) -> tuple[int, bytes]:
    """Skip a schema element, and return its number of children and its bytes."""
    start, last, n_children = walker.at, 0, 0
    while (field := walker.field(last)) is not None:
        last, kind = field
        if last == N_CHILDREN:
            n_children = walker.varint() >> 1  # zigzag encoding of a number that is not negative
        else:
            walker.skip(kind)
    return n_children, walker.content[start : walker.at]


def _root(walker: Walker) -> tuple[bytes, bytes]:
    start, last = walker.at, 0
    before = after = None
    while (field := walker.field(last)) is not None:
        last, kind = field
        if last == N_CHILDREN:
            before = walker.content[start : walker.at]
            walker.skip(kind)
            after = walker.at
        else:
            walker.skip(kind)
    if before is None or after is None:
        raise Unsliceable("the schema has no columns")
    return before, walker.content[after : walker.at]


def _row_group(walker: Walker) -> tuple[list[bytes], bytes]:
    field = walker.field(0)
    if field is None or field[0] != CHUNKS:
        raise Unsliceable("a row group does not begin with its columns")
    count, _ = walker.list_header()
    chunks = [_chunk(walker) for _ in range(count)]
    start, last = walker.at, CHUNKS
    while (field := walker.field(last)) is not None:
        last, kind = field
        if last == SORTING_COLUMNS:
            raise Unsliceable("rows are sorted by columns that are named by position")
        walker.skip(kind)
    return chunks, walker.content[start : walker.at]


def _chunk(walker: Walker) -> bytes:
    start = walker.at
    if seen := _chunks_seen.match(walker.content, start):
        walker.at = seen[0].end()
        return seen[0][0]
    chunk = walker.skipped(STRUCT)
    _chunks_seen.note(walker.content, start, None)
    return chunk


def _field(delta: int, kind: int) -> bytes:
    return bytes([delta << 4 | kind])


def _list_header(length: int) -> bytes:
    if length < SHORT_LIST:
        return bytes([length << 4 | STRUCT])
    return bytes([SHORT_LIST << 4 | STRUCT]) + _varint(length)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
