"""Carry an export, or ranges of one, here: revalidated, resumed, checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.backend.http.reply import Reply
from runlake.backend.http.stop import Stop, Stopped
from runlake.exports.attempt_file import PartFile
from runlake.exports.manifest import Export
from runlake.exports.range_support import RangeSupport, range_support
from runlake.exports.ranges import ByteRange, parse_content_range, split
from runlake.exports.storage_host import Source
from runlake.exports.validator import Validator
from runlake.exports.verify import NotAsPromised, Verified, verify_export
from runlake.exports.whole_download import PARQUET, Arrival
from runlake.exports.workers import run_tasks
from runlake.values import RunPath

OK, PARTIAL, NOT_MODIFIED, PRECONDITION_FAILED, UNSATISFIABLE = 200, 206, 304, 412, 416
BAD_REQUEST, NOT_IMPLEMENTED = 400, 501
UNKNOWN_RANGE = {BAD_REQUEST, NOT_IMPLEMENTED}
MAX_RANGE_TRIES = 2
RANGE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of an object.

    Parameters
    ----------
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the whole object.
    start : int
        Where the content begins.
    content : bytes
        From ``start`` to the end.
    """

    validator: Validator
    n_bytes: int
    start: int
    content: bytes


def download_export(
    client: Client,
    run: RunPath,
    export: Export,
    part: PartFile,
    *,
    held: Validator | None = None,
    resume_from: Sequence[Path] = (),
    renew: Callable[[], Export | None],
    count: Callable[[int], None],
    stop: Stop | None = None,
    is_durable: bool = True,
) -> Verified | None:
    """Download a whole export, unless the version that is held is still current.

    Parameters
    ----------
    client : Client
        Carries the requests.
    run : RunPath
        Whose export it is; named in errors.
    export : Export
        The file on offer.
    part : PartFile
        Belongs to this call alone; complete on success. After a failure it is
        left for a later attempt if its bytes can go on, and deleted otherwise.
    held : Validator, optional
        The version already on disk.
    resume_from : sequence of Path
        Parts of earlier attempts, whose bytes are copied if they are of the current version.
    renew : callable
        Asks the backend for a new URL of the same export, None where it is no longer offered.
    count : callable
        Told the number of bytes of each piece that arrived; copied ones do not count.
    stop : Stop, optional
        Ends the download with `Stopped`.
    is_durable : bool
        Wait until the bytes are on the disk.

    Returns
    -------
    Verified or None
        None if the held version is current; then nothing was written.

    Raises
    ------
    ExportExpired
        If the URL is refused, and a new one too.
    ExportCorrupt
        If the bytes are not the promised Parquet, again and again.
    Unreachable
        If nothing came from the storage host within the deadline.
    """
    source = Source(client, run, export, renew, count, stop or Stop())
    arrival = Arrival(part)

    def headers() -> dict[str, str]:
        return {**(held.conditions() if held else {}), **arrival.conditions()}

    def take(reply: Reply, pieces: Iterator[bytes]) -> Verified | None:
        if reply.status == NOT_MODIFIED and held:
            return None
        validator = arrival.take(source, reply, pieces)
        try:
            with arrival.flushing() if is_durable else nullcontext():
                return verify_export(part.path, validator, digest=arrival.digest)
        except NotAsPromised as error:
            raise arrival.reject(source, str(error)) from error

    try:
        arrival.adopt(resume_from)
        return source.read(headers, take, lambda: arrival.n_bytes)
    except BaseException:
        with suppress(OSError):
            # On a full disk closing fails too, and would hide why.
            arrival.close()
        part.leave()
        raise
    finally:
        arrival.close()


