"""Where the bytes of one export come from: ask again as long as that makes sense."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from runlake.backend.http.client import Client
from runlake.backend.http.reply import Reply
from runlake.backend.http.retry import Transient, is_retryable, retry
from runlake.backend.http.stop import Stop
from runlake.errors import ExportChanged, ExportCorrupt, ExportError, ExportExpired, Unreachable
from runlake.errors.screen import shortened
from runlake.exports.manifest import Export
from runlake.values import RunPath

EXPIRED = {401, 403, 404, 410}
NOT_FOUND = 404
MAX_NAME = 200
PROGRESS_BYTES = 1 << 14  # what a try has to bring for the next one to follow at once
MAX_CORRUPT = 3
CORRUPT_SECONDS = 0.3
T = TypeVar("T")


class _Expired(Exception):
    def __init__(self, offer: Export, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.offer = offer
        self.status = status


class _Again(Exception):
    """A try failed that does not count: it brought something, or has a count of its own."""


class Source:
    """The storage host of one export, for all threads that read it.

    Parameters
    ----------
    client : Client
        Carries the requests.
    run : RunPath
        Whose export it is; named in errors.
    export : Export
        The file on offer.
    renew : callable
        Asks the backend for a new URL of the same export, None where it is no longer offered.
    count : callable
        Told the number of bytes of each piece that arrived.
    stop : Stop
        Ends all reads with `Stopped`.
    """

    def __init__(
        self,
        client: Client,
        run: RunPath,
        export: Export,
        renew: Callable[[], Export | None],
        count: Callable[[int], None],
        stop: Stop,
    ) -> None:
        self._client = client
        self._run = run
        self._offer = export
        self._renew = renew
        self._count = count
        self.stop = stop
        self._guard = threading.Lock()
        self._n_bytes = 0
        self._n_bytes_at_renewal = -1
        self._n_corrupt = 0

    def read(
        self,
        headers: Callable[[], Mapping[str, str]],
        take: Callable[[Reply, Iterator[bytes]], T],
        position: Callable[[], int],
    ) -> T:
        """Ask until an answer has been taken whole.

        Parameters
        ----------
        headers : callable
            Gives the request headers of the next try.
        take : callable
            Given an answer of any status but those of an expired URL, and the pieces of its body;
            raises `Transient` where another try may help.
        position : callable
            Tells how far the read has come; as long as it moves, patience begins anew.

        Returns
        -------
        T
            What ``take`` returned.

        Raises
        ------
        ExportExpired
            If the URL is refused, and a new one too.
        Unreachable
            If nothing came for ``retry_timeout`` seconds.
        """
        reached = position()

        def attempt() -> T:
            try:
                return self._try(headers(), take)
            except Transient as transient:
                self.stop.check()
                if position() >= reached + PROGRESS_BYTES:
                    raise _Again from transient
                if isinstance(transient.error, ExportCorrupt):
                    self.stop.sleep(CORRUPT_SECONDS)
                    raise _Again from transient
                raise

        while True:
            try:
                return retry(attempt, self._client.settings)
            except _Expired as expired:
                self._renew_offer(expired)
            except _Again:
                reached = max(reached, position())

    def refusal(self, reply: Reply) -> Exception:
        """Return what to raise for an answer that is not the file."""
        error = ExportError(
            f"{self._offer.host!r} answered HTTP {reply.status} for export {self._name} of "
            f"'{self._run}'.",
            run=str(self._run),
            export=self._offer.object,
            status=reply.status,
        )
        if is_retryable(reply.status):
            return Transient(error, retry_after=reply.headers.get("retry-after"))
        return error

    def corrupt(self, what: str) -> Exception:
        """Return what to raise for wrong bytes: often a passing fault of a proxy."""
        error = ExportCorrupt(
            f"Export {self._name} of '{self._run}' came broken from {self._offer.host!r}: {what}. "
            "If it stays so, the backend has to write the export anew.",
            run=str(self._run),
            export=self._offer.object,
        )
        self._n_corrupt += 1
        return error if self._n_corrupt >= MAX_CORRUPT else Transient(error)

    def changed(self) -> ExportChanged:
        """Return what to raise where another version of the file came."""
        return ExportChanged(
            f"Export {self._name} of '{self._run}' was replaced on {self._offer.host!r} while it "
            "was read in parts. Scan again to read the new one.",
            run=str(self._run),
            export=self._offer.object,
        )

    def late(self, what: str) -> Transient:
        """Return what to raise where bytes are missing."""
        return Transient(
            Unreachable(
                f"Export {self._name} of '{self._run}' did not come from {self._offer.host!r}: "
                f"{what}. What arrived is kept; try again to go on from there.",
                operation="Download",
                origin=self._offer.host,
            )
        )

    def _try(
        self,
        headers: Mapping[str, str],
        take: Callable[[Reply, Iterator[bytes]], T],
    ) -> T:
        offer = self._offer
        what = f"export {self._name} of '{self._run}'"
        with self._client.open(offer.url, headers, self.stop, what=what) as reply:
            if reply.status in EXPIRED:
                raise _Expired(offer, reply.status)
            return take(reply, self._pieces(reply))

    def _pieces(self, reply: Reply) -> Iterator[bytes]:
        for piece in reply.iter_raw():
            self._n_bytes += len(piece)
            self._count(len(piece))
            yield piece

    def _renew_offer(self, expired: _Expired) -> None:
        with self._guard:
            if self._offer is not expired.offer:
                return
            if self._n_bytes_at_renewal >= self._n_bytes:
                raise self._refused_again(expired)
            renewed = self._renew()
            if renewed is None:
                raise self._expired(expired.status)
            self._offer = renewed
            self._n_bytes_at_renewal = self._n_bytes

    def _refused_again(self, expired: _Expired) -> ExportError:
        if expired.status != NOT_FOUND:
            return self._expired(expired.status)
        return ExportError(
            f"{self._offer.host!r} has no export {self._name} of '{self._run}' (HTTP 404), "
            "although the backend offers it.",
            run=str(self._run),
            export=self._offer.object,
            status=expired.status,
        )

    def _expired(self, status: int) -> ExportExpired:
        return ExportExpired(
            f"Export {self._name} of '{self._run}' is no longer offered by {self._offer.host!r} "
            f"(HTTP {status}). Scan again for a new offer.",
            run=str(self._run),
            export=self._offer.object,
            status=status,
        )

    @property
    def _name(self) -> str:
        return repr(shortened(self._offer.object.rsplit("/", 1)[-1], MAX_NAME))
