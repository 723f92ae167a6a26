"""Store rows in files beside a run's exports.

The rows are live rows (rows that are in no export yet), system metrics, and the lists of the run's
files and artifacts.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import google_crc32c

from runlake.cache.catalog import Catalog
from runlake.cache.disk.abandoned import is_abandoned
from runlake.cache.disk.links import read_small_file, refuse_links
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import (
    LIVE,
    Companion,
    LastOffer,
    read_manifest,
    tag_root,
    write_manifest,
)
from runlake.exports.download.attempt_file import AttemptFile
from runlake.settings import Settings

SYSTEM, FILES, ARTIFACTS = "system", "files", "artifacts"
FILE_NAME = re.compile(r"(?:live|system|files|artifacts)-[0-9a-f]{8}\.jsonl\.gz")
MAX_BYTES = 1 << 30
LEVEL = 1
Row = Mapping[str, Any]


def store_rows(
    directory: RunDirectory, kind: str, rows: Iterable[Row], asked: Sequence[str] = ()
) -> Companion:
    """Write rows to a new file in a run's directory; the caller adds the file to the manifest.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory, which is created if missing.
    kind : str
        `LIVE`, `SYSTEM`, `FILES` or `ARTIFACTS`.
    rows : iterable of mapping
        The rows; each becomes one line of JSON.
    asked : sequence of str
        For files and artifacts, the requested names and patterns, or `ALL_FILES` if all were
        requested.

    Returns
    -------
    Companion
        The entry for the stored manifest. If there are no rows, no file is written.
    """
    lines = iter(rows)
    first = next(lines, None)
    if first is None:
        return Companion("", 0, 0, 0, tuple(asked))
    prepare_directory(directory)
    n_rows = 0
    with AttemptFile(directory.path, kind) as attempt:
        # No time in the header: equal rows then give equal bytes, and so the same name.
        with attempt.open() as raw, gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as file:
            for row in chain([first], lines):
                file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
                n_rows += 1
        content = read_small_file(attempt.path, MAX_BYTES)
        crc32c = google_crc32c.value(content)
        name = f"{kind}-{crc32c:08x}.jsonl.gz"
        attempt.publish(directory.path / name)
    return Companion(name, len(content), crc32c, n_rows, tuple(asked))


def prepare_directory(directory: RunDirectory) -> None:
    """Create the directory of a run.

    Raise `OSError` if this directory, or one between it and the root of the cache, is a link.
    """
    tag_root(directory)
    refuse_links(directory.root, directory.manifest)
    directory.path.mkdir(parents=True, exist_ok=True)


def read_rows(directory: RunDirectory, kind: str) -> list[dict[str, Any]] | None:
    """Return the rows of one kind that are stored beside a run's exports.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    kind : str
        `LIVE`, `SYSTEM`, `FILES` or `ARTIFACTS`.

    Returns
    -------
    list of dict or None
        None if nothing of this kind is stored, or the file is damaged.
    """
    companion = read_manifest(directory).beside.get(kind)
    if companion is None:
        return None
    if not companion.file:
        return []
    try:
        content = read_small_file(directory.path / companion.file, MAX_BYTES)
        if google_crc32c.value(content) != companion.crc32c:
            return None
        return [json.loads(line) for line in gzip.decompress(content).splitlines()]
    except (OSError, ValueError, EOFError):
        return None


def read_system_rows(directory: RunDirectory) -> list[dict[str, Any]] | None:
    """Return the stored system metrics of a run; None if they were never pulled."""
    beside = read_manifest(directory).beside
    if SYSTEM not in beside and FILES in beside:
        # The run was pulled into the lake, so it has no system metrics.
        return []
    return read_rows(directory, SYSTEM)


def is_stored(directory: RunDirectory, companion: Companion) -> bool:
    """Return whether the file that a `Companion` describes exists with the recorded length.

    A `Companion` without rows has no file; the result is True then.
    """
    if not companion.file:
        return True
    try:
        return (directory.path / companion.file).stat().st_size == companion.n_bytes
    except OSError:
        return False


def note_live_rows(
    settings: Settings,
    directory: RunDirectory,
    catalog: Catalog,
    live: Companion,
    offer: LastOffer | None,
) -> bool:
    """Record a file of live rows (rows that are in no export yet) in a run's stored manifest.

    The entry of an older file of live rows is replaced.

    Parameters
    ----------
    settings : Settings
        Settings for the lock: its kind and timeout.
    directory : RunDirectory
        The run's directory.
    catalog : Catalog
        The catalog in which the run is recorded again.
    live : Companion
        Result of `store_rows` for the live rows.
    offer : LastOffer or None
        The record of the backend's response to which the rows belong.

    Returns
    -------
    bool
        False if the run was pulled again meanwhile, so that the rows are out of date.
    """
    with run_lock(directory, settings.lock_timeout, locking=settings.locking):
        stored = read_manifest(directory)
        if stored.offer is None or not stored.offer.is_like(offer):
            return False
        noted = replace(stored, beside={**stored.beside, LIVE: live})
        write_manifest(directory, noted)
    catalog.note_run(directory, noted)
    return True


def companion_files(directory: Path) -> list[Path]:
    """Return the paths of the stored rows and of the pulled files in a run's directory."""
    try:
        own = [path for path in directory.iterdir() if FILE_NAME.fullmatch(path.name)]
        files = directory / FILES
        contents = [path for path in files.iterdir() if path.is_file()] if files.is_dir() else []
    except OSError:
        return []
    return sorted([*own, *contents])


def content_path(directory: RunDirectory, name: str, version: str) -> Path:
    """Return the path under which one version of a run's file is stored."""
    digest = hashlib.sha256(f"{name}\0{version}".encode("utf-8", "surrogatepass")).hexdigest()
    return directory.path / FILES / digest[:32]


def sweep_companions(directory: RunDirectory) -> None:
    """Delete stored rows that the manifest does not name, and partial files, after a day.

    Readers may still need newer files.
    """
    named = {one.file for one in read_manifest(directory).beside.values()}
    for path in companion_files(directory.path):
        is_attempt = path.suffix == ".part"
        if is_attempt or (path.parent == directory.path and path.name not in named):
            with suppress(OSError):
                if is_abandoned(path):
                    path.unlink()
