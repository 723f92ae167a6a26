"""Thrift's compact protocol, in which Parquet's footers are written."""

from __future__ import annotations

BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 3, 4, 5, 6, 7, 8, 9, 10, 12
SHORT_LIST = 15
# A boolean field's value stands in its header.
FIXED_BYTES = {1: 0, 2: 0, BYTE: 1, DOUBLE: 8}


class UnknownType(ValueError):
    """A value of a type that the protocol does not know."""


class Walker:
    """Steps through Thrift's compact protocol without building values."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def varint(self) -> int:
        """Return an unsigned number."""
        content = self.content
        value = shift = 0
        while True:
            byte = content[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says there is more
                return value
            shift += 7

    def field(self, last: int) -> tuple[int, int] | None:
        """Return id and type of the next field, None at the end of the structure."""
        head = self.content[self.at]
        self.at += 1
        if head == 0:
            return None
        if head >> 4:
            return last + (head >> 4), head & 15
        number = self.varint()
        return (number >> 1) ^ -(number & 1), head & 15

    def list_header(self) -> tuple[int, int]:
        """Return length and element type of a list."""
        head = self.content[self.at]
        self.at += 1
        length = head >> 4
        return (self.varint() if length == SHORT_LIST else length), head & 15

    def skip(self, kind: int) -> None:
        """Step over a value."""
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
        """Step over a value and return its bytes."""
        start = self.at
        self.skip(kind)
        return self.content[start : self.at]
