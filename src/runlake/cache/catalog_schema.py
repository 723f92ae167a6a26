"""The tables of the catalog, as migrations."""

from __future__ import annotations

# Only append migrations: a catalog's `user_version` is the number of migrations applied to it.
MIGRATIONS = (
    """
    CREATE TABLE runs (
      directory TEXT PRIMARY KEY, backend TEXT NOT NULL, entity TEXT NOT NULL,
      project TEXT NOT NULL, run_id TEXT NOT NULL, state TEXT, heartbeat_at TEXT,
      line_count INTEGER, last_step INTEGER, n_live_rows INTEGER, offered_at REAL, attrs TEXT,
      is_pinned INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX runs_by_name ON runs (entity, project, run_id);
    CREATE TABLE exports (
      file TEXT NOT NULL, directory TEXT NOT NULL, object TEXT NOT NULL, n_bytes INTEGER NOT NULL,
      n_held_bytes INTEGER NOT NULL, n_rows INTEGER NOT NULL, first_step INTEGER,
      last_step INTEGER, n_columns INTEGER NOT NULL, is_sparse INTEGER NOT NULL, dropped_at REAL,
      PRIMARY KEY (directory, file)
    ) WITHOUT ROWID;
    CREATE TABLE columns (
      file TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, type BLOB NOT NULL,
      n_nulls INTEGER, minimum REAL, maximum REAL, slice BLOB, crc32c INTEGER NOT NULL,
      PRIMARY KEY (file, name)
    ) WITHOUT ROWID;
    CREATE TABLE footers (
      file TEXT PRIMARY KEY, frame BLOB NOT NULL, crc32c INTEGER NOT NULL
    );
    """,
    # The rows of older versions are dropped; the next list of runs reads all manifests again. The
    # long columns are last, because SQLite reads a row from its start.
    """
    DROP TABLE runs;
    CREATE TABLE runs (
      directory TEXT PRIMARY KEY, backend TEXT NOT NULL, entity TEXT NOT NULL,
      project TEXT NOT NULL, run_id TEXT NOT NULL, name TEXT, state TEXT, created_at TEXT,
      heartbeat_at TEXT, grp TEXT, job_type TEXT, user TEXT, sweep TEXT, notes TEXT, tags TEXT,
      history_line_count INTEGER, last_step INTEGER, n_live_rows INTEGER, offered_at REAL,
      pulled_at REAL, is_pinned INTEGER NOT NULL, is_complete INTEGER NOT NULL,
      incomplete_reason TEXT, created_us INTEGER, heartbeat_us INTEGER,
      config TEXT, summary TEXT, attrs TEXT, exact TEXT
    );
    CREATE INDEX runs_by_name ON runs (entity, project, run_id);
    CREATE INDEX runs_by_age ON runs (entity, project, created_us, run_id);
    CREATE INDEX runs_by_creation ON runs (created_us, entity, project, run_id);
    CREATE TABLE underway (directory TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE narrow_exports (
      file TEXT PRIMARY KEY, facts BLOB NOT NULL, crc32c INTEGER NOT NULL
    );
    """,
)
