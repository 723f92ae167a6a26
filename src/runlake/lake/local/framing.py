"""Read the records of a ``.wandb`` file: a LevelDB log with a header and CRC-32 checksums."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b":W&B"
# Magic text, a magic number, and the version of the format.
HEADER = struct.Struct("<4sHB")
MAGIC_NUMBER, VERSION = 0xBEE1, 0
BLOCK = 32 << 10
# Checksum, length and kind of a part of a record.
PART = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
# As in LevelDB, a checksum includes the byte of the kind; but it is a CRC-32, not a CRC-32C.
KIND_CHECKSUMS = {kind: zlib.crc32(bytes([kind])) for kind in (FULL, FIRST, MIDDLE, LAST)}


class NotRecorded(ValueError):
    """A file has no records that runlake can read; the message says why."""


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Name a file in each `OSError` of the context; a read that fails does not name its file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@dataclass(slots=True)
class RecordFile:
    """The records of a ``.wandb`` file, up to the first damage.

    Parameters
    ----------
    path : Path
        The file, which may be growing.
    damage : str or None
        After `records` has ended: why records may be missing; None if the file is whole.
    is_cut_off : bool
        True if the damage is that the last record is not finished, as in a file that is being
        written.
    """

    path: Path
    damage: str | None = field(default=None, init=False)
    is_cut_off: bool = field(default=False, init=False)

    def records(self) -> Iterator[bytes]:
        """Yield the content of each record, up to the first damage.

        Raises
        ------
        NotRecorded
            If the file is empty, is no ``.wandb`` file, or has an unknown version of the format.
        OSError
            If the file cannot be read; its ``filename`` is the path of the file.
        """
        begun: list[bytes] | None = None
        end = HEADER.size
        for at, kind, content in self._parts():
            if (begun is not None) is (kind in {FULL, FIRST}):
                self.damage = f"the order of its parts is wrong at byte {at:,}"
                return
            if kind == FULL:
                yield content
            elif kind == FIRST:
                begun = [content]
            elif begun is not None:
                begun.append(content)
                if kind == LAST:
                    yield b"".join(begun)
                    begun = None
            end = at
        if begun is not None and self.damage is None:
            self._cut_off(end)

    def _parts(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield byte offset, kind and content of each part of a record, up to a damaged part."""
        with named_in_errors(self.path), self.path.open("rb") as file:
            _check_header(file.read(HEADER.size))
            file.seek(0)
            start = 0
            while block := file.read(BLOCK):
                # The header of the file is a part of the first block.
                at = HEADER.size if start == 0 else 0
                # If the head of a part does not fit into the rest of a block, the writer pads the
                # block.
                while at + PART.size <= BLOCK:
                    if at == len(block):
                        return
                    found = self._part(block, at, start)
                    if found is None:
                        return
                    kind, content = found
                    yield start + at, kind, content
                    at += PART.size + len(content)
                start += len(block)

    def _part(self, block: bytes, at: int, start: int) -> tuple[int, bytes] | None:
        if at + PART.size > len(block):
            self._cut_off(start + at)
            return None
        checksum, length, kind = PART.unpack_from(block, at)
        stop = at + PART.size + length
        if kind == 0 and not any(block[at:]):
            # A file system has noted the file's length, but not its content.
            self._cut_off(start + at)
        elif kind not in {FULL, FIRST, MIDDLE, LAST} or stop > BLOCK:
            self.damage = f"byte {start + at:,} begins no record"
        elif stop > len(block):
            self._cut_off(start + at)
        else:
            content = block[at + PART.size : stop]
            if zlib.crc32(content, KIND_CHECKSUMS[kind]) == checksum:
                return kind, content
            self.damage = f"the checksum of the record at byte {start + at:,} is wrong"
        return None

    def _cut_off(self, at: int) -> None:
        self.damage = f"it is cut off in the record at byte {at:,}"
        self.is_cut_off = True


def _check_header(header: bytes) -> None:
    if not header:
        raise NotRecorded("it has 0 bytes: the SDK has written nothing to it")
    if len(header) < HEADER.size and header == (MAGIC + b"\xe1\xbe\x00")[: len(header)]:
        raise NotRecorded("it is cut off in its header, so it has no rows")
    if len(header) < HEADER.size or header[: len(MAGIC)] != MAGIC:
        raise NotRecorded("it is no file of the W&B SDK: its header is another")
    _, number, version = HEADER.unpack(header)
    if number != MAGIC_NUMBER or version != VERSION:
        raise NotRecorded(f"it has a format that runlake does not know (version {version})")
