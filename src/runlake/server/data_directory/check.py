"""Checks a data directory and repairs it, one kind of damage after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runlake.server.data_directory.custody import (
    DATABASE,
    STORAGE,
    DirectoryError,
    hold_directory,
    make_private,
    no_removals,
    open_to_others,
)
from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.data_directory.leftovers import remove_parts, unnamed_files
from runlake.server.data_directory.lost_lines import LostLines
from runlake.server.data_directory.lost_objects import LostObjects
from runlake.server.data_directory.salvage import find_database_damage
from runlake.server.data_directory.wrong_rows import WrongRows
from runlake.server.store.database import Database
from runlake.server.store.objects import INCOMING, Storage


@dataclass(frozen=True, slots=True)
class Finding:
    """A damage that a check or a repair of a data directory found.

    Parameters
    ----------
    text : str
        What is damaged.
    outcome : str or None
        What was done about the damage; None if no repair was tried.
    is_repaired : bool
        True if a repair succeeded; False if it failed, or if no repair was tried.
    """

    text: str
    outcome: str | None
    is_repaired: bool


def check_directory(data_dir: Path) -> Iterator[Finding]:
    """Yield each damage of a data directory, which a server may use at the same time.

    If the database file itself is damaged, nothing else is checked.
    """
    # No server removes a file during the check: a file that was just replaced would seem missing.
    with no_removals(data_dir):
        is_readable = True
        for damage in find_database_damage(data_dir):
            is_readable = False
            yield Finding(damage.text, None, is_repaired=False)
        if is_readable:
            database = Database(data_dir / DATABASE)
            kinds = [*_find_in_rows_and_objects(data_dir, database, None), _find_modes(data_dir)]
            # Only if no server runs, because the unfinished files of a server are not leftovers.
            with contextlib.suppress(DirectoryError), _nobody_else(data_dir):
                kinds.append(_find_leftovers(data_dir, database))
            for damages in kinds:
                for damage in damages:
                    yield Finding(damage.text, None, is_repaired=False)


def repair_directory(data_dir: Path, backup: Path | None = None) -> Iterator[Finding]:
    """Repair and yield each damage of a data directory.

    Damage that cannot be repaired is yielded too. If the database file itself cannot be repaired,
    the repair ends there.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    backup : Path, optional
        A backup to take intact files from.

    Raises
    ------
    DirectoryError
        If a server or another command uses the directory.
    """
    for path in open_to_others(data_dir):
        yield Finding(_opened(path), "It was closed to them.", is_repaired=True)
    with hold_directory(data_dir):
        is_readable = True
        for finding in _repair(find_database_damage(data_dir)):
            is_readable = is_readable and finding.is_repaired
            yield finding
        if not is_readable:
            return
        database = Database(data_dir / DATABASE)
        for damages in _find_in_rows_and_objects(data_dir, database, backup):
            yield from _repair(damages)
        yield from _repair(_find_leftovers(data_dir, database))
        database.compact()
        database.checkpoint(is_last=True)


def _nobody_else(data_dir: Path) -> contextlib.AbstractContextManager[None]:
    return hold_directory(data_dir, is_changed=False)


def _repair(damages: Iterable[Damage]) -> Iterator[Finding]:
    # All damages are found before the first one is repaired.
    for damage in list(damages):
        try:
            yield Finding(damage.text, damage.repair(), is_repaired=True)
        except NotRepairable as error:
            yield Finding(damage.text, str(error), is_repaired=False)


def _find_in_rows_and_objects(
    data_dir: Path, database: Database, backup: Path | None
) -> list[Iterator[Damage]]:
    rows = WrongRows(data_dir, database)
    return [
        rows.find_unnamed(),
        LostObjects(data_dir, database, backup).find(),
        LostLines(database, Storage(database, data_dir / STORAGE, "", 0.0)).find(),
        rows.find(),
    ]


def _opened(path: Path) -> str:
    return f"{str(path)!r} is open to other users."


def _find_modes(data_dir: Path) -> Iterator[Damage]:
    for path in open_to_others(data_dir):
        yield Damage(_opened(path), partial(_close, data_dir))


def _close(data_dir: Path) -> str:
    make_private(data_dir)
    return "It was closed to them."


def _find_leftovers(data_dir: Path, database: Database) -> Iterator[Damage]:
    parts = list(data_dir.joinpath(STORAGE, INCOMING).glob("*"))
    if parts:
        text = f"There are parts of {len(parts):,} uploads or exports."
        yield Damage(text, partial(_remove_parts, data_dir))
    files = unnamed_files(data_dir, database)
    if files:
        n_bytes = sum(file.stat().st_size for file in files)
        text = f"There are {len(files):,} files ({n_bytes:,} bytes) that no object has."
        yield Damage(text, partial(_remove, files))


def _remove_parts(data_dir: Path) -> str:
    remove_parts(data_dir)
    return "They were removed."


def _remove(files: list[Path]) -> str:
    for file in files:
        file.unlink(missing_ok=True)
    return "They were removed."
