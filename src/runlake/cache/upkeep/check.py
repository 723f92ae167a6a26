"""Verify files against their checksums, and rebuild the catalog from the files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runlake.cache.catalog import Catalog
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.memory import look_up_columns
from runlake.cache.store import read_manifest, write_manifest
from runlake.cache.stored_export import StoredExport
from runlake.cache.upkeep.dead_attempts import sweep_attempts
from runlake.cache.upkeep.tree import CachedRun, walk_runs
from runlake.errors import CacheCorrupt
from runlake.exports.verify import digest_file


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of verifying one run.

    Parameters
    ----------
    run : str
        ``entity/project/run_id``.
    n_exports : int
        Number of verified exports.
    damaged : tuple of Path
        Files that were damaged or missing. They were removed from the cache, so the next read
        downloads them again.
    """

    run: str
    n_exports: int
    damaged: tuple[Path, ...]


def verify_cache(root: Path, lock_timeout: float, *, locking: str = "auto") -> Iterator[Checked]:
    """Read every export in the cache, and compare its content with its checksums.

    The checksums are the CRC32C that was stored with the file and, if the storage host sent an MD5,
    this MD5. Damaged exports are removed from the cache. Other files are not read.

    Parameters
    ----------
    root : Path
        Root of the cache.
    lock_timeout : float
        Seconds to wait for another process that changes a run.
    locking : {"auto", "flock", "soft"}
        Kind of lock.

    Yields
    ------
    Checked
        One result per run, sorted by the runs' directories.
    """
    for run in walk_runs(root):
        damaged = [e for e in run.manifest.exports.values() if not _is_right(e)]
        if damaged:
            _set_aside(run.directory, damaged, lock_timeout, locking)
        yield Checked(
            str(run.directory.run),
            len(run.manifest.exports),
            tuple(export.path for export in damaged),
        )


def repair_catalog(root: Path, lock_timeout: float, *, locking: str = "auto") -> int:
    """Rebuild the catalog from manifests and footers, and delete files of killed downloads.

    Parameters
    ----------
    root : Path
        Root of the cache.
    lock_timeout : float
        Seconds to wait for another process that changes a run.
    locking : {"auto", "flock", "soft"}
        Kind of lock.

    Returns
    -------
    int
        Number of runs in the new catalog.
    """
    catalog = Catalog(root)
    catalog.lose()
    n_runs = 0
    for run in walk_runs(root):
        with run_lock(run.directory, lock_timeout, locking=locking):
            sweep_attempts(run.directory.path)
        _note(catalog, run)
        n_runs += 1
    catalog.mark_all_runs()
    return n_runs


def _note(catalog: Catalog, run: CachedRun) -> None:
    for export in run.manifest.exports.values():
        # The next read, or `verify_cache`, deals with a damaged file.
        with suppress(CacheCorrupt):
            look_up_columns(catalog, export, None)
    catalog.note_run(run.directory, run.manifest)


def _set_aside(
    directory: RunDirectory, damaged: list[StoredExport], lock_timeout: float, locking: str
) -> None:
    with run_lock(directory, lock_timeout, locking=locking):
        stored = read_manifest(directory)
        # Race: another process may have replaced the damaged files before the lock was taken.
        still = {e.object for e in damaged if not _is_mended(stored.exports.get(e.object), e)}
        kept = {name: export for name, export in stored.exports.items() if name not in still}
        # Before the files are deleted, so that no manifest names a missing file.
        write_manifest(directory, replace(stored, exports=kept))
        for export in damaged:
            if export.object in still:
                with suppress(OSError):
                    export.path.unlink()


def _is_mended(now: StoredExport | None, before: StoredExport) -> bool:
    return now is not None and (now != before) and _is_right(now)


def _is_right(export: StoredExport) -> bool:
    """Return whether a file has the stored checksum and the digests that the host sent."""
    if export.coverage is not None or export.validator.md5 is None:
        return export.is_intact()
    if not is_regular(export.path):
        return False
    try:
        digest = digest_file(export.path, export.validator, with_md5=True)
    except OSError:
        return False
    has_arrived = (digest.n_bytes, digest.crc32c) == (export.n_bytes, export.crc32c)
    return has_arrived and digest.disagreement(export.validator) is None
