"""Names and paths of the packed tables of a lake."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runlake.cache.disk.dropped import packed_directory

CATALOG = "catalog.db"
NUMBERS = "numbers.db"
LOCK = "pack.lock"
NAMESPACE = "lake"

FLOATS, INTEGERS, TEXTS, DOCUMENTS = "metrics_f", "metrics_i", "metrics_s", "metrics_j"
METRICS = (FLOATS, INTEGERS, TEXTS, DOCUMENTS)
STATS, RUNS = "stats", "runs"
# The order of commits: `runs` is last, because it names the snapshots of the others.
TABLES = (*METRICS, STATS, RUNS)
HEAD = "SELECT metadata_location FROM iceberg_tables WHERE table_name = ?"


@dataclass(frozen=True, slots=True)
class PackedPlace:
    """The directory of one cache's packed tables.

    Parameters
    ----------
    root : Path
        Root of the cache.
    """

    root: Path

    @property
    def path(self) -> Path:
        """The directory that has all packed tables and their catalog."""
        return packed_directory(self.root)

    @property
    def catalog(self) -> Path:
        """The SQLite database that names the current metadata file of each table."""
        return self.path / CATALOG

    @property
    def numbers(self) -> Path:
        """The SQLite database of the run numbers that were given out."""
        return self.path / NUMBERS

    @property
    def lock(self) -> Path:
        """The file that a process locks while it changes the packed tables."""
        return self.path / LOCK

    def table(self, name: str) -> Path:
        """Return the directory of a table."""
        return self.path / name

    def data(self, name: str) -> Path:
        """Return the directory of a table's data files."""
        return self.table(name) / "data"

    def metadata(self, name: str) -> Path:
        """Return the directory of a table's metadata files."""
        return self.table(name) / "metadata"

    @property
    def is_there(self) -> bool:
        """True if packed tables were created in this directory, even if their catalog was lost."""
        return self.catalog.exists() or self.metadata(RUNS).exists()

    def head(self) -> str | None:
        """Return the path of the current metadata file of the table ``runs``; None if unknown.

        Each commit writes a new file, so the path differs after each commit. This function does not
        import pyiceberg.
        """
        if not self.catalog.exists():
            return None
        # Read-only: a reader must not create an empty catalog.
        uri = f"file:{quote(str(self.catalog))}?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as connection:
            found = connection.execute(HEAD, (RUNS,)).fetchone()
            return None if found is None else str(found[0])
        return None
