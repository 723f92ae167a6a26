"""Thrift's compact protocol: values are skipped by their types, to the byte."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.exports.footers.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    I32,
    I64,
    LIST,
    STRUCT,
    UnknownType,
    Walker,
)


def varint(number):
    content = bytearray()
    while number >= 0x80:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])


@given(st.integers(0, 2**64 - 1))
def test_a_number_of_any_length_is_read_to_its_end(number):
    walker = Walker(varint(number) + b"\xff")
    assert walker.varint() == number
    assert walker.content[walker.at :] == b"\xff"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (I32, b"\x80\x01"),
        (I64, b"\x05"),
        (BYTE, b"\xff"),
        (DOUBLE, bytes(8)),
        (1, b""),
        (2, b""),
        (BINARY, b"\x03abc"),
        (LIST, bytes([2 << 4 | BINARY]) + b"\x01a\x00"),
        (LIST, bytes([15 << 4 | BYTE]) + b"\x10" + bytes(16)),
        (STRUCT, bytes([1 << 4 | I32]) + b"\x05" + bytes([1 << 4 | STRUCT]) + b"\x00\x00"),
        # A field whose id does not follow the last one is written out.
        (STRUCT, bytes([I32]) + b"\x80\x02\x05\x00"),
    ],
)
def test_a_value_is_skipped_to_its_end(kind, content):
    walker = Walker(content + b"rest")
    assert walker.skipped(kind) == content
    assert walker.content[walker.at :] == b"rest"


def test_an_unknown_type_is_an_error():
    with pytest.raises(UnknownType, match="type 13"):
        Walker(b"\x00").skip(13)


def test_the_footer_of_a_file_is_one_structure():
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1], "b": [["x"]]}), sink)
    content = sink.getvalue()
    length = int.from_bytes(content[-8:-4], "little")
    walker = Walker(content[-8 - length : -8])
    fields = []
    last = 0
    while (found := walker.field(last)) is not None:
        last, kind = found
        fields.append(last)
        walker.skip(kind)
    assert walker.at == length
    assert fields[:4] == [1, 2, 3, 4]
