"""SQLite in WAL mode: users, projects, runs, lines, exports, files and artifacts.

Lines wait here until they are exported: a row of a table can be written twice under the same line
index, which makes retried file-stream requests harmless, and one transaction publishes an export
and moves the boundary of the live rows.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIGRATIONS = (
    """
    CREATE TABLE users (
      id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, key_hash TEXT UNIQUE NOT NULL
    );
    CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE projects (
      id INTEGER PRIMARY KEY, entity TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (entity, name)
    );
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      project_id INTEGER NOT NULL REFERENCES projects, name TEXT NOT NULL,
      display_name TEXT, state TEXT NOT NULL, config TEXT NOT NULL DEFAULT '{}',
      summary TEXT NOT NULL DEFAULT '{}', system_metrics TEXT NOT NULL DEFAULT '{}',
      tags TEXT NOT NULL DEFAULT '[]', notes TEXT, description TEXT, group_name TEXT,
      job_type TEXT, commit_hash TEXT, host TEXT, program TEXT, repo TEXT, sweep TEXT,
      created_at REAL NOT NULL, heartbeat_at REAL NOT NULL, exit_code INTEGER,
      line_count INTEGER NOT NULL DEFAULT 0, exported_count INTEGER NOT NULL DEFAULT 0,
      last_step INTEGER NOT NULL DEFAULT -1, key_facts TEXT NOT NULL DEFAULT '{}',
      is_live_only INTEGER NOT NULL DEFAULT 0, is_stopped INTEGER NOT NULL DEFAULT 0,
      UNIQUE (project_id, name)
    );
    CREATE TABLE lines (
      run_id INTEGER NOT NULL, stream TEXT NOT NULL, position INTEGER NOT NULL,
      step INTEGER, content TEXT NOT NULL, PRIMARY KEY (run_id, stream, position)
    ) WITHOUT ROWID;
    CREATE INDEX lines_by_step ON lines (run_id, step) WHERE stream = 'history';
    CREATE TABLE exports (
      run_id INTEGER NOT NULL, position INTEGER NOT NULL, object TEXT NOT NULL,
      PRIMARY KEY (run_id, position)
    );
    CREATE TABLE objects (
      name TEXT PRIMARY KEY, md5 TEXT NOT NULL, n_bytes INTEGER NOT NULL, modified_at REAL NOT NULL
    );
    CREATE TABLE files (
      id INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER NOT NULL, name TEXT NOT NULL,
      UNIQUE (run_id, name)
    );
    CREATE TABLE artifacts (
      id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, run_name TEXT, type TEXT NOT NULL,
      collection TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, digest TEXT NOT NULL,
      description TEXT, metadata TEXT, client_id TEXT, aliases TEXT NOT NULL DEFAULT '[]',
      created_at REAL NOT NULL
    );
    """,
)


class Database:
    """Connections to one database file, one per thread.

    Parameters
    ----------
    file : Path
        Made, and brought to the newest schema, if it has to be.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._local = threading.local()
        self._migrate()

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection().execute(statement, values).fetchall()

    def row(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, None where there is none."""
        found: sqlite3.Row | None = self._connection().execute(statement, values).fetchone()
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing; acknowledged work survives the end of the process."""
        connection = self._connection()
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        connection = self._connection()
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        for version, script in enumerate(MIGRATIONS[found:], start=found + 1):
            connection.executescript(f"BEGIN;{script};PRAGMA user_version = {version};COMMIT;")
