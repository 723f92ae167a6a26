"""Copy a run by hard links into another directory tree, where no later pull changes the copy."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runlake.cache.artifacts.held import stored_names
from runlake.cache.companions import FILES, prepare_directory, read_rows
from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import StoredManifest, read_manifest, write_manifest
from runlake.cache.stored_export import StoredExport
from runlake.settings import Settings

COPIED_BYTES = 1 << 20


def freeze_run(settings: Settings, directory: RunDirectory, target: Path) -> RunDirectory:
    """Copy a run into another tree: hard-link whole files, copy the bytes of sparse files.

    The content of a whole file never changes, so a link needs no space and preserves the content.
    A sparse file changes when more columns are downloaded, so it is copied. The copied manifest
    also names files that are damaged or missing, and reads of the copy report them.

    Parameters
    ----------
    settings : Settings
        Settings for the lock: its kind and timeout.
    directory : RunDirectory
        The run's directory.
    target : Path
        Root of the other tree, on the same file system if possible.

    Returns
    -------
    RunDirectory
        The run's directory in the other tree.

    Raises
    ------
    OSError
        If the other tree cannot be written.
    """
    frozen = RunDirectory(target, directory.base_url, directory.run)
    with run_lock(directory, settings.lock_timeout, locking=settings.locking):
        stored = read_manifest(directory)
        prepare_directory(frozen)
        exports = {
            name: _freeze_export(export, frozen.path)
            for name, export in stored.exports.items()
            if export.dropped_at is None
        }
        for file in _files_beside(directory, stored):
            _link(directory.path / file, frozen.path / file)
        # These files can be linked too: their contents never change. A file with other content is
        # always a new file, which replaces the name.
        for names in stored_names(directory):
            for name in names:
                _link(directory.root / name, target / name)
        manifest = replace(stored, exports=exports, is_pinned=True)
        write_manifest(frozen, manifest, is_durable=False)
        _note_links(directory, stored, exports)
    return frozen


def _freeze_export(export: StoredExport, directory: Path) -> StoredExport:
    path = directory / export.file
    if not export.is_usable:
        return replace(export, path=path)
    if export.coverage is None:
        _link(export.path, path)
    else:
        _copy_pieces(export, path)
    return replace(export, path=path, state=FileState.of(path))


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it if the file system does not support links."""
    if not is_regular(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target, follow_symlinks=False)


def _copy_pieces(export: StoredExport, target: Path) -> None:
    """Copy those bytes of a sparse file that are on disk."""
    assert export.coverage is not None  # noqa: S101 - the caller has checked
    with export.path.open("rb") as source, target.open("wb") as copy:
        copy.truncate(export.n_bytes)
        for piece in export.coverage.ranges:
            source.seek(piece.start)
            copy.seek(piece.start)
            n_left = piece.stop - piece.start
            while n_left and (content := source.read(min(n_left, COPIED_BYTES))):
                copy.write(content)
                n_left -= len(content)


def _files_beside(directory: RunDirectory, stored: StoredManifest) -> list[str]:
    """Return the paths, in the run's directory, of stored rows and of pulled files."""
    own = [companion.file for companion in stored.beside.values() if companion.file]
    rows = read_rows(directory, FILES) or ()
    contents = [str(row["content"]) for row in rows if row.get("content")]
    return [name for name in (*own, *contents) if (directory.path / name).is_file()]


def _note_links(
    directory: RunDirectory, stored: StoredManifest, frozen: dict[str, StoredExport]
) -> None:
    """Record the new state of linked files in the run's manifest.

    A new link changes a file's ctime. Without the record, the next read would verify the file.
    """
    noted = dict(stored.exports)
    for name, export in frozen.items():
        former = stored.exports[name]
        is_linked = export.path.exists() and export.coverage is None
        if is_linked and former.state.status:
            noted[name] = replace(former, state=FileState.of(former.path))
    if noted != stored.exports:
        # The run can be read without this record.
        with suppress(OSError):
            write_manifest(directory, replace(stored, exports=noted), is_durable=False)
