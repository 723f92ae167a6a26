"""Which bytes of a sparse file are on disk."""

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.cache import coverage
from runlake.cache.coverage import Coverage, file_crc32c, read_pieces
from runlake.exports.ranges import ByteRange, Piece

WANTED = st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 3)), max_size=3)
EMPTY = Coverage((), {})


@given(WANTED, WANTED)
def test_what_was_added_is_no_longer_missing_and_the_rest_is(held, wanted):
    found = EMPTY.extended([], held)
    lacking = {
        (column, group) for column, groups in found.lacks(wanted).items() for group in groups
    }
    assert lacking == {
        (column, group)
        for column, groups in wanted.items()
        for group in groups - held.get(column, set())
    }
    assert found.extended([], wanted).lacks(wanted) == {}
    assert Coverage((), {}) == EMPTY


def test_pieces_are_kept_in_the_order_of_arrival():
    first, second = Piece(0, 4, 1), Piece(2, 10, 2)
    found = EMPTY.extended([first], {}).extended([second], {"a": [0]})
    assert found.pieces == (first, second)
    assert found.ranges == [ByteRange(0, 4), ByteRange(2, 10)]
    assert found.n_bytes == 12


@pytest.mark.parametrize("n_bytes", [1, 7, 1 << 20])
def test_checksums_are_those_of_the_bytes_however_they_are_read(tmp_path, monkeypatch, n_bytes):
    monkeypatch.setattr(coverage, "READ_BYTES", n_bytes)
    content = bytes(range(100))
    file = tmp_path / "a"
    file.write_bytes(content)
    assert file_crc32c(file) == google_crc32c.value(content)
    pieces = read_pieces(file, [ByteRange(10, 30), ByteRange(0, 100)])
    assert pieces == (
        Piece(10, 30, google_crc32c.value(content[10:30])),
        Piece(0, 100, google_crc32c.value(content)),
    )
    # Bytes that a truncated file lacks change the checksum.
    (beyond,) = read_pieces(file, [ByteRange(90, 200)])
    assert beyond.crc32c == google_crc32c.value(content[90:])
