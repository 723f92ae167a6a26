"""Record which bytes of a sparse export are on disk, with checksums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from runlake.exports.ranges import ByteRange, Piece

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """The parts of a sparse file that are on disk.

    Parameters
    ----------
    pieces : tuple of Piece
        The footer first, then column chunks in order of arrival; pieces may overlap.
    chunks : mapping of str to frozenset of int
        For each column, indices of the row groups whose column chunks are on disk.
    """

    pieces: tuple[Piece, ...]
    chunks: Mapping[str, frozenset[int]]

    @property
    def n_bytes(self) -> int:
        """Bytes on disk; overlapping pieces count twice."""
        return sum(piece.stop - piece.start for piece in self.pieces)

    @property
    def ranges(self) -> list[ByteRange]:
        """The byte ranges of the pieces."""
        return [piece.range for piece in self.pieces]

    def lacks(self, wanted: Mapping[str, Iterable[int]]) -> dict[str, tuple[int, ...]]:
        """Return for each wanted column the wanted row groups whose chunks are not on disk."""
        missing = {
            column: tuple(g for g in groups if g not in self.chunks.get(column, frozenset()))
            for column, groups in wanted.items()
        }
        return {column: groups for column, groups in missing.items() if groups}

    def extended(self, pieces: Iterable[Piece], wanted: Mapping[str, Iterable[int]]) -> Coverage:
        """Return this coverage with additional pieces, and the column chunks in these pieces."""
        chunks = dict(self.chunks)
        for column, groups in wanted.items():
            chunks[column] = chunks.get(column, frozenset()) | frozenset(groups)
        return Coverage((*self.pieces, *pieces), chunks)


def file_crc32c(file: Path) -> int:
    """Return the CRC32C of a whole file."""
    with file.open("rb") as content:
        return _crc32c(iter(lambda: content.read(READ_BYTES), b""))


def read_pieces(file: Path, ranges: Iterable[ByteRange]) -> tuple[Piece, ...]:
    """Read byte ranges of a file, and return each range with the CRC32C of its bytes."""
    pieces = []
    with file.open("rb") as content:
        for one in ranges:
            content.seek(one.start)
            left = one.stop - one.start
            parts = []
            # A file that is too short ends this early, and has another CRC32C than was recorded.
            while left and (part := content.read(min(left, READ_BYTES))):
                parts.append(part)
                left -= len(part)
            pieces.append(Piece(one.start, one.stop, _crc32c(parts)))
    return tuple(pieces)


def _crc32c(parts: Iterable[bytes]) -> int:
    value = 0
    for part in parts:
        value = google_crc32c.extend(value, part)
    return value
