"""`Moment`: one state of all packed tables, and `PackedFile`, a data file of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runlake.lake.packed.place import RUNS, TABLES


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A data file of a table.

    Parameters
    ----------
    path : str
        Its path.
    n_rows, n_bytes : int
        Rows, and length.
    first_key, last_key : str or None
        Lowest and highest key in it; None if unknown, or if the table has no keys.
    first_run, last_run : int or None
        Lowest and highest number of a run in it.
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
        # Iceberg orders texts by their bytes.
        return self.first_key.encode() <= key.encode() <= self.last_key.encode()


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of the lake: a snapshot of ``runs``, and those of the other tables it names.

    Parameters
    ----------
    ids : mapping of str to int or None
        The snapshot of each table; None for a table without data.
    """

    ids: Mapping[str, int | None]

    @property
    def runs(self) -> int | None:
        """The snapshot of ``runs``; None before the first commit."""
        return self.ids[RUNS]


NOTHING = Moment(dict.fromkeys(TABLES))
