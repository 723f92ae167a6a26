"""One run from cold to warm: ask, decide, lock, fetch, publish; or what is on disk, unasked."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from runlake.backend.http.client import Client
from runlake.cache.catalog import Catalog
from runlake.cache.fetch import Fetching
from runlake.cache.held_run import HeldRun
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.pull_result import PullResult
from runlake.cache.store import (
    LastOffer,
    StoredManifest,
    note_use,
    read_manifest,
    tag_root,
    write_manifest,
)
from runlake.cache.upkeep.dead_attempts import sweep_attempts
from runlake.cache.upkeep.evict import keep_within
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

# Something else lies where a file or a directory of the cache belongs.
MISPLACED = {errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP}
UNWRITABLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *MISPLACED,
}


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
) -> PullResult:
    """Bring what is wanted of a run's exports to disk.

    A warm pull costs one GraphQL request: where heartbeat, line count and state did not move since
    all exports were current, no file is asked for. Else each export on disk is revalidated.

    Parameters
    ----------
    client : Client
        The backend; its settings name the cache.
    run : RunPath
        The run.
    question : Question
        What is wanted; of a large export only the columns of its keys are fetched.
    use_cache : bool
        False fetches all again.
    distrusted : collection of Path
        Files that could not be read: fetched again whatever their checksums say.
    attrs : mapping, optional
        The run's fields, to keep for offline use.
    progress : Progress, optional
        Watches the downloads.
    known : tuple, optional
        `Manifest.freshness` of this moment, where a list of runs told it: a run whose whole history
        is on disk as of then, without live rows, costs no request.

    Returns
    -------
    PullResult
        Every export on offer, with the wanted columns complete and checked.

    Raises
    ------
    RunNotFoundError, ExportError, CacheError
        Nothing that was on disk before is lost then.
    NotCached
        Offline, if what is wanted is not on disk.
    Unreachable
        If the backend does not answer, and the run was not over when it last did.

    Warns
    -----
    StaleWarning
        If the answer is of an earlier moment.
    UnwritableCacheWarning
        If the cache cannot be written: what is fetched is forgotten with the result.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    held = HeldRun(client.settings, directory, question, distrusted)
    if client.settings.offline:
        return held.from_disk(None)
    if use_cache and known is not None:
        unchanged = held.unchanged(known)
        if unchanged is not None:
            return unchanged
    try:
        offered = fetch_manifest(client, run)
    except Unreachable as error:
        return held.from_disk(error)
    pull = _Pull(client, directory, question, held, set(distrusted), attrs, progress)
    result = pull.with_unlisted(pull.from_backend(offered, use_cache=use_cache))
    note_use(directory)
    if result.n_downloaded:
        keep_within(client.settings, directory.path)
    return result


def find_unchanged(
    client: Client, run: RunPath, question: Question, known: Freshness
) -> PullResult | None:
    """Look for a run on disk, without a request.

    Parameters
    ----------
    client : Client
        Its settings name the cache.
    run : RunPath
        The run.
    question : Question
        What is wanted.
    known : tuple
        `Manifest.freshness` of this moment, as a list of runs told it.

    Returns
    -------
    PullResult or None
        The whole history of the run; None if it may have more than is on disk.
    """
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, run)
    return HeldRun(client.settings, directory, question).unchanged(known)


def expect_unchanged(client: Client, run: RunPath, question: Question) -> PullResult | None:
    """Guess what a pull of a run will bring; the arguments are those of `pull_run`.

    Returns
    -------
    PullResult or None
        The whole history as it is on disk, of a run that was over when the backend was last asked:
        only a resumed run has more. None for any other.
    """
    settings = client.settings
    offer = read_manifest(RunDirectory(settings.cache_dir, settings.base_url, run)).offer
    if offer is None or not offer.is_over:
        return None
    return find_unchanged(client, run, question, offer.freshness)


