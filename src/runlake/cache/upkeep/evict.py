"""Evict runs and exports as `prune` decides, each run under its lock."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runlake.cache.catalog import Catalog
from runlake.cache.companions import FILES, companion_files
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import read_manifest, write_manifest
from runlake.cache.upkeep.dead_attempts import sweep_attempts
from runlake.cache.upkeep.prune import Entry, EntryFile, Policy, Pruning, Release, plan_pruning
from runlake.cache.upkeep.tree import (
    CachedRun,
    allocated_bytes,
    read_cached_run,
    unnamed_files,
    walk_runs,
)
from runlake.errors import CacheError, NotCached
from runlake.settings import Settings
from runlake.values import RunPath

# If a pull of many runs needs room, it evicts runs until only this part of the limit is used.
ROOM = 0.95


def prune_cache(
    settings: Settings, policy: Policy, *, dry_run: bool = False, spared: Path | None = None
) -> Pruning:
    """Evict the runs and exports that a policy does not keep.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory and the kind of lock.
    policy : Policy
        Which runs to keep.
    dry_run : bool
        Decide only, and delete nothing.
    spared : Path, optional
        Directory of a run that is being read; this run is not evicted.

    Returns
    -------
    Pruning
        What was evicted; with ``dry_run``, what would be evicted. A run that a process pulls or
        reads after the decision is kept, although it is listed here.
    """
    runs = {run.directory.path: run for run in walk_runs(settings.cache_dir)}
    entries = {path: _entry(run, is_spared=path == spared) for path, run in runs.items()}
    pruning = plan_pruning(entries.values(), policy, time.time())
    if not dry_run:
        places = {id(entry): runs[path] for path, entry in entries.items()}
        for release in pruning.releases:
            _evict(places[id(release.entry)], release, settings)
    return pruning


def keep_within(settings: Settings, spared: Path) -> None:
    """Evict the least recently used runs if the cache is larger than ``cache_max_bytes``.

    Parameters
    ----------
    settings : Settings
        Settings with ``cache_max_bytes``; nothing is done if this limit is None.
    spared : Path
        Directory of the run that is being read. This run is never evicted, even if it is too large.
    """
    if settings.cache_max_bytes is None:
        return
    n_bytes = Catalog(settings.cache_dir).n_held_bytes()
    if n_bytes is None or n_bytes > settings.cache_max_bytes:
        # The read that filled the cache must not fail because pruning does.
        with suppress(OSError, CacheError):
            prune_cache(settings, Policy(max_bytes=settings.cache_max_bytes), spared=spared)


def make_room(settings: Settings, max_bytes: int) -> tuple[int, bool]:
    """Evict the least recently used runs that are not pinned, until there is room for more runs.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory and the kind of lock.
    max_bytes : int
        Maximum size of the cache. Runs are evicted until the cache is somewhat smaller.

    Returns
    -------
    tuple of int and bool
        The size of the runs after eviction in bytes, and whether this size is at most
        ``max_bytes``.
    """
    # This examines the whole cache. The extra room ensures that a pull of many runs calls this
    # function rarely.
    pruning = prune_cache(settings, Policy(max_bytes=int(max_bytes * ROOM)))
    return pruning.n_bytes_after, pruning.n_bytes_after <= max_bytes


def pin_run(settings: Settings, run: RunPath, *, is_pinned: bool) -> None:
    """Protect a run from pruning, or end its protection.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory and the base URL.
    run : RunPath
        Path of the run.
    is_pinned : bool
        True to protect the run.

    Raises
    ------
    NotCached
        If nothing of the run is on disk.
    """
    directory = RunDirectory(settings.cache_dir, settings.base_url, run)
    if not directory.manifest.exists():
        raise NotCached(
            f"Nothing of '{run}' is in the cache at {str(settings.cache_dir)!r}. Pull it first.",
            path=str(directory.path),
        )
    with run_lock(directory, settings.lock_timeout, locking=settings.locking):
        manifest = replace(read_manifest(directory), is_pinned=is_pinned)
        write_manifest(directory, manifest)
    Catalog(directory.root).note_run(directory, manifest)


def _entry(run: CachedRun, *, is_spared: bool) -> Entry:
    offer = run.manifest.offer
    pulled_at = offer.at if offer is not None else 0.0
    files = [
        EntryFile(export.file, allocated_bytes(export.path), export.dropped_at)
        for export in run.manifest.exports.values()
    ]
    # A file that the manifest does not name was replaced. Its time was set when it was replaced.
    files += [
        EntryFile(file.name, allocated_bytes(file), changed_at(file)) for file in unnamed_files(run)
    ]
    files += [
        EntryFile(file.relative_to(run.directory.path).as_posix(), allocated_bytes(file))
        for file in companion_files(run.directory.path)
    ]
    return Entry(
        run.directory.run,
        run.directory.base_url,
        tuple(files),
        run.used_at,
        pulled_at,
        run.manifest.is_pinned or is_spared,
    )


def _evict(run: CachedRun, release: Release, settings: Settings) -> None:
    directory = run.directory
    catalog = Catalog(directory.root)
    with run_lock(directory, settings.lock_timeout, locking=settings.locking):
        now = read_cached_run(directory.root, directory.manifest)
        # Race: keep the run if a process has pulled or read it since the decision.
        if now is None or now.used_at > run.used_at or now.manifest != run.manifest:
            return
        gone = {file.name for file in release.files}
        # The manifest first: if this process is killed in between, no manifest names a deleted
        # file, and the files without a name are pruned later.
        if release.is_whole:
            with suppress(OSError):
                directory.manifest.unlink()
            catalog.forget_run(directory.relative)
        else:
            kept = {n: e for n, e in now.manifest.exports.items() if e.file not in gone}
            manifest = replace(now.manifest, exports=kept)
            write_manifest(directory, manifest)
            catalog.note_run(directory, manifest)
        for name in gone:
            with suppress(OSError):
                (directory.path / name).unlink()
        sweep_attempts(directory.path)
    if release.is_whole:
        _remove_empty(directory)


def _remove_empty(directory: RunDirectory) -> None:
    place = directory.path
    with suppress(OSError):
        (place / FILES).rmdir()
    while place != directory.version_root:
        try:
            place.rmdir()
        except OSError:
            return
        place = place.parent


def changed_at(file: Path) -> float:
    """Return when a file was last changed, in seconds since 1970; 0 if the file is missing."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
