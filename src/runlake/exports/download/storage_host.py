"""Download one export from its storage host, with retries: whole, its last bytes, or ranges."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from runlake.backend.connections.multiplexer import Begun
from runlake.backend.http.reply import Reply
from runlake.backend.http.retry import Transient, tries
from runlake.backend.http.statuses import NOT_FOUND, URL_EXPIRED, is_retryable
from runlake.backend.http.stop import Stop
from runlake.errors import ExportChanged, ExportCorrupt, ExportError, ExportExpired, Unreachable
from runlake.errors.screen import shortened
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.failures import Damaged, Incomplete, Refused, Replaced, UnknownRange
from runlake.exports.download.ranges_download import RangeDownload, SparseTarget
from runlake.exports.download.tail import Tail, TailDownload
from runlake.exports.download.whole_download import WholeDownload
from runlake.exports.manifest import Export
from runlake.exports.offers import Offers
from runlake.exports.progress import ExportTraffic, Traffic
from runlake.exports.ranges import ByteRange, Piece, split
from runlake.exports.validator import Validator
from runlake.exports.verify import Verified
from runlake.exports.workers import run_tasks

# 404 too: the backend may have replaced the export by one with another URL.
EXPIRED = URL_EXPIRED | {NOT_FOUND}
MAX_NAME = 200
PROGRESS_BYTES = 1 << 14  # a failed try that got this many bytes is repeated at once, uncounted
MAX_CORRUPT = 3
CORRUPT_SECONDS = 0.3
RANGE_BYTES = 8 << 20
RANGE_WORKERS = 4


class Download(Protocol):
    """The download of an export or a part of it, over all its requests."""

    @property
    def n_bytes(self) -> int:
        """Number of usable bytes that have arrived in all requests.

        If this number has grown by `PROGRESS_BYTES` when a request fails, the next request does not
        count as a retry.
        """

    @property
    def is_complete(self) -> bool:
        """True if nothing is left to request."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""

    def take(self, reply: Reply, body: Iterator[bytes]) -> None:
        """Read a response, and raise a `Failure` if it does not contain the requested bytes."""


