"""One export at its storage host: whole, its end, or ranges of it; asked again while that helps."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from runlake.backend.http.reply import Reply
from runlake.backend.http.retry import Transient, retry
from runlake.backend.http.statuses import NOT_FOUND, URL_EXPIRED, is_retryable
from runlake.backend.http.stop import Stop
from runlake.errors import ExportChanged, ExportCorrupt, ExportError, ExportExpired, Unreachable
from runlake.errors.screen import shortened
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.failures import Damaged, Incomplete, Refused, Replaced, UnknownRange
from runlake.exports.download.range_support import range_support
from runlake.exports.download.ranges_download import RangeDownload, SparseTarget
from runlake.exports.download.tail import LengthRequest, SuffixRequest, Tail, TailRequest
from runlake.exports.download.whole_download import WholeDownload
from runlake.exports.manifest import Export
from runlake.exports.offers import Offers
from runlake.exports.progress import Traffic
from runlake.exports.ranges import ByteRange, split
from runlake.exports.validator import Validator
from runlake.exports.verify import Verified
from runlake.exports.workers import run_tasks

EXPIRED = URL_EXPIRED | {NOT_FOUND}
MAX_NAME = 200
PROGRESS_BYTES = 1 << 14  # what a try has to bring for the next one to follow at once
MAX_CORRUPT = 3
CORRUPT_SECONDS = 0.3
RANGE_BYTES = 8 << 20
RANGE_WORKERS = 4
T_co = TypeVar("T_co", covariant=True)


class Request(Protocol[T_co]):
    """What is wanted of an export, over all tries to get it."""

    @property
    def n_bytes(self) -> int:
        """Bytes that arrived so far and stay; while they grow, tries go on."""

    def headers(self) -> Mapping[str, str]:
        """Return the request headers of the next try."""

    def take(self, reply: Reply, body: Iterator[bytes]) -> T_co:
        """Return what an answer brought, or raise what `failures` names."""


class StorageHost:
    """The storage host of one export, for all threads that read it.

    Parameters
    ----------
    offers : Offers
        Of the run; asked for a new URL where the one of the export ran out.
    export : Export
        The file on offer.
    traffic : Traffic
        Counts what arrives, and ends all reads with `Stopped`.
    """

    def __init__(self, offers: Offers, export: Export, traffic: Traffic) -> None:
        self._client = offers.client
        self._offers = offers
        self._offer = export
        self._traffic = traffic
        self._guard = threading.Lock()
        self._n_bytes = 0
        self._n_bytes_at_renewal = -1
        self._n_corrupt = 0

    def whole(
        self,
        attempt: AttemptFile,
        *,
        held: Validator | None = None,
        earlier: Sequence[Path] = (),
        is_durable: bool = True,
    ) -> Verified | None:
        """Download the whole export, unless the version that is held is still current.

        Parameters
        ----------
        attempt : AttemptFile
            Belongs to this call alone; complete on success. After a failure it is left for a later
            attempt if its bytes can go on, and deleted otherwise.
        held : Validator, optional
            The version already on disk.
        earlier : sequence of Path
            Files of dead attempts, whose bytes are copied if they are of the current version.
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
        with WholeDownload(attempt, held, earlier, is_durable=is_durable) as download:
            return self._answer(download, self._traffic.stop)

    def tail(self, n_bytes: int, total: int | None = None) -> Tail | None:
        """Fetch the last bytes in one request, or in two where the host needs them.

        Parameters
        ----------
        n_bytes : int
            How many; all of a shorter export.
        total : int, optional
            Length of the export, where it is known.

        Returns
        -------
        Tail or None
            None where the host ignores ranges, or names no version that later ranges could be tied
            to.

        Raises
        ------
        ExportExpired, ExportError, Unreachable
            As for `whole`.

        Notes
        -----
        Some hosts do not know suffix ranges (``bytes=-N``): they send the whole object, another
        range, an error, or nothing. Such a host is asked for the length first, and its name is
        remembered.
        """
        known, host = range_support(self._client), self._offer.host
        if total is None and known.is_without_ranges(host):
            return None
        try:
            if total is None and not known.is_without_suffixes(host):
                with suppress(UnknownRange):
                    return self._suffix(n_bytes)
            return self._tail(n_bytes, total)
        except UnknownRange:
            return None

    def _suffix(self, n_bytes: int) -> Tail | None:
        request = SuffixRequest(n_bytes)
        tail = self._answer(request, self._traffic.stop)
        if request.is_ignored:
            range_support(self._client).note_without_suffixes(self._offer.host)
        return tail

    def _tail(self, n_bytes: int, total: int | None) -> Tail | None:
        known, stop, host = range_support(self._client), self._traffic.stop, self._offer.host
        if total is not None:
            return self._answer(TailRequest(n_bytes, total), stop)
        length = LengthRequest()
        total = self._answer(length, stop)
        if length.is_ignored:
            known.note_without_ranges(host)
        tail = None if total is None else self._answer(TailRequest(n_bytes, total), stop)
        if tail is not None:
            known.note_without_suffixes(host)
        return tail

    def ranges(
        self,
        ranges: Sequence[ByteRange],
        validator: Validator,
        total: int | None,
        descriptor: int,
        *,
        max_workers: int = RANGE_WORKERS,
    ) -> None:
        """Write ranges of one version into a file, several at once.

        Parameters
        ----------
        ranges : sequence of ByteRange
            Disjoint.
        validator : Validator
            The version; one with a `Validator.condition`.
        total : int or None
            Length of that version, where it is known. An encoded form of the object has another
            one.
        descriptor : int
            Of the file; nothing is written after this method has returned or raised.
        max_workers : int
            Requests at once.

        Raises
        ------
        ExportChanged
            If the object is another version now, of which no byte is written; or if the host does
            not keep to the ranges asked for.
        ExportExpired, ExportError, Unreachable
            As for `whole`.
        """
        with self._traffic.stop.child() as stop:
            target = SparseTarget(descriptor, validator, total)
            downloads = (RangeDownload(one, target) for one in split(ranges, RANGE_BYTES))
            tasks = [partial(self._fill, download, stop) for download in downloads]
            try:
                run_tasks(tasks, max_workers, stop)
            finally:
                target.close()

    def _fill(self, download: RangeDownload, stop: Stop) -> None:
        while not download.is_complete:
            self._answer(download, stop)

    def _answer(self, request: Request[T_co], stop: Stop) -> T_co:
        """Ask until an answer has been taken whole."""
        reached = request.n_bytes

        def attempt() -> T_co:
            try:
                return self._try(request, stop)
            except Transient as transient:
                stop.check()
                if request.n_bytes >= reached + PROGRESS_BYTES:
                    raise _Again from transient
                if isinstance(transient.error, ExportCorrupt):
                    stop.sleep(CORRUPT_SECONDS)
                    raise _Again from transient
                raise

        while True:
            try:
                return retry(attempt, self._client.settings)
            except _Expired as expired:
                self._renew_offer(expired)
            except _Again:
                reached = max(reached, request.n_bytes)

    def _try(self, request: Request[T_co], stop: Stop) -> T_co:
        offer = self._offer
        what = f"export {self._name} of '{self._offers.run}'"
        headers = request.headers()
        with self._client.open(offer.url, headers, stop, what=what) as reply:
            if reply.status in EXPIRED:
                raise _Expired(offer, reply.status)
            try:
                return request.take(reply, self._counted(reply))
            except Incomplete as failure:
                raise self._late(failure) from failure
            except Damaged as failure:
                raise self._corrupt(failure) from failure
            except Replaced as failure:
                raise self._changed() from failure
            except Refused as failure:
                raise self._refusal(failure) from failure

    def _counted(self, reply: Reply) -> Iterator[bytes]:
        for content in reply.iter_raw():
            self._n_bytes += len(content)
            self._traffic.count(len(content))
            yield content

    def _renew_offer(self, expired: _Expired) -> None:
        with self._guard:
            if self._offer is not expired.offer:
                return
            if self._n_bytes_at_renewal >= self._n_bytes:
                raise self._refused_again(expired)
            renewed = self._offers.renew(expired.offer)
            if renewed is None:
                raise self._expired(expired.status)
            self._offer = renewed
            self._n_bytes_at_renewal = self._n_bytes

    def _refusal(self, refused: Refused) -> Exception:
        error = ExportError(
            f"{self._offer.host!r} answered HTTP {refused.status} for export {self._name} of "
            f"'{self._offers.run}'.",
            run=str(self._offers.run),
            export=self._offer.object,
            status=refused.status,
        )
        if is_retryable(refused.status):
            return Transient(error, retry_after=refused.retry_after)
        return error

    def _corrupt(self, damaged: Damaged) -> Exception:
        error = ExportCorrupt(
            f"Export {self._name} of '{self._offers.run}' came broken from {self._offer.host!r}: "
            f"{damaged}. If it stays so, the backend has to write the export again.",
            run=str(self._offers.run),
            export=self._offer.object,
        )
        self._n_corrupt += 1
        return error if self._n_corrupt >= MAX_CORRUPT else Transient(error)

    def _changed(self) -> ExportChanged:
        return ExportChanged(
            f"Export {self._name} of '{self._offers.run}' was replaced on {self._offer.host!r} "
            "while it was read in parts. Scan again to read the new one.",
            run=str(self._offers.run),
            export=self._offer.object,
        )

    def _late(self, incomplete: Incomplete) -> Transient:
        return Transient(
            Unreachable(
                f"Export {self._name} of '{self._offers.run}' did not come from "
                f"{self._offer.host!r}: {incomplete}. What arrived is kept; try again to go on "
                "from there.",
                operation="Download",
                origin=self._offer.host,
            )
        )

    def _refused_again(self, expired: _Expired) -> ExportError:
        if expired.status != NOT_FOUND:
            return self._expired(expired.status)
        return ExportError(
            f"{self._offer.host!r} has no export {self._name} of '{self._offers.run}' (HTTP 404), "
            "although the backend offers it.",
            run=str(self._offers.run),
            export=self._offer.object,
            status=expired.status,
        )

    def _expired(self, status: int) -> ExportExpired:
        return ExportExpired(
            f"Export {self._name} of '{self._offers.run}' is no longer offered by "
            f"{self._offer.host!r} (HTTP {status}). Scan again for a new offer.",
            run=str(self._offers.run),
            export=self._offer.object,
            status=status,
        )

    @property
    def _name(self) -> str:
        return repr(shortened(self._offer.object.rsplit("/", 1)[-1], MAX_NAME))


class _Expired(Exception):
    def __init__(self, offer: Export, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.offer = offer
        self.status = status


class _Again(Exception):
    """A try failed that does not count: it brought something, or has a count of its own."""
