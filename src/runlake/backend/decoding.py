"""Bodies as they were before a host compressed them, in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip, deflate"
PIECE_BYTES = 1 << 20
HEADER_BYTES = 2
GZIP_OR_ZLIB = 47  # zlib's window bits that take either header


class NotDecodable(Exception):
    """A body is not encoded as its header says, or in a way that nobody asked for."""


def decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield a body without its content encoding; no piece is over 1 MiB, however well it shrank.

    Parameters
    ----------
    pieces : iterable of bytes
        The body as it arrives.
    encoding : str
        Its ``Content-Encoding``; empty means none.

    Yields
    ------
    bytes
        As they are decoded.

    Raises
    ------
    NotDecodable
        If the encoding is none of ours, or the bytes are not encoded so.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        yield from pieces
    elif name in {"gzip", "x-gzip", "deflate"}:
        yield from _inflated(pieces, name)
    else:
        raise NotDecodable(f"nobody asked for its Content-Encoding {name[:100]!r}")


def _inflated(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(GZIP_OR_ZLIB)
    head = b""
    for arrived in pieces:
        piece = arrived
        if len(head) < HEADER_BYTES:
            head += piece
            if len(head) < HEADER_BYTES:
                continue
            piece = head
            if name == "deflate" and not _has_zlib_header(head):
                # Some hosts leave the header out.
                decoder = zlib.decompressobj(-zlib.MAX_WBITS)
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
    if head and not decoder.eof:
        raise NotDecodable(f"its {name} body ends too early")


def _has_zlib_header(head: bytes) -> bool:
    is_deflate = head[0] & 15 == zlib.DEFLATED
    return is_deflate and int.from_bytes(head[:HEADER_BYTES], "big") % 31 == 0  # RFC 1950, 2.2
