"""Tag the packed tables for a snapshot of a lake, so that their files do not expire."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from runlake.cache.locking.striped import file_lock
from runlake.errors import MissingExtra
from runlake.lake.packed.elsewhere import Elsewhere
from runlake.lake.packed.pack import pack
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.table import open_tables
from runlake.lake.snapshots.record import file_digest
from runlake.settings import Settings

logger = logging.getLogger("runlake.lake")
# Relative path from the root of a snapshot to the root of its lake.
TO_LAKE = Path("../../../..")


def pack_again(settings: Settings) -> None:
    """Pack the runs that were pulled since the last pack, so that the tables have all runs."""
    if not PackedPlace(settings.cache_dir).is_there:
        return
    try:
        pack(settings)
    except MissingExtra as missing:
        logger.debug("The lake is not packed: %s", missing)


def tag_tables(settings: Settings, name: str) -> dict[str, int]:
    """Tag the newest state of the packed tables, and return the Iceberg snapshot of each table.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    name : str
        Name of the snapshot of the lake, which becomes the tag.

    Returns
    -------
    dict of str to int
        Id of the Iceberg snapshot, by table; empty if there are no packed tables, or the extra
        ``lake`` is not installed.
    """
    place = PackedPlace(settings.cache_dir)
    if not place.is_there:
        return {}
    try:
        with _changing(settings, place), open_tables(place) as tables:
            # A process that was killed may have left a tag of this name.
            tables.untag(name)
            moment = tables.snapshot_ids()
            if moment.runs is None:
                return {}
            tables.tag(name, moment)
            return {table: one for table, one in moment.ids.items() if one is not None}
    except MissingExtra as missing:
        logger.debug("The packed tables are not tagged: %s", missing)
        return {}


def untag_tables(settings: Settings, name: str) -> None:
    """Remove the tag of a snapshot from the packed tables."""
    place = PackedPlace(settings.cache_dir)
    if not place.is_there:
        return
    try:
        with _changing(settings, place), open_tables(place) as tables:
            tables.untag(name)
    except MissingExtra as missing:
        logger.debug("The packed tables keep the tag %r: %s", name, missing)


def packed_digests(root: Path, tables: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 of each data file of packed tables, by the file's path in the lake.

    Parameters
    ----------
    root : Path
        Root of the lake.
    tables : mapping of str to int
        Id of the Iceberg snapshot of each table.
    """
    place = PackedPlace(root)
    with open_tables(place) as opened:
        paths = [
            place.data(table) / Path(file.path).name
            for table, snapshot in tables.items()
            for file in opened.files_of(table, snapshot)
        ]
    return {path.relative_to(root).as_posix(): file_digest(path) for path in paths}


def point_to_tables(part: Path, name: str) -> None:
    """Write a tag into a snapshot's directory.

    With this tag, the snapshot finds its rows in the packed tables of the lake.

    Parameters
    ----------
    part : Path
        The directory of the snapshot.
    name : str
        The tag.
    """
    Elsewhere(TO_LAKE, name).write(part)


def _changing(settings: Settings, place: PackedPlace) -> AbstractContextManager[object]:
    return file_lock(
        place.lock,
        place.root,
        "the packed tables",
        settings.lock_timeout,
        locking=settings.locking,
    )
