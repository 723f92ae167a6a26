"""One run from cold to warm: ask, lock, decide, download, publish."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runlake.backend.client import Client
from runlake.cache.layout import RunDirectory
from runlake.cache.locks import run_lock
from runlake.cache.store import (
    StoredExport,
    StoredManifest,
    prepare,
    publish,
    read_manifest,
    write_manifest,
)
from runlake.errors import CacheError
from runlake.exports.decide import Decision, decide
from runlake.exports.download import download_export
from runlake.exports.manifest import Export, Freshness, Manifest, fetch_manifest
from runlake.exports.progress import Progress, Silence
from runlake.values import RunPath


@dataclass(frozen=True, slots=True)
class PullResult:
    """A run whose exports are on disk, as of one moment.

    Parameters
    ----------
    manifest : Manifest
        What the backend offered.
    directory : Path
        Where the files are.
    exports : tuple of StoredExport
        One per export on offer; order means nothing.
    n_downloaded, n_bytes : int
        Files and bytes that this pull fetched.
    """

    manifest: Manifest
    directory: Path
    exports: tuple[StoredExport, ...]
    n_downloaded: int = 0
    n_bytes: int = 0

    @property
    def n_exports(self) -> int:
        """Exports on offer."""
        return len(self.exports)

    @property
    def n_reused(self) -> int:
        """Exports that were on disk already."""
        return self.n_exports - self.n_downloaded

    @property
    def n_rows(self) -> int:
        """Rows in the exports."""
        return sum(export.facts.n_rows for export in self.exports)

    @property
    def n_live_rows(self) -> int | None:
        """Rows in no export yet; None where the backend does not tell."""
        steps = self.manifest.live_steps
        return None if steps is None else len(steps)


def pull_run(
    client: Client,
    run: RunPath,
    *,
    use_cache: bool = True,
    progress: Progress | None = None,
    known: Freshness | None = None,
) -> PullResult:
    """Bring the exports of a run to disk.

    A warm pull costs one GraphQL request: where heartbeat, line count and state did not move since
    all exports were current, no file is asked for. Else each export on disk is revalidated.

    Parameters
    ----------
    client : Client
        The backend; its settings name the cache.
    run : RunPath
        The run.
    use_cache : bool
        False fetches every export again.
    progress : Progress, optional
        Watches the downloads.
    known : tuple, optional
        `Manifest.freshness` of this moment, where a list of runs told it: a run whose whole history
        is on disk as of then costs no request.

    Returns
    -------
    PullResult
        Every export on offer, complete and checked.

    Raises
    ------
    RunNotFoundError, ExportError, CacheError
        Nothing that was on disk before is lost then.
    """
    if use_cache and known is not None:
        unchanged = find_unchanged(client, run, known)
        if unchanged is not None:
            return unchanged
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    offered = fetch_manifest(client, run)
    stored = read_manifest(directory)
    decisions = _decide(directory, offered, stored, use_cache=use_cache)
    if _is_all_there(decisions):
        if known is not None and offered.live_steps == () and stored != stored.as_of(offered):
            _remember(client, directory, offered)
        return _result(directory, offered, stored)
    with run_lock(directory, client.settings.lock_timeout):
        # Whoever held the lock before may have done the work; what is on disk has to be read anew.
        stored = read_manifest(directory)
        decisions = _decide(directory, offered, stored, use_cache=use_cache)
        if _is_all_there(decisions):
            return _result(directory, offered, stored)
        try:
            prepare(directory)
            return _Pull(client, directory, offered, stored, progress or Silence()).run(decisions)
        except OSError as error:
            if isinstance(error, CacheError):
                raise
            raise CacheError(
                f"The exports of '{run}' cannot be stored in {str(directory.path)!r} "
                f"({error.strerror or error}). Free some space, or set WANDB_CACHE_DIR to a "
                "directory that this account may write.",
                path=str(directory.path),
            ) from error


def find_unchanged(client: Client, run: RunPath, known: Freshness) -> PullResult | None:
    """Look for a run on disk, without a request.

    Parameters
    ----------
    client : Client
        Its settings name the cache.
    run : RunPath
        The run.
    known : tuple
        `Manifest.freshness` of this moment, as a list of runs told it.

    Returns
    -------
    PullResult or None
        The whole history of the run; None if it may have more than is on disk.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    stored = read_manifest(directory)
    if stored.offer is None or stored.freshness != known:
        return None
    decisions = _decide(directory, stored.offer, stored, use_cache=True)
    return _result(directory, stored.offer, stored) if _is_all_there(decisions) else None