class _Pull:
    """One pull: what is wanted, and where it goes."""

    def __init__(
        self,
        client: Client,
        directory: RunDirectory,
        question: Question,
        held: HeldRun,
        distrusted: set[Path],
        attrs: Mapping[str, Any] | None,
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._directory = directory
        self._question = question
        self._held = held
        self._distrusted = distrusted
        self._attrs = attrs
        self._progress = progress

    def from_backend(self, offered: Manifest, *, use_cache: bool) -> PullResult:
        """Fetch what is missing of what the backend offers."""
        stored = read_manifest(self._directory)
        if use_cache and stored.offer is not None and stored.offer.is_whole(offered):
            offered = replace(offered, is_searched=True)
        self._narrow_distrust(stored)
        decisions = self._decide(offered, stored, use_cache=use_cache)
        if all(decision is Decision.REUSE for decision in decisions.values()):
            # Nobody needs what an attempt left that was to fetch again what is here.
            sweep_attempts(self._directory.path)
            if not self._is_noted(stored):
                self._note(offered)
            return self._result(offered, stored)
        try:
            try:
                return self._fetch_locked(offered, use_cache=use_cache)
            except FileNotFoundError:
                # A file went between the decision and its use, and the manifest knows by now.
                return self._fetch_locked(offered, use_cache=use_cache)
        except (OSError, CacheError) as error:
            if _is_unwritable(error):
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
        """List the rows that the backend counts and does not list, once per moment of the run."""
        manifest = pulled.manifest
        gaps = find_gaps(manifest, [export.facts for export in pulled.exports])
        if not any(self._question.steps.touches(gap.start, gap.stop - 1) for gap in gaps):
            return pulled
        listed = set(manifest.live_steps or ())
        n_lines = (manifest.line_count or 0) - pulled.n_rows - len(listed)
        found: set[int] = set()
        # An older backend gives no row in no export, hence has none.
        with suppress(UnsupportedByBackend):
            found = fetch_unlisted_steps(self._client, manifest.path, gaps, n_lines)
        if found and not self._still_offers(manifest):
            # The rows before those that were found may be in an export by now, which this answer
            # has not: it stays the run as of the moment of its manifest.
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
            if export.path not in self._distrusted
        }
        return decide(offered, held, stored.freshness, use_cache=use_cache)

    def _is_noted(self, stored: StoredManifest) -> bool:
        has_attrs = self._attrs is None or stored.attrs == self._attrs
        offered = stored.offered_exports
        return has_attrs and offered is not None and all(e.is_untouched for e in offered)

    def _note(self, offered: Manifest) -> None:
        """Keep what an offer tells that brought nothing new, for lists of runs and for offline."""
        directory, settings = self._directory, self._client.settings
        # The answer is there; a cache that cannot be written must not spoil it.
        with suppress(OSError, CacheError):
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
            # Whoever held the lock before may have done the work: what is on disk is read anew.
            stored = read_manifest(self._directory)
            decisions = self._decide(offered, stored, use_cache=use_cache)
            directory.path.mkdir(parents=True, exist_ok=True)
            self._held.catalog.prepare()
            fetching = self._fetching(offered, stored, directory, self._held.catalog)
            fetching.run(decisions)
            sweep_attempts(directory.path)
            settled = self._settled(fetching.stored, offered)
            write_manifest(directory, settled)
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
        return Fetching(
            Offers(self._client, offered),
            directory,
            catalog,
            stored,
            self._question,
            Traffic(self._progress),
        )

    def _narrow_distrust(self, stored: StoredManifest) -> None:
        """Of several files that may be to blame, find those that are."""
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
        """Fetch what is missing to a directory that lasts as long as the result."""
        reason = _reason(error)
        warn(
            f"The cache at {str(self._directory.root)!r} cannot be written ({reason}): what is "
            "fetched now is forgotten after this read.",
            UnwritableCacheWarning,
        )
        stored = read_manifest(self._directory)
        decisions = self._decide(offered, stored, use_cache=True)
        keeper = _Keeper()
        directory = replace(self._directory, root=keeper.path)
        directory.path.mkdir(parents=True)
        # What is there may be read, and asked after; only sparse files would have to be written to.
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
        exports = {
            name: replace(
                export.as_found(),
                dropped_at=None if name in on_offer else export.dropped_at or now,
            )
            for name, export in stored.exports.items()
        }
        attrs = stored.attrs if self._attrs is None else self._attrs
        return replace(stored, exports=exports, offer=LastOffer.of(offered, exports), attrs=attrs)

    def _result(
        self, offered: Manifest, stored: StoredManifest, fetching: Fetching | None = None
    ) -> PullResult:
        exports = tuple(
            self._held.load(stored.exports[export.object]) for export in offered.exports
        )
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


class _Keeper:
    """A directory that goes with this object, or with the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="runlake-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _reason(error: Exception) -> str:
    """Return why the cache cannot be written, with the place where something is in the way."""
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