def fetch_tail(
    client: Client,
    run: RunPath,
    export: Export,
    n_bytes: int,
    *,
    total: int | None = None,
    renew: Callable[[], Export | None],
    count: Callable[[int], None],
    stop: Stop | None = None,
) -> Tail | None:
    """Fetch the last bytes of an export in one request, or in two where the host needs them.

    Parameters
    ----------
    client, run, export, renew, count, stop
        As for `download_export`.
    n_bytes : int
        How many; all of a shorter export.
    total : int, optional
        Length of the export, where it is known.

    Returns
    -------
    Tail or None
        None where the host ignores ranges, or names no version that later ranges could be tied to.

    Raises
    ------
    ExportExpired, ExportError, Unreachable
        As for `download_export`.

    Notes
    -----
    Some hosts do not know suffix ranges (``bytes=-N``): they send the whole object, another range,
    an error, or nothing. Such a host is asked for the length first, and its name is remembered.
    """
    source = Source(client, run, export, renew, count, stop or Stop())
    request = _TailRequest(source, range_support(client), export.host, n_bytes)
    return request.by_suffix() if total is None else request.by_length(total)


class _NoSuffix(Exception):
    """The host does not give the last bytes of an object when it is asked for them so."""


class _TailRequest:
    def __init__(self, source: Source, known: RangeSupport, host: str, n_bytes: int) -> None:
        self._source = source
        self._known = known
        self._host = host
        self._n_bytes = n_bytes

    def by_suffix(self) -> Tail | None:
        if self._known.is_without_ranges(self._host):
            return None
        if not self._known.is_without_suffixes(self._host):
            headers = self._patient(f"bytes=-{self._n_bytes}")
            try:
                return self._source.read(headers, self._take_suffix, lambda: 0)
            except _NoSuffix:
                pass
        try:
            total = self._source.read(self._patient("bytes=0-0"), self._take_length, lambda: 0)
        except _NoSuffix:
            return None
        tail = None if total is None else self.by_length(total)
        if tail is not None:
            self._known.note_without_suffixes(self._host)
        return tail

    def by_length(self, total: int) -> Tail | None:
        wanted = ByteRange(max(0, total - self._n_bytes), total)

        def take(reply: Reply, pieces: Iterator[bytes]) -> Tail | None:
            found = self._span(reply)
            return self._tail(reply, total, pieces) if found == (wanted, total) else None

        return self._source.read(lambda: {"Range": wanted.header()}, take, lambda: 0)

    def _patient(self, asked: str) -> Callable[[], dict[str, str]]:
        """Return the headers of some tries: a host may hang up on what it does not know."""
        n_tries = 0

        def headers() -> dict[str, str]:
            nonlocal n_tries
            n_tries += 1
            if n_tries > MAX_RANGE_TRIES:
                raise _NoSuffix
            return {"Range": asked}

        return headers

    def _take_suffix(self, reply: Reply, pieces: Iterator[bytes]) -> Tail | None:
        if reply.status in {OK, UNSATISFIABLE}:
            # This one comes whole; the next is asked for its length first. Any host may answer with
            # 200 where the range is all of an object.
            length = reply.headers.get("content-length", "")
            is_all = reply.status == OK and length.isdecimal() and int(length) <= self._n_bytes
            if not is_all:
                self._known.note_without_suffixes(self._host)
            return None
        found = self._span(reply)
        if found is None:
            return None
        came, total = found
        if came != ByteRange(max(0, total - self._n_bytes), total):
            raise _NoSuffix
        tail = self._tail(reply, total, pieces)
        is_parquet = tail is not None and tail.content.endswith(PARQUET)
        # Bytes of an encoded form of the object end otherwise.
        return tail if is_parquet or "content-encoding" not in reply.headers else None

    def _take_length(self, reply: Reply, _: Iterator[bytes]) -> int | None:
        if reply.status == OK:
            self._known.note_without_ranges(self._host)
            return None
        found = None if reply.status == UNSATISFIABLE else self._span(reply)
        return None if found is None else found[1]

    def _span(self, reply: Reply) -> tuple[ByteRange, int] | None:
        """Return what came of how much, None where that says too little to go on with."""
        if reply.status in {OK, UNSATISFIABLE}:
            return None
        if reply.status in UNKNOWN_RANGE:
            raise _NoSuffix
        if reply.status != PARTIAL:
            raise self._source.refusal(reply)
        validator = Validator.from_headers(reply.headers, reply.status)
        span = parse_content_range(reply.headers.get("content-range"))
        return None if validator.condition is None else span

    def _tail(self, reply: Reply, total: int, pieces: Iterator[bytes]) -> Tail | None:
        content = b"".join(pieces)
        start = max(0, total - self._n_bytes)
        if len(content) != total - start:
            raise self._source.late(f"{len(content)} of {total - start} bytes came")
        return Tail(Validator.from_headers(reply.headers, reply.status), total, start, content)


