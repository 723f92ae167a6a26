"""Writes `.wandb` files."""

import struct
import zlib
from collections.abc import Iterable, Iterator

BLOCK = 32 << 10
START = b":W&B\xe1\xbe\x00"
KINDS = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}


def written(records: Iterable[bytes]) -> bytes:
    """Return a file with records, as the SDK writes it."""
    content = bytearray(START)
    for record in records:
        for part in parts(record, len(content) % BLOCK):
            content += part
    return bytes(content)


def parts(record: bytes, at: int) -> Iterator[bytes]:
    """Yield the parts of a record that begins at a position of a block."""
    rest, is_first = record, True
    while True:
        room = BLOCK - at
        if room < 7:
            yield bytes(room)
            at = 0
            continue
        part, rest = rest[: room - 7], rest[room - 7 :]
        number = KINDS[is_first, not rest]
        checksum = zlib.crc32(part, zlib.crc32(bytes([number])))
        yield struct.pack("<IHB", checksum, len(part), number) + part
        at = (at + 7 + len(part)) % BLOCK
        is_first = False
        if not rest:
            return
