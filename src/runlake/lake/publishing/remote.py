"""Open a published lake: write the catalog of its runs into a directory on this machine."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from runlake.cache.catalog import Catalog
from runlake.cache.layout import published_root
from runlake.cache.upkeep.run_query import query_runs
from runlake.errors import CacheCorrupt, FileTransferError
from runlake.lake.bucket import Bucket
from runlake.lake.packed.elsewhere import Elsewhere, read_elsewhere, use_storage
from runlake.lake.packed.place import RUNS, TABLES
from runlake.lake.packed.schemas import FIELDS
from runlake.lake.publishing.publication import Publication, read_publication
from runlake.values import DAY

PART = ".part"
RUNS_PER_WRITE = 2_000
NAMES = ("directory", *(column.name for column in FIELDS))


def open_published(bucket: Bucket, cache_dir: Path) -> Path:
    """Create a directory on this machine, through which a published lake is read; return its path.

    The directory has a catalog of the runs, and a file with the locations of the published data
    files. If the directory exists already, it is used again; what was lost there is written again.

    Parameters
    ----------
    bucket : Bucket
        The place of the published lake.
    cache_dir : Path
        Root of the cache of this machine. If it cannot be written, a temporary directory is used,
        which is deleted when this process ends.

    Raises
    ------
    NotCached
        If nothing is published there.
    FileTransferError
        If the published lake cannot be read.
    """
    publication = read_publication(bucket)
    try:
        root = _opened(published_root(cache_dir, bucket.url), bucket, publication)
    except OSError:
        temporary = _temporary_cache(os.getpid())
        root = _opened(published_root(temporary, bucket.url), bucket, publication)
    use_storage(root, bucket.options)
    return root


def _opened(place: Path, bucket: Bucket, publication: Publication) -> Path:
    # A directory per publication: readers of an older one are not disturbed.
    root = place / _digest(f"{bucket.url} {publication.version} {publication.published_at}")
    files = {
        name: [
            [bucket.place_of(one.path), *astuple(one)[1:]] for one in publication.tables[name].files
        ]
        for name in TABLES
    }
    there = Elsewhere(files=files, place=bucket.place)
    if not _has_runs(root, publication.n_runs):
        _create(root, there, bucket, publication.n_runs)
    elif read_elsewhere(root) != there:
        there.write(root)
    _sweep(place, root)
    return root


@cache
def _temporary_cache(pid: int) -> Path:
    """Return a directory that takes the place of the cache in one process, until it ends."""
    path = Path(tempfile.mkdtemp(prefix="runlake-published-"))
    atexit.register(_remove, path, pid)
    return path


def _remove(path: Path, pid: int) -> None:
    # A forked child calls this too when it ends, but its parent may still use the directory.
    if os.getpid() == pid:
        shutil.rmtree(path, ignore_errors=True)


def _create(root: Path, there: Elsewhere, bucket: Bucket, n_runs: int) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(f"{secrets.token_hex(8)}{PART}")
    part.mkdir()
    try:
        there.write(part)
        # Before the directory gets its name: a reader takes a directory with this name as whole,
        # and a process may be killed at any moment.
        _fill(part, _runs(bucket, [one[0] for one in there.files[RUNS]]))
        while not _is_renamed(part, root):
            Catalog(root).reset()
            # Race: another process has opened the same publication, and may read it already.
            if _has_runs(root, n_runs):
                return
            # A damaged directory is replaced: to write into it would disturb others that do so.
            old = root.with_name(f"{secrets.token_hex(8)}{PART}")
            with suppress(FileNotFoundError):
                root.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        # This thread may have a connection to the database of a directory that was replaced.
        Catalog(root).reset()
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_renamed(part: Path, root: Path) -> bool:
    """Rename a directory; return False if there is a directory of the new name already."""
    try:
        part.rename(root)
    except OSError:
        if not root.is_dir():
            raise
        return False
    return True


def _fill(root: Path, rows: pl.DataFrame) -> None:
    catalog = Catalog(root)
    for some in rows.iter_slices(RUNS_PER_WRITE):
        if not catalog.note_rows(_catalog_rows(some)):
            raise OSError(f"the catalog in {root} cannot be written")
    catalog.mark_all_runs()
    catalog.close()


def _has_runs(root: Path, n_runs: int) -> bool:
    try:
        return query_runs(root, "SELECT count(*) FROM runs", (), lambda _: None) == [(n_runs,)]
    except CacheCorrupt:
        return False


def _runs(bucket: Bucket, places: list[str]) -> pl.DataFrame:
    if not places:
        return pl.DataFrame(schema=dict.fromkeys(NAMES, pl.String))
    try:
        rows = pl.scan_parquet(places, glob=False, storage_options=dict(bucket.options) or None)
        return rows.select(NAMES).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileTransferError(
            f"The runs of the published lake at {bucket.place!r} cannot be read "
            f"({type(error).__name__}). Publish it again.",
            status=None,
        ) from error


def _catalog_rows(rows: pl.DataFrame) -> Iterator[Mapping[str, Any]]:
    for row in rows.iter_rows(named=True):
        yield {**row, "is_pinned": 1, "is_complete": 1, "incomplete_reason": None}


def _sweep(place: Path, root: Path) -> None:
    """Delete local directories of earlier publications, if they are older than a day.

    Readers may still use younger directories.
    """
    with suppress(OSError):
        for one in place.iterdir():
            if one != root and time.time() - one.stat().st_mtime > DAY:
                shutil.rmtree(one, ignore_errors=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
