"""Exports that one engine could not decode, noted for other processes and for offline reads."""

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
    """Note that not every engine reads some exports, although their bytes are right.

    Parameters
    ----------
    settings : Settings
        They name the cache.
    run : RunPath
        The run.
    exports : collection of StoredExport
        As they were read; another version that came meanwhile is left alone.
    """
    directory = RunDirectory(settings.cache_dir, settings.base_url, run)
    # Nobody waits for it: where it fails, the next process finds out by itself.
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
