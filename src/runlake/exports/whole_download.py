"""What has come of an export that is wanted whole, over all tries to get it."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runlake.backend.http.reply import Reply
from runlake.exports.attempt_file import PartFile, PartName, PartVersion, version_of
from runlake.exports.ranges import parse_content_range
from runlake.exports.storage_host import Source
from runlake.exports.validator import Validator, is_whole
from runlake.exports.verify import Digest

OK, PARTIAL, UNSATISFIABLE = 200, 206, 416
GZIP_OR_ZLIB = 47  # zlib's window bits that take either header
COPY_BYTES = 1 << 20
DECODED_BYTES = 1 << 20
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
MAGIC_BYTES = 4
PLAIN = {"", "identity", "aws-chunked"}
# Codings that are registered for HTTP, and words that uploads say by mistake.
REPLAYED = PLAIN | {
    *("gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"),
    *("utf-8", "utf8", "binary", "none", "null", "base64"),
}


class Arrival:
    """A part that grows from try to try.

    Parameters
    ----------
    part : PartFile
        Where the bytes go; made when the first of them come.
    """

    def __init__(self, part: PartFile) -> None:
        self._part = part
        self._file: BinaryIO | None = None
        self._digest = Digest(with_md5=False)
        self._version: PartVersion | None = None
        self._promise = Validator()

    @property
    def n_bytes(self) -> int:
        """Bytes that came, from the first one on without a gap."""
        return self._digest.n_bytes

    @property
    def digest(self) -> Digest:
        """Of those."""
        return self._digest

    def adopt(self, candidates: Sequence[Path]) -> None:
        """Copy the bytes of the earlier attempt that came furthest."""
        best = max(candidates, key=_size, default=None)
        name = PartName.parse(best.name) if best else None
        if best is None or name is None or name.version is None:
            return
        # The last byte is always asked for: whether the version is current has to be asked anyway.
        n_bytes = min(_size(best), name.version.n_bytes - 1)
        if n_bytes <= 0:
            return
        file = self._open()
        try:
            with best.open("rb", buffering=0) as earlier:
                _copy(earlier, file, n_bytes)
        except FileNotFoundError:
            return
        self._digest = Digest(with_md5=name.version.promises_digest)
        file.seek(0)
        self._digest.read(file, n_bytes)
        self._version = name.version
        self._part.carry(self._version)

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the bytes that are missing."""
        if self._version is None or self.n_bytes == 0:
            return {}
        return {"Range": f"bytes={self.n_bytes}-", "If-Range": self._version.condition}

    def take(self, source: Source, reply: Reply, pieces: Iterator[bytes]) -> Validator:
        """Take an answer, to the last byte of the file.

        Parameters
        ----------
        source : Source
            Words the errors.
        reply : Reply
            The answer.
        pieces : iterator of bytes
            Its body.

        Returns
        -------
        Validator
            Of the version that is here now, whole; `verify_export` compares with its promises.

        Raises
        ------
        Transient
            If another try may help; it goes on from the bytes that came.
        """
        validator = Validator.from_headers(reply.headers, reply.status)
        is_unasked = not self.conditions() and is_whole(reply.headers)
        if reply.status == PARTIAL and not is_unasked:
            total = self._continued(source, reply, validator)
            validator = validator.with_promises_of(self._promise)
            if self._version is not None and self._version.promises_digest:
                self._check_promised(source, validator)
            self._write(pieces)
            self._check_length(source, total)
        elif reply.status in {OK, PARTIAL}:
            validator = self._take_whole(source, reply, validator, Body(pieces))
        elif reply.status == UNSATISFIABLE and self.conditions():
            self._restart(None)
            raise source.late("it is shorter now than what had come of it")
        else:
            raise source.refusal(reply)
        return validator

    def _take_whole(
        self, source: Source, reply: Reply, validator: Validator, body: Body
    ) -> Validator:
        encoding = find_encoding(body.begin(), reply.headers.get("content-encoding"))
        if encoding is None:
            promised = _length(reply.headers)
            self._restart(version_of(validator, promised), validator, promised)
            self._write(body)
            self._check_length(source, promised)
            return validator
        self._restart(None, validator)
        decoder = _Decoder(source, encoding, validator)
        self._write(decoder.decode(body))
        # What a host promises may be a digest of either form.
        return validator.without_promises() if decoder.is_as_promised else validator

    def reject(self, source: Source, what: str) -> Exception:
        """Forget the bytes, and return what to raise for them."""
        self._restart(None)
        return source.corrupt(what)

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Bring the bytes to the disk, which waits, while the block, which works, runs."""
        file = self._open()
        file.flush()
        with ThreadPoolExecutor(1, thread_name_prefix="runlake-flush") as executor:
            flushed = executor.submit(os.fsync, file.fileno())
            yield
            flushed.result()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._file = self._part.open()
        return self._file

    def _restart(
        self,
        version: PartVersion | None,
        validator: Validator | None = None,
        n_bytes: int | None = None,
    ) -> None:
        # Emptied before it is renamed: a name never speaks for bytes of another version.
        file = self._open()
        # ext4 takes a file that was emptied for one that is replaced in place, and begins to write
        # it out when it is closed: an empty file is not emptied.
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            file.truncate()
        self._promise = validator or Validator()
        self._digest = Digest.for_promise(self._promise, n_bytes)
        self._version = version
        self._part.carry(version)

    def _continued(self, source: Source, reply: Reply, validator: Validator) -> int:
        """Check that an answer goes on where the file ends, and return the whole length."""
        span = parse_content_range(reply.headers.get("content-range"))
        version = self._version
        is_fitting = (
            version is not None
            and span is not None
            and span[0].start == self.n_bytes
            and span[1] == version.n_bytes
            and validator.condition == version.condition
        )
        if span is None or not is_fitting:
            self._restart(None)
            raise source.late("another version or range came than was asked for")
        return span[1]

    def _write(self, body: Iterable[bytes]) -> None:
        file = self._open()
        file.seek(self.n_bytes)
        try:
            for piece in body:
                file.write(piece)
                self._digest.update(piece)
        finally:
            file.flush()

    def _check_promised(self, source: Source, validator: Validator) -> None:
        """Refuse to go on with bytes that nobody promises a digest of any more."""
        if not validator.promises_digest:
            self._restart(None)
            raise source.late("the digest that was promised of its first bytes is not told again")

    def _check_length(self, source: Source, total: int | None) -> None:
        if total is not None and self.n_bytes < total:
            raise source.late(f"{self.n_bytes} of {total} bytes came")


class Body:
    """A body whose first bytes can be looked at before it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._first = b""

    def begin(self) -> bytes:
        """Return the first bytes, `MAGIC_BYTES` or more unless the body is shorter."""
        while len(self._first) < MAGIC_BYTES and (piece := next(self._pieces, b"")):
            self._first += piece
        return self._first

    def __iter__(self) -> Iterator[bytes]:
        first, self._first = self._first, b""
        if first:
            yield first
        yield from self._pieces


