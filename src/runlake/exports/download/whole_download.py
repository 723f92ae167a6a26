"""An export that is downloaded whole, over all tries to get it."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Self

from runlake.backend.http.reply import Reply
from runlake.backend.http.statuses import NOT_MODIFIED, OK, PARTIAL, UNSATISFIABLE
from runlake.exports.download.attempt_file import (
    AttemptFile,
    AttemptName,
    AttemptVersion,
)
from runlake.exports.download.failures import Damaged, Incomplete, Refused
from runlake.exports.download.tail import PARQUET
from runlake.exports.ranges import parse_content_range
from runlake.exports.validator import Validator, is_whole
from runlake.exports.verify import Digest, NotAsPromised, Verified, verify_export

GZIP_OR_ZLIB = 47  # zlib's window bits that take either header
COPY_BYTES = 1 << 20
DECODED_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
MAGIC_BYTES = 4
PLAIN = {"", "identity", "aws-chunked"}
# Codings that are registered for HTTP, and words that uploads say by mistake.
REPLAYED = PLAIN | {
    *("gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"),
    *("utf-8", "utf8", "binary", "none", "null", "base64"),
}


class WholeDownload:
    """The file of an attempt, which grows from try to try; close it by leaving its context.

    Parameters
    ----------
    attempt : AttemptFile
        Where the bytes go; made when the first of them come. When the context is left by an
        exception it is left for a later attempt.
    held : Validator or None
        The version already on disk, which need not come again.
    earlier : sequence of Path
        Files of dead attempts; the bytes of the one that came furthest are copied.
    is_durable : bool
        Wait until the bytes are on the disk.
    """

    def __init__(
        self,
        attempt: AttemptFile,
        held: Validator | None,
        earlier: Sequence[Path],
        *,
        is_durable: bool,
    ) -> None:
        self._attempt = attempt
        self._held = held
        self._earlier = earlier
        self._is_durable = is_durable
        self._file: BinaryIO | None = None
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
            # On a full disk closing fails too, and would hide why.
            self._close()
        self._attempt.leave()

    @property
    def n_bytes(self) -> int:
        """Bytes that came, from the first one on without a gap."""
        return self._digest.n_bytes

    def _adopt(self) -> None:
        """Copy the bytes of the earlier attempt that came furthest."""
        best = max(self._earlier, key=_size, default=None)
        name = AttemptName.parse(best.name) if best else None
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
        self._attempt.carry(self._version)

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the bytes that are missing."""
        held = {} if self._held is None else self._held.conditions()
        return {**held, **self._continuation()}

    def take(self, reply: Reply, body: Iterator[bytes]) -> Verified | None:
        """Take an answer, to the last byte of the file.

        Parameters
        ----------
        reply : Reply
            The answer.
        body : iterator of bytes
            Its body.

        Returns
        -------
        Verified or None
            The version that is here now, whole; None if the one that is held is current.

        Raises
        ------
        Failure
            If something else came. The bytes that came in order are kept.
        """
        if reply.status == NOT_MODIFIED and self._held is not None:
            return None
        validator = self._receive(reply, body)
        try:
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
            validator = validator.with_promises_of(self._promise)
            if self._version is not None and self._version.promises_digest:
                self._check_promised(validator)
            self._write(body)
            self._check_length(total)
        elif reply.status in {OK, PARTIAL}:
            validator = self._receive_whole(reply, validator, Body(body))
        elif reply.status == UNSATISFIABLE and self._continuation():
            self._restart(None)
            raise Incomplete("it is shorter now than what had come of it")
        else:
            raise Refused(reply)
        return validator

    def _receive_whole(self, reply: Reply, validator: Validator, body: Body) -> Validator:
        encoding = find_encoding(body.begin(), reply.headers.get("content-encoding"))
        if encoding is None:
            promised = _length(reply.headers)
            self._restart(AttemptVersion.of(validator, promised), validator, promised)
            self._write(body)
            self._check_length(promised)
            return validator
        self._restart(None, validator)
        decoder = _Decoder(encoding, validator)
        self._write(decoder.decode(body))
        # What a host promises may be a digest of either form.
        return validator.without_promises() if decoder.is_as_promised else validator

    @contextmanager
    def _flushing(self) -> Iterator[None]:
        """Bring the bytes to the disk, which waits, while the block, which works, runs."""
        file = self._open()
        file.flush()
        with ThreadPoolExecutor(1, thread_name_prefix="runlake-flush") as executor:
            flushed = executor.submit(os.fsync, file.fileno())
            yield
            flushed.result()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._file = self._attempt.open()
        return self._file

    def _restart(
        self,
        version: AttemptVersion | None,
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
        self._attempt.carry(version)

    def _continued(self, reply: Reply, validator: Validator) -> int:
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
            raise Incomplete("another version or range came than was asked for")
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

    def _check_promised(self, validator: Validator) -> None:
        """Refuse to go on with bytes that nobody promises a digest of any more."""
        if not validator.promises_digest:
            self._restart(None)
            raise Incomplete("the digest that was promised of its first bytes is not told again")

    def _check_length(self, total: int | None) -> None:
        if total is not None and self.n_bytes < total:
            raise Incomplete(f"{self.n_bytes} of {total} bytes came")


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

    def __init__(self, name: str, validator: Validator) -> None:
        self._name = name
        self._validator = validator
        self._encoded = Digest.for_promise(validator)
        if self._name not in {"gzip", "x-gzip", "deflate"}:
            raise Damaged(f"nobody asked for its Content-Encoding, {self._name!r}")

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
            raise Damaged(f"it is not {self._name}") from error
        if not decoder.eof:
            raise Incomplete(f"its {self._name} body ends too early")


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