def fetch_ranges(
    client: Client,
    run: RunPath,
    export: Export,
    validator: Validator,
    ranges: Sequence[ByteRange],
    *,
    sink: Callable[[int, bytes], None],
    renew: Callable[[], Export | None],
    count: Callable[[int], None],
    max_workers: int,
    total: int | None = None,
    stop: Stop | None = None,
) -> None:
    """Fetch ranges of one version of an export, several at once.

    Parameters
    ----------
    client, run, export, renew, count, stop
        As for `download_export`.
    validator : Validator
        The version; one with a `Validator.condition`.
    ranges : sequence of ByteRange
        Disjoint.
    sink : callable
        Given an offset and the bytes from there on; called by several threads, by one at a time,
        and never after this function has returned or raised.
    max_workers : int
        Requests at once.
    total : int, optional
        Length of that version, where it is known. An encoded form of the object has another one.

    Raises
    ------
    ExportChanged
        If the object is another version now, of which no byte reaches the sink; or if the host does
        not keep to the ranges asked for.
    ExportExpired, ExportError, Unreachable
        As for `download_export`.
    """
    with (stop or Stop()).child() as own:
        spans = _Spans(Source(client, run, export, renew, count, own), validator, sink, total)
        tasks = [spans.task(one) for one in split(ranges, RANGE_BYTES)]
        try:
            run_tasks(tasks, max_workers, own)
        finally:
            spans.close()


class _Spans:
    def __init__(
        self,
        source: Source,
        validator: Validator,
        sink: Callable[[int, bytes], None],
        total: int | None,
    ) -> None:
        self._source = source
        self._validator = validator
        self._sink = sink
        self._guard = threading.Lock()
        self._is_open = True
        self._n_bytes = total
        self._is_plain = total is not None

    def task(self, span: ByteRange) -> Callable[[], None]:
        return lambda: self._fetch(span)

    def close(self) -> None:
        with self._guard:
            self._is_open = False

    def _fetch(self, span: ByteRange) -> None:
        left = span

        def headers() -> dict[str, str]:
            return {"Range": left.header(), "If-Range": self._validator.condition or ""}

        def take(reply: Reply, pieces: Iterator[bytes]) -> None:
            nonlocal left
            stop = self._check(reply, left)
            for piece in pieces:
                content = piece[: stop - left.start]
                with self._guard:
                    if not self._is_open:
                        raise Stopped
                    self._sink(left.start, content)
                left = ByteRange(left.start + len(content), left.stop)
            if left.start < stop:
                raise self._source.late(f"{stop - left.start} bytes of a range are missing")

        while left.n_bytes:
            self._source.read(headers, take, lambda: left.start)

    def _check(self, reply: Reply, asked: ByteRange) -> int:
        """Return where the bytes of an answer end, if they are the ones asked for."""
        if reply.status in {OK, PRECONDITION_FAILED, UNSATISFIABLE}:
            raise self._source.changed()
        if reply.status != PARTIAL:
            raise self._source.refusal(reply)
        span = parse_content_range(reply.headers.get("content-range"))
        found = Validator.from_headers(reply.headers, reply.status)
        is_plain = self._is_plain or "content-encoding" not in reply.headers
        if span is None or not is_plain or not found.is_same(self._validator):
            raise self._source.changed()
        came, total = span
        with self._guard:
            self._n_bytes = total if self._n_bytes is None else self._n_bytes
            is_same_length = self._n_bytes == total
        if not is_same_length or came.start != asked.start or came.stop > asked.stop:
            raise self._source.changed()
        return came.stop
