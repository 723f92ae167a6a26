"""Decide which byte ranges of an export to download, from its footer and the ranges on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.column_chunks import Chunks, chunk_ranges, chunks_by_statistics
from runlake.exports.footers.schema import checked_schema, refusing_unsound
from runlake.exports.ranges import ByteRange, coalesce, subtract
from runlake.values import Question
from runlake.values.counted import counted

# The cost of one more request, in bytes that could be downloaded in the same time: one millisecond
# at 64 MB/s.
REQUEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of an export to download, and why.

    Parameters
    ----------
    is_whole : bool
        True for the whole export, False for only the column chunks that a read needs.
    reason : str
        The reason, worded as the end of a printed sentence.
    """

    is_whole: bool
    reason: str


def choose_extent(
    n_bytes: int,
    held_bytes: int,
    missing_bytes: int,
    n_requests: int,
    request_bytes: int = REQUEST_BYTES,
) -> Extent:
    """Decide whether to download the rest of an export or only what a read needs now.

    Parameters
    ----------
    n_bytes : int
        Length of the export.
    held_bytes : int
        Bytes on disk already.
    missing_bytes : int
        Additional bytes that the read needs.
    n_requests : int
        Number of requests for the missing bytes.
    request_bytes : int
        Bytes that could be downloaded in the time of one more request.

    Returns
    -------
    Extent
        The whole export if more than half of it would be on disk, or if the requests for a part
        would take at least as long as one request for the rest.

    Examples
    --------
    >>> choose_extent(100_000_000, 70_000, 100_000, 2).is_whole
    False
    >>> choose_extent(100_000_000, 30_000_000, 25_000_000, 2).is_whole
    True
    >>> choose_extent(1_000_000, 70_000, 100_000, 5, request_bytes=500_000).is_whole
    True
    """
    needed = f"{held_bytes + missing_bytes:,} of {n_bytes:,} bytes are needed"
    # Then later reads are likely to need the rest too.
    if held_bytes + missing_bytes > n_bytes // 2:
        return Extent(True, needed)
    rest = n_bytes - held_bytes
    # The whole rest takes one request.
    if missing_bytes + n_requests * request_bytes >= rest + request_bytes:
        return Extent(True, f"{needed}, but by {counted(n_requests, 'request')}")
    return Extent(False, f"only {needed}")


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The parts of an export that a read needs and that are not on disk.

    Parameters
    ----------
    chunks : mapping of str to tuple of int
        For each column, indices of the row groups whose column chunks are missing.
    ranges : list of ByteRange
        The byte ranges to download.
    extent : Extent
        If `Extent.is_whole`, ``ranges`` are all missing parts of the file; else only the parts with
        ``chunks``, and small gaps between them.
    """

    chunks: Chunks
    ranges: list[ByteRange]
    extent: Extent

    @classmethod
    def of(
        cls,
        metadata: pq.FileMetaData,
        schema: pa.Schema,
        chunks: Chunks,
        on_disk: Sequence[ByteRange],
        n_bytes: int,
        request_bytes: int = REQUEST_BYTES,
    ) -> Shortfall:
        """Decide which byte ranges to download for column chunks that are not on disk.

        Parameters
        ----------
        metadata, schema
            The footer of the export.
        chunks : mapping of str to tuple of int
            For each column, indices of the row groups whose column chunks are needed and not on
            disk.
        on_disk : sequence of ByteRange
            Byte ranges that are on disk.
        n_bytes : int
            Length of the export.
        request_bytes : int
            Bytes that could be downloaded in the time of one request, see `choose_extent`.
        """
        ranges = coalesce(subtract(chunk_ranges(metadata, schema, chunks), on_disk))
        n_held = sum(one.n_bytes for one in on_disk)
        n_missing = sum(one.n_bytes for one in ranges)
        extent = choose_extent(n_bytes, n_held, n_missing, len(ranges), request_bytes)
        if extent.is_whole:
            ranges = subtract([ByteRange(0, n_bytes)], on_disk)
        return cls(chunks, ranges, extent)


def read_shortfall(
    file: Path,
    question: Question,
    on_disk: Sequence[ByteRange],
    request_bytes: int = REQUEST_BYTES,
) -> tuple[pq.FileMetaData, Shortfall]:
    """Read the footer of a sparse file, and decide which byte ranges to download.

    Parameters
    ----------
    file : Path
        A file of the export's length, of which at least the footer is on disk.
    question : Question
        Keys and steps to read. The statistics in the footer show which row groups contain the
        steps.
    on_disk : sequence of ByteRange
        Byte ranges that are on disk.
    request_bytes : int
        Bytes that could be downloaded in the time of one request, see `choose_extent`.

    Returns
    -------
    tuple of pyarrow.parquet.FileMetaData and Shortfall
        The footer, and what to download.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If the file has no Parquet footer; `UnreadableExport` if the footer contradicts itself.
    """
    with refusing_unsound(file):
        metadata = pq.read_metadata(file)
        schema = checked_schema(metadata)
        chunks = chunks_by_statistics(metadata, schema, question)
        n_bytes = file.stat().st_size
        shortfall = Shortfall.of(metadata, schema, chunks, on_disk, n_bytes, request_bytes)
        return metadata, shortfall
