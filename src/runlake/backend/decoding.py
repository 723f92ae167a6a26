"""Bodies as they were before a host compressed them, in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip, deflate"
PIECE_BYTES = 1 << 20
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
    is_first = True
    for piece in pieces:
        if is_first and name == "deflate" and not _has_zlib_header(piece):
            # Some hosts leave the header out.
            decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        is_first = False
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
    if not is_first and not decoder.eof:
        raise NotDecodable(f"its {name} body ends too early")


def _has_zlib_header(piece: bytes) -> bool:
    if len(piece) < 2:  # noqa: PLR2004
        return True
    is_deflate = piece[0] & 15 == zlib.DEFLATED
    return is_deflate and int.from_bytes(piece[:2], "big") % 31 == 0  # RFC 1950, 2.2
