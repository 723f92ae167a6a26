"""Compressed bodies are decoded in bounded pieces, and bombs are refused."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.backend.http import decoding
from runlake.backend.http.decoding import (
    PIECE_BYTES,
    NotDecodable,
    TooLarge,
    decoded,
    encoding_of,
    read_answer,
)


def raw_deflate(content):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def chunked(content, size):
    return [content[at : at + size] for at in range(0, len(content), size)]


PACKERS = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP, aws-chunked", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("", bytes),
    ("identity", bytes),
    # A host repeats the header of an upload that was never compressed.
    ("gzip", bytes),
]


@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
@given(content=st.binary(max_size=300), size=st.integers(1, 50))
def test_a_body_arrives_as_it_was_whatever_its_pieces(encoding, pack, content, size):
    if pack is bytes and content.startswith(decoding.GZIP):
        return
    pieces = chunked(pack(content), size)
    assert b"".join(decoded(pieces, encoding)) == content
    assert read_answer(iter(pieces), encoding) == content


def test_several_members_of_gzip_are_one_body():
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    for size in (1, 7, len(body)):
        assert b"".join(decoded(chunked(body, size), "gzip")) == b"one two"


def test_a_piece_is_bounded_however_dense_the_body():
    body = gzip.compress(bytes(5 * PIECE_BYTES))
    sizes = [len(piece) for piece in decoded([body], "gzip")]
    assert max(sizes) <= PIECE_BYTES
    assert sum(sizes) == 5 * PIECE_BYTES


@pytest.mark.parametrize(
    ("pieces", "encoding", "why"),
    [
        ([b"x"], "br", "'br' was not requested"),
        ([gzip.compress(b"x")], "gzip, br", "was not requested"),
        ([gzip.compress(b"x" * 1000)[:-9]], "gzip", "ends too early"),
        ([gzip.compress(b"x")[:3], b"\xff" * 50], "gzip", "is not gzip"),
        ([b"\xff" * 50], "deflate", "is not deflate"),
    ],
)
def test_a_body_that_is_not_encoded_as_stated_is_refused(pieces, encoding, why):
    with pytest.raises(NotDecodable, match=why):
        list(decoded(pieces, encoding))


def test_an_empty_body_is_empty():
    for encoding in ("", "gzip", "deflate"):
        assert list(decoded([], encoding)) == [] or b"".join(decoded([], encoding)) == b""


def test_a_bomb_and_a_huge_answer_are_refused(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_DENSE_BYTES", 100_000)
    with pytest.raises(TooLarge, match="on the wire"):
        read_answer(iter([gzip.compress(bytes(10**6))]), "gzip")
    monkeypatch.setattr(decoding, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(TooLarge, match=r"more than 1,0\d\d bytes"):
        read_answer(iter([bytes(100)] * 11), "")
    assert len(read_answer(iter([bytes(100)] * 10), "")) == 1000


def test_encodings_that_change_nothing_are_left_out():
    assert encoding_of("") == encoding_of("Identity, aws-chunked,binary") == ""
    assert encoding_of("utf-8, GZIP ") == "gzip"
