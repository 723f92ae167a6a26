"""Carry an export, or ranges of one, here: revalidated, resumed, checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from runlake.backend.client import Client
from runlake.backend.reply import Reply
from runlake.backend.stop import Stop, Stopped
from runlake.exports.arrival import Arrival, is_encoded
from runlake.exports.facts import ExportFacts, UnreadableExport, read_export_facts
from runlake.exports.manifest import Export
from runlake.exports.part import PartFile
from runlake.exports.ranges import ByteRange, parse_content_range, split
from runlake.exports.source import Source
from runlake.exports.validator import Validator
from runlake.exports.workers import run_tasks
from runlake.values import RunPath

OK, PARTIAL, NOT_MODIFIED, PRECONDITION_FAILED, UNSATISFIABLE = 200, 206, 304, 412, 416
RANGE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that arrived whole and was checked.

    Parameters
    ----------
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the file.
    facts : ExportFacts
        What planning needs to know of it.
    crc32c : int
        Of the whole file.
    """

    validator: Validator
    n_bytes: int
    facts: ExportFacts
    crc32c: int


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
) -> Downloaded | None:
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
    Downloaded or None
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

    def take(reply: Reply, pieces: Iterator[bytes]) -> Downloaded | None:
        if reply.status == NOT_MODIFIED and held:
            return None
        validator = arrival.take(source, reply, pieces)
        with arrival.flushing() if is_durable else nullcontext():
            facts = _read_facts(source, arrival, part.path)
        return Downloaded(validator, arrival.n_bytes, facts, arrival.crc32c)

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


def _read_facts(source: Source, arrival: Arrival, file: Path) -> ExportFacts:
    try:
        return read_export_facts(file)
    except UnreadableExport as error:
        raise arrival.reject(source, str(error)) from error
    except (pa.ArrowException, OSError) as error:
        raise arrival.reject(source, "it is no Parquet file") from error


def fetch_tail(
    client: Client,
    run: RunPath,
    export: Export,
    n_bytes: int,
    *,
    renew: Callable[[], Export | None],
    count: Callable[[int], None],
    stop: Stop | None = None,
) -> Tail | None:
    """Fetch the last bytes of an export in one request.

    Parameters
    ----------
    client, run, export, renew, count, stop
        As for `download_export`.
    n_bytes : int
        How many; all of a shorter export.

    Returns
    -------
    Tail or None
        None where the host ignores ranges, or names no version that later ranges could be tied to.

    Raises
    ------
    ExportExpired, ExportError, Unreachable
        As for `download_export`.
    """
    source = Source(client, run, export, renew, count, stop or Stop())

    def take(reply: Reply, pieces: Iterator[bytes]) -> Tail | None:
        if reply.status in {OK, UNSATISFIABLE}:
            return None
        if reply.status != PARTIAL:
            raise source.refusal(reply)
        validator = Validator.from_headers(reply.headers, reply.status)
        span = parse_content_range(reply.headers.get("content-range"))
        if span is None or validator.condition is None or is_encoded(reply):
            return None
        came, total = span
        if came.stop != total:
            return None
        content = b"".join(pieces)
        if len(content) != came.n_bytes:
            raise source.late(f"{len(content)} of {came.n_bytes} bytes came")
        return Tail(validator, total, came.start, content)

    return source.read(lambda: {"Range": f"bytes=-{n_bytes}"}, take, lambda: 0)


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

    Raises
    ------
    ExportChanged
        If the object is another version now, of which no byte reaches the sink; or if the host does
        not keep to the ranges asked for.
    ExportExpired, ExportError, Unreachable
        As for `download_export`.
    """
    with (stop or Stop()).child() as own:
        spans = _Spans(Source(client, run, export, renew, count, own), validator, sink)
        tasks = [spans.task(one) for one in split(ranges, RANGE_BYTES)]
        try:
            run_tasks(tasks, max_workers, own)
        finally:
            spans.close()


class _Spans:
    def __init__(
        self, source: Source, validator: Validator, sink: Callable[[int, bytes], None]
    ) -> None:
        self._source = source
        self._validator = validator
        self._sink = sink
        self._guard = threading.Lock()
        self._is_open = True
        self._n_bytes: int | None = None

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
        if span is None or is_encoded(reply) or not found.is_same(self._validator):
            raise self._source.changed()
        came, total = span
        with self._guard:
            self._n_bytes = total if self._n_bytes is None else self._n_bytes
            is_same_length = self._n_bytes == total
        if not is_same_length or came.start != asked.start or came.stop > asked.stop:
            raise self._source.changed()
        return came.stop
