"""Packs consecutive history lines into compressed blocks, and unpacks them.

A block has two compressed parts. The shape has the position, the step and the length of each line;
the content has the lines themselves, one after the other. So steps and positions are read without
unpacking the lines.
"""

from __future__ import annotations

import sqlite3
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import google_crc32c

from runlake.server.refused import Refused

# Characters of the texts of one block. A page of rows needs one or two blocks, and a block is
# unpacked in 1 ms.
BLOCK_CHARS = 1 << 18
# Level 3 takes twice as long, and the compressed parts are not smaller.
ZSTD_LEVEL = 1
NO_STEP = -1
NUMBER_BYTES = 8


class Line(NamedTuple):
    """A history line; lines sort by step, then by position."""

    step: int | None
    position: int
    text: str


class DamagedBlock(Refused):
    """A block cannot be unpacked, because its bytes have changed."""


@dataclass(frozen=True, slots=True)
class PackedLines:
    """A block of packed lines, as columns of the table ``line_blocks``."""

    n_lines: int
    n_chars: int
    n_bytes: int
    min_step: int | None
    max_step: int | None
    shape: bytes
    content: bytes

    @property
    def crc32c(self) -> int:
        """CRC32C of the block's bytes: those of `shape`, then those of `content`."""
        return checksum(self.shape, self.content)


def checksum(shape: bytes, content: bytes) -> int:
    """Return the CRC32C of a block's bytes: those of ``shape``, then those of ``content``.

    ``shape`` is the packed positions, steps and lengths of the lines; ``content`` the packed lines.
    """
    return int(google_crc32c.extend(google_crc32c.value(shape), content))


def pack(lines: Sequence[Line]) -> PackedLines:
    """Pack lines, ascending by position, into a block.

    Examples
    --------
    >>> packed = pack([Line(7, 0, '{"_step": 7}'), Line(None, 1, "{}")])
    >>> packed.n_lines, packed.min_step, packed.max_step
    (2, 7, 7)
    """
    steps = [NO_STEP if line.step is None else line.step for line in lines]
    numbers = array("q", _deltas([line.position for line in lines]))
    numbers.extend(_deltas(steps))
    numbers.extend(len(line.text) for line in lines)
    text = "".join(line.text for line in lines).encode()
    known = [step for step in steps if step != NO_STEP]
    return PackedLines(
        n_lines=len(lines),
        n_chars=sum(len(line.text) for line in lines),
        n_bytes=len(text),
        min_step=min(known, default=None),
        max_step=max(known, default=None),
        shape=_compress(_in_little_endian(numbers).tobytes()),
        content=_compress(text),
    )


def store_block(
    connection: sqlite3.Connection, run_id: int, position: int, stop: int, packed: PackedLines
) -> None:
    """Store a block for the positions from ``position``, inclusive, to ``stop``, exclusive.

    The connection must have an open transaction.
    """
    connection.execute(
        "INSERT INTO line_blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run_id,
            position,
            stop,
            packed.n_lines,
            packed.n_chars,
            packed.n_bytes,
            packed.min_step,
            packed.max_step,
            packed.crc32c,
            packed.shape,
            packed.content,
        ),
    )


def unpack(block: sqlite3.Row, is_wanted: Callable[[int], bool] | None = None) -> list[Line]:
    """Return the lines of a block, ascending by position.

    Parameters
    ----------
    block : Row
        A row of the table ``line_blocks`` with its content.
    is_wanted : callable, optional
        Takes a step, and returns whether the lines of this step are returned. If omitted, all lines
        are returned, also those without a step.

    Raises
    ------
    DamagedBlock
        If the block is damaged.
    """
    positions, steps, lengths = _numbers(block)
    text = _decompress(block["content"], block["n_bytes"], block).decode()
    lines = []
    for position, step, length, end in zip(
        positions, steps, lengths, accumulate(lengths), strict=True
    ):
        if is_wanted is None or (step != NO_STEP and is_wanted(step)):
            known = None if step == NO_STEP else step
            lines.append(Line(known, position, text[end - length : end]))
    return lines


def steps_of(block: sqlite3.Row) -> Iterator[int]:
    """Yield the steps of a block's lines, in their order; lines without a step are skipped."""
    return (step for step in _numbers(block)[1] if step != NO_STEP)


def positions_of(block: sqlite3.Row) -> list[int]:
    """Return the positions of a block's lines, ascending."""
    return _numbers(block)[0]


def _numbers(block: sqlite3.Row) -> tuple[list[int], list[int], list[int]]:
    # Damaged bytes may be decompressed without an error, but to other texts.
    if checksum(block["shape"], block["content"]) != block["crc32c"]:
        raise DamagedBlock(_fault(block))
    n_lines = block["n_lines"]
    numbers = array("q")
    numbers.frombytes(_decompress(block["shape"], 3 * n_lines * NUMBER_BYTES, block))
    values = _in_little_endian(numbers).tolist()
    positions = list(accumulate(values[:n_lines]))
    return positions, list(accumulate(values[n_lines : 2 * n_lines])), values[2 * n_lines :]


def _deltas(values: Sequence[int]) -> list[int]:
    """Return the first value, then each value minus the one before: such numbers compress well."""
    return [now - before for before, now in zip([0, *values], values, strict=False)]


def _in_little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _codec() -> Any:
    # Not at the top: most servers read no block before their first history page.
    import pyarrow as pa

    return pa.Codec("zstd", ZSTD_LEVEL)


def _compress(content: bytes) -> bytes:
    return bytes(_codec().compress(content, asbytes=True))


def _decompress(part: bytes, n_bytes: int, block: sqlite3.Row) -> bytes:
    import pyarrow as pa

    try:
        content = bytes(_codec().decompress(part, n_bytes, asbytes=True)) if n_bytes else b""
    except (pa.ArrowException, OSError, TypeError) as error:
        raise DamagedBlock(_fault(block)) from error
    if len(content) != n_bytes:
        raise DamagedBlock(_fault(block))
    return content


def _fault(block: sqlite3.Row) -> str:
    place = f"run {block['run_id']} from position {block['position']}"
    return f"the lines of {place} are damaged: run 'runlake server check'"
