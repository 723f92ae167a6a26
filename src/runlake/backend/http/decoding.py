"""Bodies as they were before a host compressed them, in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

ACCEPTED = "gzip, deflate"
PIECE_BYTES = 1 << 20
HEADER_BYTES = 2
GZIP_OR_ZLIB = 47  # zlib's window bits that take either header
GZIP = b"\x1f\x8b"
# An answer is refused above the first of these; above the second if it shrank more than JSON can.
MAX_ANSWER_BYTES = 512 << 20
MAX_DENSE_BYTES = 64 << 20
MAX_DENSITY = 500
# What storage hosts replay from uploads whose bytes are as they are.
PLAIN = {"", "identity", "aws-chunked", "binary", "none", "utf-8"}


class NotDecodable(Exception):
    """A body is not encoded as its header says, or in a way that nobody asked for."""


class TooLarge(Exception):
    """An answer is larger than one can be; the text says how large."""


def read_answer(arriving: Iterator[bytes], encoding: str) -> bytes:
    """Return a body as a whole, decoded.

    Parameters
    ----------
    arriving : iterator of bytes
        The body as it arrives.
    encoding : str
        Its ``Content-Encoding``.

    Returns
    -------
    bytes
        `MAX_ANSWER_BYTES` at most.

    Raises
    ------
    NotDecodable
        As `decoded` does.
    TooLarge
        If it is of a size that no answer has.
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
    """Yield a body without its content encoding; no piece is over 1 MiB, however well it shrank.

    Parameters
    ----------
    pieces : iterable of bytes
        The body as it arrives.
    encoding : str
        Its ``Content-Encoding``; empty means none. Storage hosts replay what an upload said, so
        that bytes which are no gzip are taken as they are.

    Yields
    ------
    bytes
        As they are decoded.

    Raises
    ------
    NotDecodable
        If the encoding is none of ours, or the bytes are not encoded so.
    """
    name = encoding_of(encoding)
    if not name:
        yield from pieces
    elif name in {"gzip", "x-gzip", "deflate"}:
        yield from _inflated(pieces, name)
    else:
        raise NotDecodable(f"nobody asked for its Content-Encoding {name[:100]!r}")


def encoding_of(header: str) -> str:
    """Return the encodings that a ``Content-Encoding`` names, without those that change nothing."""
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
        # Some hosts leave the header out.
        yield from _decompressed(body, name, -zlib.MAX_WBITS)


def _decompressed(pieces: Iterable[bytes], name: str, window_bits: int) -> Iterator[bytes]:
    decoder = zlib.decompressobj(window_bits)
    for piece in pieces:
        left = piece
        while left:
            if decoder.eof:
                # A gzip body may be several, one after the other (RFC 1952, 2.2).
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
    """Pieces, and how many bytes they were."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.n_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.n_bytes += len(piece)
            yield piece
