"""Find the runs on disk by listing the directories, without the catalog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runlake.cache.disk.links import read_small_file, refuse_links, set_times
from runlake.cache.layout import EXPORT_SUFFIX, LAYOUT_VERSION, RunDirectory
from runlake.cache.store import MAX_MANIFEST_BYTES, StoredManifest, read_manifest
from runlake.values import RunPath


@dataclass(frozen=True, slots=True)
class CachedRun:
    """A run on disk: its directory, its manifest, and the time of the last read.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    manifest : StoredManifest
        The run's manifest.
    used_at : float
        When the run was last read, in seconds since 1970.
    """

    directory: RunDirectory
    manifest: StoredManifest
    used_at: float

    @property
    def n_bytes(self) -> int:
        """Bytes that the run takes on disk; holes of sparse files are not counted."""
        beside = self.directory.path / "files"
        every = [*_files(self.directory.path), *_files(beside)]
        return sum(allocated_bytes(file) for file in every)

    @property
    def n_rows(self) -> int:
        """Number of rows in the exports that the backend still listed at the last pull."""
        exports = self.manifest.exports.values()
        return sum(e.facts.n_rows for e in exports if e.dropped_at is None)


def walk_runs(root: Path) -> Iterator[CachedRun]:
    """Yield the runs in a cache, sorted by directory.

    A directory is skipped if its manifest is unreadable, or is the manifest of another directory.

    Parameters
    ----------
    root : Path
        Root of the cache.
    """
    pattern = f"{LAYOUT_VERSION}/*/*/*/*/manifest.json"
    for file in sorted(root.glob(pattern)):
        found = read_cached_run(root, file)
        if found is not None:
            yield found


def read_cached_run(root: Path, manifest: Path) -> CachedRun | None:
    """Return the run of a manifest file; None if it is unreadable or in the wrong directory."""
    try:
        refuse_links(root, manifest)
        before = manifest.lstat()
        document = json.loads(read_small_file(manifest, MAX_MANIFEST_BYTES))
        run = RunPath(document["entity"], document["project"], document["run_id"])
        directory = RunDirectory(root, document["backend"], run)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    # Pruning deletes files in the directory that a manifest names, so a manifest that was moved or
    # manipulated must not name the directory of another run.
    if directory.manifest != manifest:
        return None
    stored = read_manifest(directory)
    # Listing the cache does not count as use of a run, so restore the access time.
    with suppress(OSError):
        set_times(manifest, (before.st_atime_ns, before.st_mtime_ns))
    return CachedRun(directory, stored, before.st_atime)


def unnamed_files(run: CachedRun) -> list[Path]:
    """Return the Parquet files in a run's directory that the run's manifest does not name."""
    named = {export.path for export in run.manifest.exports.values()}
    return [file for file in _files(run.directory.path) if _is_export(file) and file not in named]


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(file for file in directory.iterdir() if file.is_file())
    except OSError:
        return []


def _is_export(file: Path) -> bool:
    return file.suffix == EXPORT_SUFFIX


def allocated_bytes(file: Path) -> int:
    """Return the bytes that a file takes on disk; holes of a sparse file are not counted."""
    try:
        found = file.stat()
    except OSError:
        return 0
    blocks = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else min(found.st_size, blocks * 512)
