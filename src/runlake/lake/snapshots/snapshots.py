"""Take, list, find and delete snapshots of a lake."""

from __future__ import annotations

import difflib
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.cache.catalog import Catalog
from runlake.cache.layout import RunDirectory, snapshot_root, snapshots_root
from runlake.cache.store import read_manifest
from runlake.cache.upkeep.freeze import freeze_run
from runlake.errors import CacheError, InvalidArgument, InvalidType, NotCached
from runlake.lake.query.selection import Selection
from runlake.lake.snapshots.packed_part import (
    pack_again,
    packed_digests,
    point_to_tables,
    tag_tables,
    untag_tables,
)
from runlake.lake.snapshots.record import Record, RecordedRun, read_record, record_run
from runlake.settings import Settings
from runlake.values import DAY

if TYPE_CHECKING:
    import polars as pl

MAX_NAME = 200
PART = ".part"
# Runs that are pulled meanwhile are copied again, so that a snapshot has a single moment.
MAX_ROUNDS = 3
RUNS_PER_WRITE = 500

Frozen = dict[RunDirectory, RunDirectory]


def take_snapshot(settings: Settings, name: str) -> Record:
    """Take a snapshot: link the files of all runs into a new directory, and return its record.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    name : str
        The name of the snapshot, which no other snapshot of the lake has.

    Raises
    ------
    InvalidArgument
        If the name is wrong or taken, or the lake has no runs.
    CacheError
        If the lake cannot be written.
    """
    root = settings.cache_dir
    final = snapshot_root(root, checked_name(name))
    if final.exists():
        raise _taken(name)
    runs = [run.directory for run in Selection(root).find()]
    pack_again(settings)
    if not runs:
        raise InvalidArgument(f"The lake at {str(root)!r} has no runs. Pull some first.")
    with _writing(root, final) as part:
        frozen = _freeze_all(settings, runs, part)
        known: dict[Path, str] = {}
        recorded = _in_order([record_run(directory, known) for directory in frozen.values()])
        # Before the snapshot gets its name: its rows are read from the lake's tables at this tag.
        tables = tag_tables(settings, name)
        if tables:
            point_to_tables(part, name)
        packed = packed_digests(root, tables) if tables and _lack_exports(recorded) else {}
        record = Record(name, time.time(), recorded, tables, packed)
        record.write(part)
        try:
            # After everything else has been written: a directory that ends in `.part` is not
            # listed.
            part.rename(final)
        except OSError as error:
            if final.exists():
                raise _taken(name) from error
            raise
    _fill_catalog(final, frozen)
    return record


def list_snapshots(root: Path) -> list[Record]:
    """Return the records of all snapshots of a lake, the oldest first."""
    try:
        places = sorted(snapshots_root(root).iterdir())
    except OSError:
        return []
    found = [read_record(place) for place in places if not place.name.endswith(PART)]
    return sorted((one for one in found if one is not None), key=lambda one: one.created_at)


