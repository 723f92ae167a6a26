"""Define `Moment`, one state of all packed tables, and `PackedFile`, a data file of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runlake.lake.packed.place import RUNS, TABLES


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A data file of a packed table.

    Parameters
    ----------
    path : str
        Path or URL of the file.
    n_rows, n_bytes : int
        Number of rows, and size in bytes.
    first_key, last_key : str or None
        Lowest and highest key in the file; None if unknown, or if the table has no keys.
    first_run, last_run : int or None
        Lowest and highest run number in the file; None if unknown.
    """

    path: str
    n_rows: int
    n_bytes: int
    first_key: str | None
    last_key: str | None
    first_run: int | None
    last_run: int | None

    def may_hold(self, key: str | None) -> bool:
        """Return whether the file can have rows of a key; None means any key."""
        if key is None or self.first_key is None or self.last_key is None:
            return True
        # Iceberg orders strings by their bytes.
        return self.first_key.encode() <= key.encode() <= self.last_key.encode()


@dataclass(frozen=True, slots=True)
class Moment:
    """One state of all packed tables: a snapshot of ``runs``, and the snapshots that it names.

    Parameters
    ----------
    ids : mapping of str to int or None
        The snapshot id of each table; None for a table without data.
    """

    ids: Mapping[str, int | None]

    @property
    def runs(self) -> int | None:
        """The snapshot id of the table ``runs``; None before the first commit."""
        return self.ids[RUNS]


NOTHING = Moment(dict.fromkeys(TABLES))
