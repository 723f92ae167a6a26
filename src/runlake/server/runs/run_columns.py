"""Names the columns of the table ``runs`` that are short enough to be read for every run."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from runlake.server.store.database import Database

# These columns can be very long; `RunStore.large_values` reads them when they are needed.
LARGE = {"config", "summary", "system_metrics", "key_facts", "config_values", "summary_values"}
KNOWN: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def small_columns(database: Database) -> str:
    """Return the names of the small columns of the table ``runs`` for a SELECT, with commas."""
    columns = KNOWN.get(database)
    if columns is None:
        rows = database.rows("SELECT name FROM pragma_table_info('runs')")
        names = (row["name"] for row in rows)
        columns = ", ".join(f"runs.{name}" for name in names if name not in LARGE)
        KNOWN[database] = columns
    return columns
