"""Pull a run into the cache: ask the backend, decide, lock, download, publish."""

from __future__ import annotations

import errno
import os
import shutil
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.cache.catalog import Catalog
from runlake.cache.held_run import HeldRun
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.pull_result import PullResult
from runlake.cache.store import (
    LIVE,
    Companion,
    LastOffer,
    StoredManifest,
    note_use,
    read_manifest,
    tag_root,
    write_manifest,
)
from runlake.cache.upkeep.dead_attempts import sweep_attempts
from runlake.errors import (
    CacheError,
    Unreachable,
    UnsupportedByBackend,
    UnwritableCacheWarning,
)
from runlake.errors.user_line import warn
from runlake.exports.decide import Decision, decide
from runlake.exports.manifest import Freshness, Manifest, fetch_manifest
from runlake.exports.offers import Offers
from runlake.exports.progress import Progress, Traffic
from runlake.exports.unlisted import fetch_unlisted_steps, find_gaps
from runlake.values import Question, RunPath

if TYPE_CHECKING:
    from runlake.backend.connections.multiplexer import Begun
    from runlake.cache.fetch import Fetching

# Errors that mean that another object, such as a link, is at the path of a file or directory of the
# cache.
MISPLACED = {errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP}
OUTDATED = "its rows that are in no export are those of an earlier pull"
UNWRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *MISPLACED,
}


@dataclass(frozen=True, slots=True)
class Keeping:
    """Options of a pull whose purpose is to store a run, not only to read it.

    The run is pinned. If it cannot be stored, the pull fails, whereas a read would use a temporary
    directory. The pull does not check the limit of the cache's size; the caller does.

    Parameters
    ----------
    catalog : Catalog
        The catalog in which the run is recorded.
    stop : Stop
        A flag that ends the downloads when it is set.
    beside : mapping of str to Companion
        Files that were stored before this pull, beside the exports. They become entries of the
        stored manifest.
    begun : Begun, optional
        The first request for the run's only export, which was sent already. The caller discards it
        after the pull.
    """

    catalog: Catalog
    stop: Stop
    beside: Mapping[str, Companion] = field(default_factory=dict)
    begun: Begun[Any] | None = None


def pull_run(
    client: Client,
    run: RunPath,
    question: Question,
    *,
    use_cache: bool = True,
    distrusted: Collection[Path] = (),
    attrs: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    known: Freshness | None = None,
    fetch: Callable[[Client, RunPath], Manifest] = fetch_manifest,
    keeping: Keeping | None = None,
) -> PullResult:
    """Download the parts of a run's exports that a read needs and that are not on disk.

    The run is unchanged if its heartbeat, number of logged lines and state are the same as when all
    exports were last up to date. Then no export on disk is revalidated: if the read needs nothing
    more, the pull sends one GraphQL request, and requests no file. If the run has changed, each
    export on disk is revalidated.

    Parameters
    ----------
    client : Client
        Client of the backend; its settings name the cache directory.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read. From a large export, only the columns of these keys are downloaded.
    use_cache : bool
        False downloads every export again.
    distrusted : collection of Path
        Files that a reader could not read. They are downloaded again, even if their checksums are
        right.
    attrs : mapping, optional
        The run's fields, to be stored for offline use.
    progress : Progress, optional
        Shows the downloads.
    known : Freshness, optional
        Current `Manifest.freshness` of the run, if a list of runs has just returned it. If
        ``known`` shows that the run is unchanged, each row is in an export, and what the read needs
        is on disk, no request is sent.
    fetch : callable
        Fetches the manifest of the run.
    keeping : Keeping, optional
        Options to keep the run; if omitted, the run is pulled only to be read.

    Returns
    -------
    PullResult
        All exports that the backend lists. Their requested columns are complete on disk and
        checked.

    Raises
    ------
    RunNotFoundError, ExportError, CacheError
        If the pull fails; files that were on disk before remain there.
    NotCached
        If a needed file is not on disk, and offline mode is on or the backend does not answer.
    Unreachable
        If the backend does not answer, and either the run had not ended at the backend's last
        response, or ``keeping`` is passed. Also if the storage host does not answer.

    Warns
    -----
    StaleWarning
        If the result is from the cache and may be out of date.
    UnwritableCacheWarning
        If the cache cannot be written: downloads are deleted together with the result.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    catalog = None if keeping is None else keeping.catalog
    held = HeldRun(client.settings, directory, question, distrusted, catalog)
    if client.settings.offline:
        return held.from_disk(None)
    if use_cache and known is not None:
        unchanged = held.unchanged(known)
        if unchanged is not None:
            return unchanged
    try:
        offered = fetch(client, run)
    except Unreachable as error:
        if keeping is not None:
            raise
        return held.from_disk(error)
    pull = _Pull(client, directory, question, held, set(distrusted), attrs, progress, keeping)
    result = pull.with_unlisted(pull.from_backend(offered, use_cache=use_cache))
    note_use(directory)
    if result.n_downloaded and keeping is None:
        from runlake.cache.upkeep.evict import keep_within

        keep_within(client.settings, directory.path)
    return result


def find_unchanged(
    client: Client, run: RunPath, question: Question, known: Freshness
) -> PullResult | None:
    """Return a run from disk, without a request, if all that the read needs is up to date there.

    Parameters
    ----------
    client : Client
        Its settings name the cache directory.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read.
    known : Freshness
        Current `Manifest.freshness` of the run, for example from a list of runs.

    Returns
    -------
    PullResult or None
        All exports of the run; None if the run may have changed, or the read needs more than is on
        disk.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    return HeldRun(client.settings, directory, question).unchanged(known)


