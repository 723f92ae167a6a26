"""Mark exports that polars or DuckDB could not decode, so that later reads use pyarrow."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import read_manifest, write_manifest
from runlake.cache.stored_export import StoredExport
from runlake.errors import CacheError
from runlake.settings import Settings
from runlake.values import RunPath


def note_uncommon(settings: Settings, run: RunPath, exports: Collection[StoredExport]) -> None:
    """Record in a run's stored manifest that polars or DuckDB cannot decode the given exports.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory and the base URL.
    run : RunPath
        Path of the run.
    exports : collection of StoredExport
        Intact exports that polars or DuckDB could not decode. If another version of an export was
        downloaded since, the new version is not marked.
    """
    directory = RunDirectory(settings.cache_dir, settings.base_url, run)
    # This only saves work: if the lock is taken or the write fails, the next read tries again.
    with (
        suppress(OSError, CacheError),
        run_lock(directory, 0.0, locking=settings.locking),
    ):
        stored = read_manifest(directory)
        noted = {
            name: replace(held, facts=replace(held.facts, is_common=False))
            for name, held in stored.exports.items()
            if any(held.path == export.path and held.facts.is_common for export in exports)
        }
        if noted:
            write_manifest(directory, replace(stored, exports={**stored.exports, **noted}))
