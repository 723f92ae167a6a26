"""Download a whole export, over several tries, with resuming and verification."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path
from typing import Self

from runlake.backend.http.reply import Reply
from runlake.backend.http.statuses import NOT_MODIFIED, OK, PARTIAL, UNSATISFIABLE
from runlake.exports.download.attempt_file import (
    AttemptFile,
    AttemptName,
    AttemptVersion,
    write_all,
)
from runlake.exports.download.failures import Damaged, Incomplete, Refused
from runlake.exports.download.tail import PARQUET
from runlake.exports.ranges import parse_content_range
from runlake.exports.validator import Validator, is_whole
from runlake.exports.verify import Digest, NotAsPromised, Verified, verify_export

# Bodies of at most this length are verified in memory and then written at once. If this process is
# killed before the end of such a body, none of its bytes are kept.
SMALL_BYTES = 1 << 17
GZIP_OR_ZLIB = 47  # zlib's window bits for "detect a gzip or zlib header"
COPY_BYTES = 1 << 20
DECODED_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
MAGIC_BYTES = 4
PLAIN = {"", "identity", "aws-chunked"}
# Values of Content-Encoding that hosts repeat from an upload: codings registered for HTTP, and
# values that uploaders set by mistake. All of them are ignored if the body begins like a Parquet
# file.
REPLAYED = PLAIN | {
    *("gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"),
    *("utf-8", "utf8", "binary", "none", "null", "base64"),
}


class WholeDownload:
    """The download of a whole export into an attempt file, which grows from try to try.

    This is a context manager.

    Parameters
    ----------
    attempt : AttemptFile
        File to write, created when the first bytes arrive. If the context ends with an exception,
        the file is left for a later attempt if the download can be resumed.
    held : Validator or None
        The version of the file on disk; if the host has the same version, nothing is downloaded.
    earlier : sequence of Path
        Files of attempts whose processes have ended. The bytes of the longest file are copied.
    is_durable : bool
        Flush the file to disk.

    Notes
    -----
    Once `is_complete` is true, `verified` is the complete file, or None if the file on disk is of
    the host's version.
    """

    def __init__(
        self,
        attempt: AttemptFile,
        held: Validator | None,
        earlier: Sequence[Path],
        *,
        is_durable: bool,
    ) -> None:
        self.verified: Verified | None = None
        self.is_complete = False
        self._attempt = attempt
        self._held = held
        self._earlier = earlier
        self._is_durable = is_durable
        self._file: FileIO | None = None
        self._content: bytes | None = None
        self._digest = Digest(with_md5=False)
        self._version: AttemptVersion | None = None
        self._promise = Validator()

    def __enter__(self) -> Self:
        try:
            self._adopt()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._close()
        else:
            self._leave()

    def _leave(self) -> None:
        with suppress(OSError):
            # On a full disk closing fails too, and would hide the original error.
            self._close()
        self._attempt.leave()

    @property
    def n_bytes(self) -> int:
        """Number of bytes that have arrived in the file, which has no gaps."""
        return self._digest.n_bytes

    def _adopt(self) -> None:
        """Copy the bytes of the longest file in ``earlier`` into the file of this attempt."""
        best = max(self._earlier, key=_size, default=None)
        name = AttemptName.parse(best.name) if best else None
        if best is None or name is None or name.version is None:
            return
        # Leave out at least the last byte: one request is needed anyway to check the version, and
        # its range must not be empty.
        n_bytes = min(_size(best), name.version.n_bytes - 1)
        if n_bytes <= 0:
            return
        # Copied, never appended to: the process that seems to have ended may still write to its
        # file, because locks can fail on a network file system.
        file = self._open()
        try:
            with best.open("rb", buffering=0) as earlier:
                _copy(earlier, file, n_bytes)
        except FileNotFoundError:
            return
        # The host's digest is not known before its response, so an MD5 is computed if the first
        # response promised any digest.
        self._digest = Digest(with_md5=name.version.promises_digest)
        file.seek(0)
        self._digest.read(file, n_bytes)
        self._version = name.version
        self._attempt.carry(self._version)

    def headers(self) -> dict[str, str]:
        """Return the headers of a request for the missing bytes.

        The headers contain conditions. If the attempt file contains bytes of an old version, the
        host sends the whole new version. If the published file on disk is of the host's version,
        the host sends no bytes.
        """
        held = {} if self._held is None else self._held.conditions()
        return {**held, **self._continuation()}

    def take(self, reply: Reply, body: Iterator[bytes]) -> None:
        """Write the body of a response to the file, and verify the file once it is complete.

        Parameters
        ----------
        reply : Reply
            The response, whose status and headers are read.
        body : iterator of bytes
            The pieces of the response's body.

        Raises
        ------
        Failure
            If the response does not contain the requested bytes. If it breaks off, the bytes that
            arrived are kept, and the next request asks for the bytes after them, unless the
            response has no value for ``If-Range``, or no length, or its body is encoded.
        """
        if reply.status != NOT_MODIFIED or self._held is None:
            self.verified = self._verified(self._receive(reply, body))
        self.is_complete = True

    def _verified(self, validator: Validator) -> Verified:
        try:
            if self._content is not None:
                verified = verify_export(self._content, validator, digest=self._digest)
                self._attempt.write(self._content, is_durable=self._is_durable)
                return verified
            with self._flushing() if self._is_durable else nullcontext():
                return verify_export(self._attempt.path, validator, digest=self._digest)
        except NotAsPromised as error:
            self._restart(None)
            raise Damaged(str(error)) from error

    def _continuation(self) -> dict[str, str]:
        if self._version is None or self.n_bytes == 0:
            return {}
        return {"Range": f"bytes={self.n_bytes}-", "If-Range": self._version.condition}

    def _receive(self, reply: Reply, body: Iterator[bytes]) -> Validator:
        validator = Validator.from_headers(reply.headers, reply.status)
        is_unasked = not self._continuation() and is_whole(reply.headers)
        if reply.status == PARTIAL and not is_unasked:
            total = self._continued(reply, validator)
            # This response need not repeat the digests of the first one, which are still compared.
            validator = validator.with_promises_of(self._promise)
            if self._version is not None and self._version.promises_digest:
                self._check_promised(validator)
            self._write(body)
            self._check_length(total)
        elif reply.status in {OK, PARTIAL}:
            validator = self._receive_whole(reply, validator, Body(body))
        elif reply.status == UNSATISFIABLE and self._continuation():
            self._restart(None)
            raise Incomplete("it is shorter now than the part that had arrived")
        else:
            raise Refused(reply)
        return validator

    def _receive_whole(self, reply: Reply, validator: Validator, body: Body) -> Validator:
        encoding = find_encoding(body.begin(), reply.headers.get("content-encoding"))
        if encoding is None:
            promised = _length(reply.headers)
            if self._file is None and promised is not None and promised <= SMALL_BYTES:
                self._collect(body, validator, promised)
            else:
                self._restart(AttemptVersion.of(validator, promised), validator, promised)
                self._write(body)
            self._check_length(promised)
            return validator
        self._restart(None, validator)
        decoder = _Decoder(encoding, validator)
        self._write(decoder.decode(body))
        # The promised digest may be of the compressed or the decompressed bytes. If it matches the
        # compressed ones, it must not be compared with the file.
        return validator.without_promises() if decoder.is_as_promised else validator

    def _collect(self, body: Iterable[bytes], validator: Validator, promised: int) -> None:
        """Read a small body into memory; if only a part arrives, write this part to the file."""
        pieces: list[bytes] = []
        try:
            for piece in body:
                pieces.append(piece)  # noqa: PERF402 - `extend` may lose pieces if the body fails
        finally:
            content = b"".join(pieces)
            if len(content) < promised:
                self._restart(AttemptVersion.of(validator, promised), validator, promised)
                self._write([content])
        if len(content) >= promised:
            self._digest = Digest.for_promise(validator, promised)
            self._digest.update(content)
            self._content = content

    @contextmanager
    def _flushing(self) -> Iterator[None]:
        """Flush the file to disk on another thread while the context is open; wait at its end."""
        file = self._open()
        with ThreadPoolExecutor(1, thread_name_prefix="runlake-flush") as executor:
            # In another thread, so that the check of the file does not wait for the disk.
            flushed = executor.submit(os.fsync, file.fileno())
            yield
            flushed.result()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        if self._file is None:
            self._file = self._attempt.open()
        return self._file

    def _restart(
        self,
        version: AttemptVersion | None,
        validator: Validator | None = None,
        n_bytes: int | None = None,
    ) -> None:
        self._content = None
        self._file = self._attempt.restart(version)
        self._version = version
        self._promise = validator or Validator()
        self._digest = Digest.for_promise(self._promise, n_bytes)

    def _continued(self, reply: Reply, validator: Validator) -> int:
        """Check that a response continues at the file's end; return the whole export's length."""
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
            raise Incomplete("another version or range arrived than was requested")
        return span[1]

    def _write(self, body: Iterable[bytes]) -> None:
        file = self._open()
        file.seek(self.n_bytes)
        for piece in body:
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]
            self._digest.update(piece)

    def _check_promised(self, validator: Validator) -> None:
        """Empty the file and raise `Incomplete` if no digest of the export is known.

        Called if the storage host sent a digest with the file's first bytes. If an earlier process
        downloaded these bytes, that digest was not stored, and the host must have sent it again.
        """
        if not validator.promises_digest:
            self._restart(None)
            raise Incomplete("the digest promised with its first bytes was not sent again")

    def _check_length(self, total: int | None) -> None:
        if total is not None and self.n_bytes < total:
            raise Incomplete(f"{self.n_bytes} of {total} bytes arrived")


class Body:
    """The body of a response, whose first bytes can be inspected before the body is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._first = b""

    def begin(self) -> bytes:
        """Return the first bytes: at least `MAGIC_BYTES`, or the whole body if it is shorter."""
        while len(self._first) < MAGIC_BYTES and (piece := next(self._pieces, b"")):
            self._first += piece
        return self._first

    def __iter__(self) -> Iterator[bytes]:
        first, self._first = self._first, b""
        if first:
            yield first
        yield from self._pieces


def find_encoding(first: bytes, header: str | None) -> str | None:
    """Return the content encoding of a body, from its first bytes or else from the header.

    None means that the body is not encoded. The header is not reliable: a storage host repeats the
    ``Content-Encoding`` that it received with the upload, without checking it.

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
    """Decodes a body that a host compressed although compression was not requested."""

    def __init__(self, name: str, validator: Validator) -> None:
        self._name = name
        self._validator = validator
        self._encoded = Digest.for_promise(validator)
        if self._name not in {"gzip", "x-gzip", "deflate"}:
            raise Damaged(f"its Content-Encoding {self._name!r} was not requested")

    @property
    def is_as_promised(self) -> bool:
        """True if the encoded bytes do not contradict the digests that the host sent."""
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
            raise Damaged(f"it is not {self._name}") from error
        if not decoder.eof:
            raise Incomplete(f"its {self._name} body ends too early")


def _copy(source: FileIO, target: FileIO, n_bytes: int) -> None:
    """Copy the first bytes of a file to an empty file, as a reflink if possible."""
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
        n_left = n_bytes
        while piece := source.read(min(COPY_BYTES, n_left)):
            write_all(target, piece)
            n_left -= len(piece)


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