def expect_unchanged(client: Client, run: RunPath, question: Question) -> PullResult | None:
    """Guess the result of a pull without a request; for arguments see `pull_run`.

    Returns
    -------
    PullResult or None
        The run from disk, if it had ended when the backend was last asked. The guess is wrong only
        if the run was changed after that. None if the run had not ended, or if the read needs more
        than is on disk.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    return HeldRun(client.settings, directory, question).unchanged(None)


class _Pull:
    """The arguments and steps of one pull."""

    def __init__(
        self,
        client: Client,
        directory: RunDirectory,
        question: Question,
        held: HeldRun,
        distrusted: set[Path],
        attrs: Mapping[str, Any] | None,
        progress: Progress | None,
        keeping: Keeping | None,
    ) -> None:
        self._client = client
        self._directory = directory
        self._question = question
        self._held = held
        self._distrusted = distrusted
        self._attrs = attrs
        self._progress = progress
        self._keeping = keeping

    def from_backend(self, offered: Manifest, *, use_cache: bool) -> PullResult:
        """Download what is missing of the exports that the backend lists, and return the result."""
        stored = read_manifest(self._directory)
        if use_cache and stored.offer is not None and stored.offer.is_whole(offered):
            offered = replace(offered, is_searched=True)
        self._narrow_distrust(stored)
        decisions = self._decide(offered, stored, use_cache=use_cache)
        if all(decision is Decision.REUSE for decision in decisions.values()):
            # Nothing will be downloaded, so partial files of dead attempts are not needed any more.
            sweep_attempts(self._directory.path)
            if not self._is_noted(stored):
                self._note(offered)
            return self._result(offered, stored)
        try:
            try:
                return self._fetch_locked(offered, use_cache=use_cache)
            except FileNotFoundError:
                # Another process replaced and deleted a file between the decision and its use. The
                # manifest is read again under the lock.
                return self._fetch_locked(offered, use_cache=use_cache)
        except (OSError, CacheError) as error:
            if self._keeping is None and _is_unwritable(error):
                return self._fetch_elsewhere(offered, error)
            if isinstance(error, CacheError):
                raise
            raise CacheError(
                f"The exports of '{self._directory.run}' cannot be stored in "
                f"{str(self._directory.path)!r} ({error.strerror or error}). Set WANDB_CACHE_DIR "
                "to a directory that this account may write.",
                path=str(self._directory.path),
            ) from error

    def with_unlisted(self, pulled: PullResult) -> PullResult:
        """Search for rows that the backend counts but does not list; add their steps to the result.

        A search that finds no rows is repeated only after the run has changed, unless the run's
        last step is in no export and not listed.
        """
        manifest = pulled.manifest
        gaps = find_gaps(manifest, [export.facts for export in pulled.exports])
        if not any(self._question.steps.touches(gap.start, gap.stop - 1) for gap in gaps):
            return pulled
        listed = set(manifest.live_steps or ())
        n_lines = (manifest.line_count or 0) - pulled.n_rows - len(listed)
        found: set[int] = set()
        # A backend too old for this request never has rows outside its exports.
        with suppress(UnsupportedByBackend):
            found = fetch_unlisted_steps(self._client, manifest.path, gaps, n_lines)
        if found and not self._still_offers(manifest):
            # Race: rows may have moved into a new export during the search, and that export is not
            # in this result. So return the run as of its manifest, without the found rows.
            return pulled
        listed |= found
        complete = replace(manifest, live_steps=tuple(sorted(listed)), is_searched=True)
        offer = read_manifest(self._directory).offer
        if offer is None or not offer.is_whole(complete):
            self._note(complete)
        return replace(pulled, manifest=complete)

    def _still_offers(self, manifest: Manifest) -> bool:
        now = fetch_manifest(self._client, manifest.path)
        return {e.object for e in now.exports} == {e.object for e in manifest.exports}

    def _decide(
        self, offered: Manifest, stored: StoredManifest, *, use_cache: bool
    ) -> dict[str, Decision]:
        held = {
            export.object: self._held.holds(export)
            for export in stored.exports.values()
            if not self._distrusted or export.path not in self._distrusted
        }
        return decide(offered, held, stored.freshness, use_cache=use_cache)

    def _is_noted(self, stored: StoredManifest) -> bool:
        has_attrs = self._attrs is None or stored.attrs == self._attrs
        if self._keeping is not None:
            is_kept = stored.pulled_at is not None and stored.is_pinned
            if not is_kept or not self._keeping.beside.items() <= stored.beside.items():
                return False
        offered = stored.offered_exports
        touched = self._held.touched
        if not has_attrs or offered is None:
            return False
        return not touched or not any(export.path in touched for export in offered)

    def _note(self, offered: Manifest) -> None:
        """Store the backend's manifest for later offline reads.

        If an export must still be downloaded, nothing is stored.
        """
        directory, settings = self._directory, self._client.settings
        # A read already has its result, so it must not fail because the cache cannot be written.
        spared = (OSError, CacheError) if self._keeping is None else ()
        with suppress(*spared):
            tag_root(directory)
            with run_lock(directory, settings.lock_timeout, locking=settings.locking):
                stored = read_manifest(self._directory)
                decisions = self._decide(offered, stored, use_cache=True)
                if any(decision is not Decision.REUSE for decision in decisions.values()):
                    return
                directory.path.mkdir(parents=True, exist_ok=True)
                noted = self._settled(stored, offered)
                write_manifest(directory, noted)
            self._held.catalog.note_run(directory, noted)

    def _fetch_locked(self, offered: Manifest, *, use_cache: bool) -> PullResult:
        directory, settings = self._directory, self._client.settings
        tag_root(directory)
        with run_lock(directory, settings.lock_timeout, locking=settings.locking):
            # The process that held the lock before may have downloaded the files: read the manifest
            # and decide again.
            stored = read_manifest(self._directory)
            decisions = self._decide(offered, stored, use_cache=use_cache)
            directory.path.mkdir(parents=True, exist_ok=True)
            fetching = self._fetching(offered, stored, directory, self._held.catalog)
            fetching.run(decisions, None if self._keeping is None else self._keeping.begun)
            sweep_attempts(directory.path)
            settled = self._settled(fetching.stored, offered)
            # A pull of many runs does not flush the manifest of each new run. If the machine
            # crashes, the next pull finds a missing or damaged manifest, and pulls the run again.
            is_durable = self._keeping is None or bool(stored.exports)
            write_manifest(directory, settled, is_durable=is_durable)
            # After the manifest: if this process is killed in between, no manifest names a deleted
            # file.
            self._drop_distrusted(settled)
        self._held.catalog.note_run(directory, settled)
        return self._result(offered, settled, fetching)

    def _fetching(
        self,
        offered: Manifest,
        stored: StoredManifest,
        directory: RunDirectory,
        catalog: Catalog,
    ) -> Fetching:
        # Imported at the first download, because reads of cached runs do not need this module.
        from runlake.cache.fetch import Fetching

        return Fetching(
            Offers(self._client, offered),
            directory,
            catalog,
            stored,
            self._question,
            Traffic(self._progress, None if self._keeping is None else self._keeping.stop),
        )

    def _narrow_distrust(self, stored: StoredManifest) -> None:
        """Find out by checksums which of the files that a reader could not read are damaged."""
        if len(self._distrusted) > 1:
            suspects = [e for e in stored.exports.values() if e.path in self._distrusted]
            broken = {export.path for export in suspects if not export.is_intact()}
            self._distrusted = broken or self._distrusted

    def _drop_distrusted(self, settled: StoredManifest) -> None:
        named = {export.path for export in settled.exports.values()}
        for path in self._distrusted - named:
            with suppress(OSError):
                path.unlink()

    def _fetch_elsewhere(self, offered: Manifest, error: Exception) -> PullResult:
        """Download the missing files to a temporary directory, deleted together with the result."""
        reason = _reason(error)
        warn(
            f"The cache at {str(self._directory.root)!r} cannot be written ({reason}): downloads "
            "are deleted after this read.",
            UnwritableCacheWarning,
        )
        stored = read_manifest(self._directory)
        decisions = self._decide(offered, stored, use_cache=True)
        keeper = TemporaryPlace()
        directory = replace(self._directory, root=keeper.path)
        directory.path.mkdir(parents=True)
        # Files in the cache can still be read and revalidated, except that a sparse file may need
        # to be extended, which is a write.
        reused = {
            name: export
            for name, export in stored.exports.items()
            if decisions.get(name) is Decision.REUSE
            or (decisions.get(name) is Decision.REVALIDATE and export.coverage is None)
        }
        stored = StoredManifest(reused)
        fetching = self._fetching(offered, stored, directory, Catalog(directory.root))
        try:
            fetching.run(
                {
                    name: decision if name in reused else Decision.FETCH
                    for name, decision in decisions.items()
                }
            )
        except OSError as failure:
            raise CacheError(
                f"The exports of '{directory.run}' can be stored neither in the cache at "
                f"{str(self._directory.root)!r} ({reason}) nor in {str(keeper.path)!r} "
                f"({failure.strerror or failure}). Set WANDB_CACHE_DIR or TMPDIR to a directory "
                "that this account may write.",
                path=str(self._directory.path),
            ) from failure
        result = self._result(offered, fetching.stored, fetching)
        return replace(result, directory=directory.path, keeper=keeper)

    def _settled(self, stored: StoredManifest, offered: Manifest) -> StoredManifest:
        now = time.time()
        on_offer = {export.object for export in offered.exports}
        exports = {}
        for name, export in stored.exports.items():
            dropped_at = None if name in on_offer else export.dropped_at or now
            found = export.as_found()
            is_noted = found.dropped_at == dropped_at
            exports[name] = found if is_noted else replace(found, dropped_at=dropped_at)
        attrs = stored.attrs if self._attrs is None else self._attrs
        offer = LastOffer.of(offered, exports)
        beside = stored.beside
        if LIVE in beside and not offer.is_like(stored.offer):
            # The stored live rows belong to an earlier answer. If all rows are exported now, or
            # rows were deleted, the live rows must not be read. Otherwise they are read until newer
            # live rows are stored.
            beside = {kind: one for kind, one in beside.items() if kind != LIVE}
            if offer.n_live_rows != 0 and offer.has_grown_since(stored.offer):
                beside[LIVE] = replace(stored.beside[LIVE], asked=(OUTDATED,), is_whole=False)
        settled = replace(stored, exports=exports, offer=offer, attrs=attrs, beside=beside)
        if self._keeping is None:
            return settled
        beside = {**beside, **self._keeping.beside}
        return replace(settled, is_pinned=True, pulled_at=now, beside=beside)

    def _result(
        self, offered: Manifest, stored: StoredManifest, fetching: Fetching | None = None
    ) -> PullResult:
        exports = self._held.load_all([stored.exports[export.object] for export in offered.exports])
        if fetching is None:
            return PullResult(offered, self._directory.path, exports)
        return PullResult(
            offered,
            self._directory.path,
            exports,
            fetching.n_downloaded,
            fetching.traffic.n_bytes,
            reasons=fetching.reasons,
        )


class TemporaryPlace:
    """A temporary directory, deleted with this object or at the end of the process."""

    def __init__(self) -> None:
        import tempfile

        self.path = Path(tempfile.mkdtemp(prefix="runlake-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _reason(error: Exception) -> str:
    """Return why the cache cannot be written, with the path of a file that is in the way."""
    cause = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(cause, OSError):
        return str(error)
    place = cause.filename2 or cause.filename
    is_in_the_way = cause.errno in MISPLACED and place is not None
    reason = cause.strerror or str(cause)
    return f"{reason}: {os.fspath(place)!r}" if is_in_the_way else reason


def _is_unwritable(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
            return True
        cause = cause.__cause__
    return False