def find_encoding(first: bytes, header: str | None) -> str | None:
    """Return how a body is encoded, by its first bytes: storage hosts replay what was uploaded.

    Examples
    --------
    >>> find_encoding(b"PAR1....", "gzip") is None
    True
    >>> find_encoding(bytes([0x1F, 0x8B, 8, 0]), None)
    'gzip'
    """
    named = [one.strip().lower() for one in (header or "").split(",")]
    if first.startswith(PARQUET) and REPLAYED.issuperset(named):
        return None
    if first.startswith(GZIP):
        return "gzip"
    return ", ".join(one for one in named if one not in PLAIN) or None


class _Decoder:
    """Decodes a body that a host compressed although nobody asked it to."""

    def __init__(self, source: Source, name: str, validator: Validator) -> None:
        self._source = source
        self._name = name
        self._validator = validator
        self._encoded = Digest.for_promise(validator)
        if self._name not in {"gzip", "x-gzip", "deflate"}:
            raise source.corrupt(f"nobody asked for its Content-Encoding, {self._name!r}")

    @property
    def is_as_promised(self) -> bool:
        """What the host promises is a digest of the encoded bytes, and is kept."""
        return self._encoded.disagreement(self._validator) is None

    def decode(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        decoder = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            for piece in pieces:
                self._encoded.update(piece)
                left = piece
                while left:
                    yield decoder.decompress(left, DECODED_BYTES)
                    left = decoder.unconsumed_tail
            yield decoder.flush()
        except zlib.error as error:
            raise self._source.corrupt(f"it is not {self._name}") from error
        if not decoder.eof:
            raise self._source.late(f"its {self._name} body ends too early")


def _copy(source: BinaryIO, target: BinaryIO, n_bytes: int) -> None:
    """Copy the first bytes of a file to an empty one, by reference where the file system can."""
    n_copied = 0
    if hasattr(os, "copy_file_range"):
        try:
            while n_copied < n_bytes and (
                step := os.copy_file_range(
                    source.fileno(), target.fileno(), n_bytes - n_copied, n_copied, n_copied
                )
            ):
                n_copied += step
        except OSError:
            n_copied = 0
    if n_copied < n_bytes:
        source.seek(0)
        target.seek(0)
        shutil.copyfileobj(source, target, COPY_BYTES)
        target.flush()


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