def _remember(client: Client, directory: RunDirectory, offered: Manifest) -> None:
    """Store an offer that brought nothing new, so that the next list of runs is enough."""
    # The answer is there; a cache that cannot be written must not spoil it.
    with suppress(CacheError, OSError), run_lock(directory, client.settings.lock_timeout):
        stored = read_manifest(directory)
        if _is_all_there(_decide(directory, offered, stored, use_cache=True)):
            prepare(directory)
            write_manifest(directory, stored.as_of(offered))


def _is_all_there(decisions: dict[str, Decision]) -> bool:
    return all(decision is Decision.REUSE for decision in decisions.values())


def _decide(
    directory: RunDirectory, offered: Manifest, stored: StoredManifest, *, use_cache: bool
) -> dict[str, Decision]:
    held = {
        export.object: _is_whole(directory.path / export.file, export.n_bytes)
        for export in stored.exports.values()
    }
    return decide(offered, held, stored.freshness, use_cache=use_cache)


def _is_whole(file: Path, n_bytes: int) -> bool:
    try:
        return file.stat().st_size == n_bytes
    except OSError:
        return False


def _result(
    directory: RunDirectory,
    offered: Manifest,
    stored: StoredManifest,
    n_downloaded: int = 0,
    n_bytes: int = 0,
) -> PullResult:
    exports = tuple(stored.exports[export.object] for export in offered.exports)
    return PullResult(offered, directory.path, exports, n_downloaded, n_bytes)


class _Cancelled(Exception):
    pass


class _Pull:
    """The downloads of one pull; lives while the run's lock is held."""

    def __init__(
        self,
        client: Client,
        directory: RunDirectory,
        offered: Manifest,
        stored: StoredManifest,
        progress: Progress,
    ) -> None:
        self._client = client
        self._directory = directory
        self._offered = offered
        self._stored = stored
        self._progress = progress
        self._guard = threading.Lock()
        self._is_cancelled = False
        self._n_downloaded = 0
        self._n_bytes = 0
        self._renewed: Manifest | None = None

    def run(self, decisions: dict[str, Decision]) -> PullResult:
        wanted = [e for e in self._offered.exports if decisions[e.object] is not Decision.REUSE]
        self._progress.start(None, len(wanted))
        try:
            self._download_all([(e, decisions[e.object]) for e in wanted])
        finally:
            self._progress.finish()
        self._stored = self._stored.as_of(self._offered)
        write_manifest(self._directory, self._stored)
        return _result(
            self._directory, self._offered, self._stored, self._n_downloaded, self._n_bytes
        )

    def _download_all(self, wanted: list[tuple[Export, Decision]]) -> None:
        workers = min(self._client.settings.max_workers, len(wanted))
        executor = ThreadPoolExecutor(workers, thread_name_prefix="runlake-download")
        futures: set[Future[None]] = {executor.submit(self._download, *one) for one in wanted}
        try:
            while futures:
                done, futures = wait(futures, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            self._is_cancelled = True
            executor.shutdown(wait=True, cancel_futures=True)

    def _download(self, export: Export, decision: Decision) -> None:
        held = self._stored.exports.get(export.object)
        part = self._directory.part(export.object)
        try:
            downloaded = download_export(
                self._client,
                self._directory.run,
                export,
                part,
                held=held.validator if held and decision is Decision.REVALIDATE else None,
                renew=self._renewal(export),
                count=self._count,
            )
            if downloaded is None:
                return
            stored = publish(self._directory, export.object, part, downloaded)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        with self._guard:
            # Written after each file, so that a killed pull goes on where it was.
            self._stored = self._stored.with_export(stored)
            self._n_downloaded += 1
            write_manifest(self._directory, self._stored.between_offers)

    def _renewal(self, export: Export) -> Callable[[], Export | None]:
        def renew() -> Export | None:
            with self._guard:
                if self._renewed is None:
                    self._renewed = fetch_manifest(self._client, self._directory.run)
                offers = self._renewed.exports
            return next((offer for offer in offers if offer.object == export.object), None)

        return renew

    def _count(self, n_bytes: int) -> None:
        if self._is_cancelled:
            raise _Cancelled
        with self._guard:
            self._n_bytes += n_bytes
            self._progress.advance(n_bytes)
