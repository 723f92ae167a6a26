"""Drop old snapshots, and delete files that no snapshot names any more.

A snapshot is kept for a day after it was replaced, so that a reader which has just opened it can
finish. It is also kept as long as a tag names it. A file is deleted a day after this module first
found that no snapshot names it. pyiceberg deletes no files when it drops snapshots, so this module
lists the directories to find such files.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runlake.lake.packed.place import RUNS, TABLES, PackedPlace
from runlake.lake.packed.table import Tables

DAY_SECONDS = 86_400.0
UNNAMED = "unnamed.json"
# The directories are listed at most this many times in a grace period.
LISTINGS_PER_PERIOD = 24


def expire(tables: Tables, grace_seconds: float = DAY_SECONDS) -> int:
    """Drop old snapshots, and delete files that no snapshot has named for some time.

    Parameters
    ----------
    tables : Tables
        The tables.
    grace_seconds : float
        Seconds for which a replaced snapshot is kept. Its files are kept for as many seconds more.

    Returns
    -------
    int
        Number of files that were deleted. If the last call was a short time ago, nothing is done.
    """
    note = tables.place.path / UNNAMED
    with suppress(OSError):
        if time.time() - note.stat().st_mtime < grace_seconds / LISTINGS_PER_PERIOD:
            return 0
    tables.reload()
    _drop_snapshots(tables, grace_seconds)
    tables.reload()
    return _delete_files(tables, note, grace_seconds)


def _drop_snapshots(tables: Tables, grace_seconds: float) -> None:
    moments = tables.moments()
    now = time.time()
    kept = {name: set[int]() for name in TABLES}
    named = [*tables.tags().values(), tables.snapshot_ids()]
    # A moment is replaced when the next one is committed.
    replaced = [at for _, at in moments[1:]]
    named += [
        moment
        for (moment, _), until in zip(moments, replaced, strict=False)
        if now - until < grace_seconds
    ]
    for moment in named:
        for name, snapshot_id in moment.ids.items():
            if snapshot_id is not None:
                kept[name].add(snapshot_id)
    # `runs` first: then no moment names a snapshot that is gone.
    for name in (RUNS, *(one for one in TABLES if one != RUNS)):
        tables.expire(name, kept[name], now - grace_seconds)


def _delete_files(tables: Tables, note: Path, grace_seconds: float) -> int:
    place = tables.place
    named = {path for name in TABLES for path in tables.named_files(name)}
    now = time.time()
    seen = _read_note(note)
    unnamed, n_deleted = {}, 0
    for path in _files(place):
        if str(path) in named:
            continue
        first_seen = seen.get(str(path), now)
        with suppress(OSError):
            # No snapshot names a file that was just written: its pack commits it later.
            is_old = now - max(first_seen, path.stat().st_mtime) >= grace_seconds
            if not is_old:
                unnamed[str(path)] = first_seen
                continue
            path.unlink()
            n_deleted += 1
    # Renamed when complete, so that another process never reads half a note.
    partial = note.with_name(f"{note.name}.{os.getpid()}")
    partial.write_text(json.dumps(unnamed))
    partial.replace(note)
    return n_deleted


def _files(place: PackedPlace) -> Iterator[Path]:
    for name in TABLES:
        for directory in (place.data(name), place.metadata(name)):
            yield from sorted(directory.glob("*"))


def _read_note(note: Path) -> dict[str, float]:
    """Return the times at which this module first found that no snapshot names a file.

    The times are in seconds since 1970, by the path of the file.
    """
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return {str(path): float(at) for path, at in found.items()} if isinstance(found, dict) else {}
