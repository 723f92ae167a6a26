"""Decompress the bodies of HTTP responses, in pieces of bounded size."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

ACCEPTED = "gzip, deflate"
PIECE_BYTES = 1 << 20
HEADER_BYTES = 2
GZIP_OR_ZLIB = 47  # zlib's window bits for "detect a gzip or zlib header"
GZIP = b"\x1f\x8b"
# A response that is longer than MAX_ANSWER_BYTES is refused. A response that is longer than
# MAX_DENSE_BYTES is refused if it was compressed by more than MAX_DENSITY, as JSON never is.
MAX_ANSWER_BYTES = 512 << 20
MAX_DENSE_BYTES = 64 << 20
MAX_DENSITY = 500
# Values of Content-Encoding that storage hosts repeat from uploads that were not compressed.
PLAIN = {"", "identity", "aws-chunked", "binary", "none", "utf-8"}


class NotDecodable(Exception):
    """A body is not encoded as its header states, or has an encoding that was not requested."""


class TooLarge(Exception):
    """A response is implausibly large; the message says how large."""


def read_answer(arriving: Iterator[bytes], encoding: str) -> bytes:
    """Return the whole body of a response, decompressed.

    Parameters
    ----------
    arriving : iterator of bytes
        Pieces of the encoded body.
    encoding : str
        The header ``Content-Encoding``.

    Returns
    -------
    bytes
        The decompressed body, at most `MAX_ANSWER_BYTES` long.

    Raises
    ------
    NotDecodable
        If the body cannot be decompressed, as in `decoded`.
    TooLarge
        If the body is implausibly large, or looks like a decompression bomb.
    """
    wire = _Counted(arriving)
    pieces = []
    n_bytes = 0
    for piece in decoded(wire, encoding):
        n_bytes += len(piece)
        is_bomb = n_bytes > max(MAX_DENSE_BYTES, wire.n_bytes * MAX_DENSITY)
        if n_bytes > MAX_ANSWER_BYTES or is_bomb:
            raise TooLarge(f"more than {n_bytes - 1:,} bytes, {wire.n_bytes:,} of them on the wire")
        pieces.append(piece)
    return b"".join(pieces)


def decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress a body, and yield it in pieces of at most 1 MiB.

    The pieces of a body that is not compressed are yielded unchanged, whatever their length.

    Parameters
    ----------
    pieces : iterable of bytes
        Pieces of the encoded body.
    encoding : str
        The header ``Content-Encoding``; empty means none. If the header says gzip, but the body is
        not gzip, the body is yielded unchanged. Such responses exist: a storage host repeats the
        header that it received with the upload, without checking it.

    Raises
    ------
    NotDecodable
        If the encoding is neither gzip nor deflate, or if the body cannot be decompressed although
        it begins like gzip, or its header says deflate.
    """
    name = encoding_of(encoding)
    if not name:
        yield from pieces
    elif name in {"gzip", "x-gzip", "deflate"}:
        yield from _inflated(pieces, name)
    else:
        raise NotDecodable(f"its Content-Encoding {name[:100]!r} was not requested")


def encoding_of(header: str) -> str:
    """Return the encodings that a ``Content-Encoding`` header names, joined by commas.

    Values that mean no encoding are left out. So an empty string means a plain body.
    """
    named = (one.strip().lower() for one in header.split(","))
    return ", ".join(one for one in named if one not in PLAIN)


def _inflated(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    arriving = iter(pieces)
    head = b""
    while len(head) < HEADER_BYTES and (piece := next(arriving, None)) is not None:
        head += piece
    body = chain([head], arriving)
    if name != "deflate" and not head.startswith(GZIP):
        yield from body
    elif name != "deflate" or _has_zlib_header(head):
        yield from _decompressed(body, name, GZIP_OR_ZLIB)
    elif head:
        # Some hosts send raw deflate data without the zlib header.
        yield from _decompressed(body, name, -zlib.MAX_WBITS)


def _decompressed(pieces: Iterable[bytes], name: str, window_bits: int) -> Iterator[bytes]:
    decoder = zlib.decompressobj(window_bits)
    for piece in pieces:
        left = piece
        while left:
            if decoder.eof:
                # A gzip body may consist of several members in a row (RFC 1952, 2.2).
                decoder = zlib.decompressobj(GZIP_OR_ZLIB)
            try:
                content = decoder.decompress(left, PIECE_BYTES)
            except zlib.error as error:
                raise NotDecodable(f"its body is not {name}") from error
            left = decoder.unconsumed_tail or decoder.unused_data
            yield content
    if not decoder.eof:
        raise NotDecodable(f"its {name} body ends too early")


def _has_zlib_header(head: bytes) -> bool:
    is_deflate = head[:1] != b"" and head[0] & 15 == zlib.DEFLATED
    return is_deflate and int.from_bytes(head[:HEADER_BYTES], "big") % 31 == 0  # RFC 1950, 2.2


class _Counted:
    """Iterates over pieces and counts their bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.n_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.n_bytes += len(piece)
            yield piece
