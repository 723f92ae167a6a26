"""What has come of an export that is wanted whole, over all tries to get it."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runlake.backend.reply import Reply
from runlake.exports.part import PartFile, PartName, PartVersion, version_of
from runlake.exports.ranges import parse_content_range
from runlake.exports.source import Source
from runlake.exports.validator import Validator
from runlake.exports.verify import Digest

OK, PARTIAL, UNSATISFIABLE = 200, 206, 416
GZIP_OR_ZLIB = 47  # zlib's window bits that take either header
COPY_BYTES = 1 << 20


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

    @property
    def n_bytes(self) -> int:
        """Bytes that came, from the first one on without a gap."""
        return self._digest.n_bytes

    @property
    def crc32c(self) -> int:
        """CRC32C of those."""
        return self._digest.crc32c

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
            Of the version that is here now, whole and as promised.

        Raises
        ------
        Transient
            If another try may help; it goes on from the bytes that came.
        """
        validator = Validator.from_headers(reply.headers, reply.status)
        if reply.status == PARTIAL:
            total = self._continued(source, reply, validator)
            self._write(pieces)
            self._check(source, validator, total)
        elif reply.status == OK and is_encoded(reply):
            self._restart(None, Validator())
            encoding = _Encoding(source, reply, validator)
            self._write(encoding.decode(pieces))
            if not encoding.is_as_promised:
                self._check(source, validator, None)
        elif reply.status == OK:
            promised = _length(reply.headers)
            self._restart(version_of(validator, promised), validator)
            self._write(pieces)
            self._check(source, validator, promised)
        elif reply.status == UNSATISFIABLE:
            self._restart(None)
            raise source.late("it is shorter now than what had come of it")
        else:
            raise source.refusal(reply)
        return validator

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

    def _restart(self, version: PartVersion | None, validator: Validator | None = None) -> None:
        # Emptied before it is renamed: a name never speaks for bytes of another version.
        file = self._open()
        # ext4 takes a file that was emptied for one that is replaced in place, and begins to write
        # it out when it is closed: an empty file is not emptied.
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            file.truncate()
        self._digest = Digest.for_promise(validator or Validator())
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
            and not is_encoded(reply)
        )
        if span is None or not is_fitting:
            self._restart(None)
            raise source.late("another version or range came than was asked for")
        return span[1]

    def _write(self, body: Iterator[bytes]) -> None:
        file = self._open()
        file.seek(self.n_bytes)
        try:
            for piece in body:
                file.write(piece)
                self._digest.update(piece)
        finally:
            file.flush()

    def _check(self, source: Source, validator: Validator, total: int | None) -> None:
        if total is not None and self.n_bytes < total:
            raise source.late(f"{self.n_bytes} of {total} bytes came")
        broken = self._digest.disagreement(validator)
        if broken:
            raise self.reject(source, f"its {broken} is not the promised one")


class _Encoding:
    """Decodes a body that a host compressed although nobody asked it to."""

    def __init__(self, source: Source, reply: Reply, validator: Validator) -> None:
        self._source = source
        self._name = reply.headers.get("content-encoding", "").strip().lower()
        self._validator = validator
        self._encoded = Digest.for_promise(validator)
        if self._name not in {"gzip", "x-gzip", "deflate"}:
            raise source.corrupt(f"nobody asked for its Content-Encoding, {self._name!r}")

    @property
    def is_as_promised(self) -> bool:
        """What the host promises is a digest of the encoded bytes, and is kept."""
        return self._encoded.disagreement(self._validator) is None

    def decode(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        decoder = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            for piece in pieces:
                self._encoded.update(piece)
                yield decoder.decompress(piece)
            yield decoder.flush()
        except zlib.error as error:
            raise self._source.corrupt(f"it is not {self._name}") from error
        if not decoder.eof:
            raise self._source.late(f"its {self._name} body ends too early")


def is_encoded(reply: Reply) -> bool:
    """Tell whether a body has a content encoding: its bytes are not those of the object."""
    return reply.headers.get("content-encoding", "identity").strip().lower() != "identity"


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
