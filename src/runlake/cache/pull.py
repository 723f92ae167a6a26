"""One run from cold to warm: ask, lock, decide, download, publish."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runlake.backend.client import Client
from runlake.backend.stop import Stop
from runlake.cache.layout import RunDirectory
from runlake.cache.locks import run_lock
from runlake.cache.parts import dead_parts, sweep_parts
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
from runlake.exports.manifest import Export, Manifest, fetch_manifest
from runlake.exports.part import PartFile
from runlake.exports.progress import Progress, Silence
from runlake.exports.workers import run_tasks
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
    client: Client, run: RunPath, *, use_cache: bool = True, progress: Progress | None = None
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

    Returns
    -------
    PullResult
        Every export on offer, complete and checked.

    Raises
    ------
    RunNotFoundError, ExportError, CacheError
        Nothing that was on disk before is lost then.
    """
    offered = fetch_manifest(client, run)
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    stored = read_manifest(directory)
    decisions = _decide(directory, offered, stored, use_cache=use_cache)
    if all(decision is Decision.REUSE for decision in decisions.values()):
        return _result(directory, offered, stored)
    with run_lock(directory, client.settings.lock_timeout):
        # Whoever held the lock before may have done the work; what is on disk has to be read anew.
        stored = read_manifest(directory)
        decisions = _decide(directory, offered, stored, use_cache=use_cache)
        if all(decision is Decision.REUSE for decision in decisions.values()):
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
        self._stop = Stop()
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
        self._stored = replace(self._stored, freshness=self._offered.freshness)
        write_manifest(self._directory, self._stored)
        return _result(
            self._directory, self._offered, self._stored, self._n_downloaded, self._n_bytes
        )

    def _download_all(self, wanted: list[tuple[Export, Decision]]) -> None:
        tasks = [partial(self._download, *one) for one in wanted]
        run_tasks(tasks, self._client.settings.max_workers, self._stop)
        sweep_parts(self._directory.path)

    def _download(self, export: Export, decision: Decision) -> None:
        held = self._stored.exports.get(export.object)
        part = PartFile(self._directory.path, export.object)
        try:
            downloaded = download_export(
                self._client,
                self._directory.run,
                export,
                part,
                held=held.validator if held and decision is Decision.REVALIDATE else None,
                resume_from=dead_parts(self._directory.path, export.object),
                renew=self._renewal(export),
                count=self._count,
                stop=self._stop,
            )
            if downloaded is None:
                return
            stored = publish(self._directory, export.object, part.path, downloaded)
        finally:
            part.discard()
        with self._guard:
            # Written after each file, so that a killed pull goes on where it was.
            self._stored = self._stored.with_export(stored)
            self._n_downloaded += 1
            write_manifest(self._directory, replace(self._stored, freshness=None))

    def _renewal(self, export: Export) -> Callable[[], Export | None]:
        def renew() -> Export | None:
            with self._guard:
                if self._renewed is None:
                    self._renewed = fetch_manifest(self._client, self._directory.run)
                offers = self._renewed.exports
            return next((offer for offer in offers if offer.object == export.object), None)

        return renew

    def _count(self, n_bytes: int) -> None:
        self._stop.check()
        with self._guard:
            self._n_bytes += n_bytes
            self._progress.advance(n_bytes)