def find_snapshot(root: Path, name: str) -> Record:
    """Return the record of a snapshot.

    Raises
    ------
    NotCached
        If the lake has no snapshot of this name, or its record is damaged.
    """
    place = snapshot_root(root, checked_name(name))
    record = read_record(place)
    if record is not None:
        return record
    if place.exists():
        raise NotCached(
            f"The record of the snapshot {name!r} is damaged. Take another snapshot.",
            path=str(place),
        )
    known = [one.name for one in list_snapshots(root)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    have = f" It has {', '.join(map(repr, known))}." if known and not near else ""
    raise NotCached(
        f"The lake at {str(root)!r} has no snapshot {name!r}.{hint}{have}", path=str(place)
    )


def delete_snapshot(settings: Settings, name: str) -> None:
    """Delete a snapshot; files that the lake itself still uses are kept.

    Raises
    ------
    NotCached
        If the lake has no snapshot of this name.
    CacheError
        If the lake cannot be written.
    """
    root = settings.cache_dir
    place = snapshot_root(root, checked_name(name))
    if not place.exists():
        # Raises `NotCached`, with a hint at a similar name.
        find_snapshot(root, name)
    gone = place.with_name(f"{secrets.token_hex(8)}{PART}")
    try:
        # Renamed first, so that a process that is killed leaves no part of a snapshot in the list.
        place.rename(gone)
    except OSError as error:
        raise _unwritable(root, error) from error
    shutil.rmtree(gone, ignore_errors=True)
    # Last: without the tag, packed rows of a snapshot that is still listed could expire.
    untag_tables(settings, name)


def snapshot_table(records: list[Record]) -> pl.DataFrame:
    """Return a frame with one row per snapshot."""
    import polars as pl

    return pl.DataFrame(
        {
            "name": [one.name for one in records],
            "created_at": [datetime.fromtimestamp(one.created_at, UTC) for one in records],
            "n_runs": [len(one.runs) for one in records],
            "digest": [one.digest for one in records],
        },
        schema={
            "name": pl.String,
            "created_at": pl.Datetime("us", "UTC"),
            "n_runs": pl.Int64,
            "digest": pl.String,
        },
    )


def checked_name(name: Any) -> str:
    """Return ``name``, or raise `InvalidArgument` if no snapshot can have this name."""
    if not isinstance(name, str):
        raise InvalidType(f"The name of a snapshot must be text, not {name!r}.")
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        raise InvalidArgument(
            f"The name of a snapshot must be printable text of 1 to {MAX_NAME} characters, not "
            f"{name!r}."
        )
    return name


def _taken(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"There is a snapshot {name!r} already. Choose another name, or delete it with "
        f"lake.delete_snapshot({name!r})."
    )


@contextmanager
def _writing(root: Path, final: Path) -> Iterator[Path]:
    """Yield a temporary directory beside ``final``; delete it if the caller did not rename it."""
    part = final.with_name(f"{secrets.token_hex(8)}{PART}")
    try:
        part.mkdir(parents=True)
        _sweep(part)
        yield part
    except OSError as error:
        raise _unwritable(root, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unwritable(root: Path, error: OSError) -> CacheError:
    return CacheError(
        f"The snapshots of the lake at {str(root)!r} cannot be written: "
        f"{error.strerror or error}. Use a directory that you may write.",
        path=str(root),
    )


def _sweep(part: Path) -> None:
    """Delete temporary directories that killed processes left behind more than a day ago."""
    for one in part.parent.glob(f"*{PART}"):
        with suppress(OSError):
            # A younger directory may be of a snapshot that another process is taking.
            if one != part and time.time() - one.stat().st_mtime > DAY:
                shutil.rmtree(one, ignore_errors=True)


def _freeze_all(settings: Settings, runs: list[RunDirectory], part: Path) -> Frozen:
    frozen: Frozen = {}
    states: dict[RunDirectory, object] = {}
    waiting = runs
    for _ in range(MAX_ROUNDS):
        for directory in waiting:
            frozen[directory] = freeze_run(settings, directory, part)
            states[directory] = _state_of(directory)
        waiting = [one for one in waiting if _state_of(one) != states[one]]
        if not waiting:
            break
        for directory in waiting:
            shutil.rmtree(frozen[directory].path)
    return frozen


def _state_of(directory: RunDirectory) -> object:
    try:
        found = directory.manifest.stat()
    except OSError:
        return None
    # A manifest is replaced by a rename, so each pull gives it another inode or time.
    return found.st_ino, found.st_mtime_ns


def _fill_catalog(root: Path, frozen: Iterable[RunDirectory]) -> None:
    """Add the runs to the snapshot's own catalog; if this fails, the first read adds them."""
    catalog = Catalog(root)
    runs = [RunDirectory(root, one.base_url, one.run) for one in frozen]
    for start in range(0, len(runs), RUNS_PER_WRITE):
        some = runs[start : start + RUNS_PER_WRITE]
        catalog.note_runs((one, read_manifest(one)) for one in some)
    catalog.mark_all_runs()


def _lack_exports(runs: tuple[RecordedRun, ...]) -> bool:
    """Return whether exports are missing, so that only packed tables have the rows of some runs."""
    return any(not digest for run in runs for digest in run.digests.values())


def _in_order(runs: list[RecordedRun]) -> tuple[RecordedRun, ...]:
    return tuple(sorted(runs, key=lambda one: (str(one.run), one.backend)))