class StorageHost:
    """Downloads one export from its storage host; several threads may use it together.

    Parameters
    ----------
    offers : Offers
        The run's exports with current URLs; requests a new URL if a URL has expired.
    export : Export
        The export to download.
    traffic : Traffic
        Counts the bytes that arrive; its stop flag ends all downloads with `Stopped`.
    range_workers : int
        Maximum number of ranges that are downloaded at once.
    begun : Begun, optional
        The first request, if `Client.begin` has sent it already.
    """

    def __init__(
        self,
        offers: Offers,
        export: Export,
        traffic: Traffic,
        *,
        range_workers: int = RANGE_WORKERS,
        begun: Begun[Export] | None = None,
    ) -> None:
        self._client = offers.client
        self._offers = offers
        self._offer = export
        self._traffic = ExportTraffic(traffic)
        self._range_workers = range_workers
        self._begun = begun
        self._guard = threading.Lock()
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
        """Download the whole export, unless the file on disk is of the host's version.

        Parameters
        ----------
        attempt : AttemptFile
            A new file for this call, which is complete after success. After a failure, the file is
            left for a later attempt if the download can be resumed, else deleted.
        held : Validator, optional
            The version of the file on disk.
        earlier : sequence of Path
            Files of attempts whose processes have ended. The bytes of the longest file are used if
            they are of the host's version.
        is_durable : bool
            Flush the file to disk.

        Returns
        -------
        Verified or None
            None if the file on disk is of the host's version; then nothing was written.

        Raises
        ------
        ExportExpired
            If the host refuses the URL, and the backend no longer lists the export, or the host
            refuses the new URL too.
        ExportError
            If the host refuses the download in another way, such as HTTP 404 for both URLs.
        ExportCorrupt
            If the file fails verification `MAX_CORRUPT` times.
        Unreachable
            If fewer than `PROGRESS_BYTES` bytes arrived within the retry timeout.
        """
        with WholeDownload(attempt, held, earlier, is_durable=is_durable) as download:
            self._complete(download, self._traffic.stop)
            return download.verified

    def tail(self, n_bytes: int, total: int | None = None) -> Tail | None:
        """Download the last bytes of the export, in one request, or in several for some hosts.

        Parameters
        ----------
        n_bytes : int
            Number of bytes; a shorter export is requested whole.
        total : int, optional
            Length of the export, if known.

        Returns
        -------
        Tail or None
            None if the host does not support ranges, or answers with the whole export, as some
            hosts do for a short export. None also if the host sends no ETag or date that later
            requests could require in ``If-Range``.

        Raises
        ------
        ExportExpired, ExportError, Unreachable
            See `whole`.
        """
        download = TailDownload(n_bytes, total, self._client, self._offer.host)
        with suppress(UnknownRange):
            self._complete(download, self._traffic.stop)
        return download.tail

    def ranges(
        self,
        ranges: Sequence[ByteRange],
        validator: Validator,
        total: int | None,
        descriptor: int,
    ) -> list[Piece]:
        """Download ranges of one version of the export into a file, several ranges at once.

        Parameters
        ----------
        ranges : sequence of ByteRange
            Disjoint ranges.
        validator : Validator
            The version; its `Validator.condition` must not be None.
        total : int or None
            Length of this version, if known. If the host states another length, its ranges are of a
            compressed form of the export, and `ExportChanged` is raised.
        descriptor : int
            Descriptor of the file. Nothing is written after this method has returned or raised an
            error.

        Returns
        -------
        list of Piece
            The ranges with the checksums of their bytes, divided into ranges of at most
            `RANGE_BYTES` bytes.

        Raises
        ------
        ExportChanged
            If the host has another version now, or sends ranges that were not requested. No bytes
            of another version are written.
        ExportExpired, ExportError, Unreachable
            See `whole`.
        """
        with (
            self._traffic.stop.child() as stop,
            SparseTarget(descriptor, validator, total) as target,
        ):
            downloads = [RangeDownload(one, target) for one in split(ranges, RANGE_BYTES)]
            tasks = [partial(self._complete, download, stop) for download in downloads]
            if self._range_workers == 1 or len(tasks) == 1:
                for task in tasks:
                    task()
            else:
                run_tasks(tasks, self._range_workers, stop)
        return [download.piece for download in downloads]

    def _complete(self, download: Download, stop: Stop) -> None:
        """Send requests until a download is complete, or retries are used up."""
        reached = 0
        while not download.is_complete:
            reached = max(reached, download.n_bytes)
            try:
                for attempt in tries(self._client.settings):
                    with attempt:
                        self._try(download, reached, stop)
            except _Expired as expired:
                self._renew_offer(expired)
            except _Again:
                continue

    def _try(self, download: Download, reached: int, stop: Stop) -> None:
        """Send one request; after a failure that does not count as a retry, raise `_Again`."""
        try:
            self._request(download, stop)
        except Transient as transient:
            # Cancelling shuts the socket down, which looks like a broken connection: do not retry.
            stop.check()
            # The deadline is measured from the last progress, so that a slow download may take
            # hours.
            if download.n_bytes >= reached + PROGRESS_BYTES:
                raise _Again from transient
            if isinstance(transient.error, ExportCorrupt):
                stop.sleep(CORRUPT_SECONDS)
                raise _Again from transient
            raise

    def _request(self, download: Download, stop: Stop) -> None:
        offer = self._offer
        what = f"export {self._name} of '{self._offers.run}'"
        # A response that was begun elsewhere is used once; a repetition sends its own request.
        begun, self._begun = self._begun, None
        with self._client.open(
            offer.url, download.headers(), stop, what=what, begun=begun
        ) as reply:
            if reply.status in EXPIRED:
                raise _Expired(offer, reply.status)
            try:
                download.take(reply, self._traffic.body(reply))
            except Incomplete as failure:
                raise self._late(failure) from failure
            except Damaged as failure:
                raise self._corrupt(failure) from failure
            except Replaced as failure:
                raise self._changed() from failure
            except Refused as failure:
                raise self._refusal(failure) from failure

    def _renew_offer(self, expired: _Expired) -> None:
        with self._guard:
            if self._offer is not expired.offer:  # another thread has renewed the URL
                return
            # A new URL is requested again only if bytes arrived from the last one. Otherwise a host
            # that refuses every URL would be asked forever.
            if self._n_bytes_at_renewal >= self._traffic.n_bytes:
                raise self._refused_again(expired)
            renewed = self._offers.renew(expired.offer)
            if renewed is None:
                raise self._expired(expired.status)
            self._offer = renewed
            self._n_bytes_at_renewal = self._traffic.n_bytes

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
            f"Export {self._name} of '{self._offers.run}' arrived damaged from "
            f"{self._offer.host!r}: {damaged}. If this persists, the backend has to write the "
            "export again.",
            run=str(self._offers.run),
            export=self._offer.object,
        )
        self._n_corrupt += 1
        return error if self._n_corrupt >= MAX_CORRUPT else Transient(error)

    def _changed(self) -> ExportChanged:
        return ExportChanged(
            f"Export {self._name} of '{self._offers.run}' was replaced on {self._offer.host!r} "
            "while it was read in parts. Scan again to read the new version.",
            run=str(self._offers.run),
            export=self._offer.object,
        )

    def _late(self, incomplete: Incomplete) -> Transient:
        return Transient(
            Unreachable(
                f"Export {self._name} of '{self._offers.run}' did not arrive completely from "
                f"{self._offer.host!r}: {incomplete}. The bytes that arrived are kept; try again "
                "to continue from there.",
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
    """A request failed, and is repeated without counting as a retry.

    Either enough bytes arrived, or the file was damaged: damaged files are counted separately.
    """
