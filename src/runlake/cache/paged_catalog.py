"""Catalogs whose changes are written later: a page of runs at a time, or by another process."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from runlake.cache.catalog import Catalog, is_unusable

Change = Callable[[sqlite3.Connection], object]
# Seconds that the last write waits for other processes that write to the catalog.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.05


class PagedCatalog(Catalog):
    """A catalog that collects changes until `flush` writes them; several threads may use it.

    Parameters
    ----------
    root : Path
        Root of the cache.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._changes: list[Change] = []
        self._guard = threading.Lock()

    def flush(self, *, is_last: bool = False) -> bool:
        """Write all changes in one transaction.

        Parameters
        ----------
        is_last : bool
            What to do if other processes keep the catalog locked: True waits for them for at most
            `PATIENCE_SECONDS`, and then marks the catalog as incomplete; False does not wait. The
            changes that could not be written are kept for the next call.

        Returns
        -------
        bool
            True if the catalog has all changes.
        """
        with self._guard:
            changes, self._changes = self._changes, []
        deadline = time.monotonic() + (PATIENCE_SECONDS if is_last else 0.0)
        while changes and not super()._write(lambda connection: _make(changes, connection)):
            if time.monotonic() >= deadline or is_unusable(self._root):
                with self._guard:
                    self._changes = changes + self._changes
                if is_last:
                    self.note_stale()
                return False
            time.sleep(PAUSE_SECONDS)
        return True

    def add(self, changes: Iterable[Change]) -> None:
        """Add changes that another process has collected in a `CollectedCatalog`."""
        with self._guard:
            self._changes += changes

    def _write(self, change: Change) -> bool:
        with self._guard:
            self._changes.append(change)
        return True


class CollectedCatalog(Catalog):
    """A catalog that only collects changes; another process unpickles and writes the changes.

    Many processes on many machines would wait for each other to write one database, and on a
    network file system SQLite's locks may not work.

    Parameters
    ----------
    root : Path
        Root of the cache.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.changes: list[Change] = []

    def _write(self, change: Change) -> bool:
        self.changes.append(change)
        return True


def _make(changes: list[Change], connection: sqlite3.Connection) -> None:
    for change in changes:
        connection.execute("SAVEPOINT change")
        try:
            change(connection)
        except (OverflowError, UnicodeEncodeError):
            # The manifest of one run was edited by hand; the changes for other runs are written.
            connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")
