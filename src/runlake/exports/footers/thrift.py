"""Parse Thrift's compact protocol, the encoding of Parquet footers."""

from __future__ import annotations

BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 3, 4, 5, 6, 7, 8, 9, 10, 12
SHORT_LIST = 15
# A boolean has no bytes: its value is the type in the field's header (1 or 2).
FIXED_BYTES = {1: 0, 2: 0, BYTE: 1, DOUBLE: 8}


class UnknownType(ValueError):
    """A value has a type that is not in the protocol."""


class Walker:
    """Walks through bytes in Thrift's compact protocol without building values.

    The attribute ``at`` is the offset of the next byte to parse.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def varint(self) -> int:
        """Read an unsigned number of variable length."""
        content = self.content
        value = shift = 0
        while True:
            byte = content[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit means that more bytes follow
                return value
            shift += 7

    def field(self, last: int) -> tuple[int, int] | None:
        """Read a field's header: return its id and type, None at the end of the structure."""
        head = self.content[self.at]
        self.at += 1
        if head == 0:
            return None
        # The high bits are the difference from the last id. If they are 0, the id itself follows.
        if head >> 4:
            return last + (head >> 4), head & 15
        number = self.varint()
        return (number >> 1) ^ -(number & 1), head & 15

    def list_header(self) -> tuple[int, int]:
        """Read a list's header: return its length and the type of its elements."""
        head = self.content[self.at]
        self.at += 1
        length = head >> 4
        return (self.varint() if length == SHORT_LIST else length), head & 15

    def skip(self, kind: int) -> None:
        """Skip a value of type ``kind``."""
        content = self.content
        if kind in (I16, I32, I64):
            while content[self.at] >= 0x80:  # noqa: PLR2004
                self.at += 1
            self.at += 1
        elif kind == BINARY:
            length = self.varint()
            self.at += length
        elif kind == STRUCT:
            self._skip_fields()
        elif kind in (LIST, SET):
            length, inner = self.list_header()
            for _ in range(length):
                self.skip(inner)
        elif kind in FIXED_BYTES:
            self.at += FIXED_BYTES[kind]
        else:
            raise UnknownType(f"there is a value of type {kind}")

    def _skip_fields(self) -> None:
        content = self.content
        while head := content[self.at]:
            self.at += 1
            if not head >> 4:
                self.varint()
            self.skip(head & 15)
        self.at += 1

    def skipped(self, kind: int) -> bytes:
        """Skip a value of type ``kind``, and return its bytes."""
        start = self.at
        self.skip(kind)
        return self.content[start : self.at]
