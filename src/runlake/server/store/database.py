"""SQLite in WAL mode: users, projects, runs, lines, exports, files and artifacts.

History lines are stored here; exported lines are compressed or dropped. The primary key of a line
contains its position in the stream, so that a repeated file-stream request overwrites lines with
equal lines. One transaction publishes an export and records that its rows are exported.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runlake.server.store.patterns import matches_pattern
from runlake.server.store.run_values import config_values, summary_values

# The integers that SQLite stores.
INTEGERS = range(-(1 << 63), 1 << 63)
# One script per schema version, applied in order; `PRAGMA user_version` says how many were applied.
# Tables whose ids leave the server use AUTOINCREMENT: the id of a deleted row is never reused, so
# that an old id cannot refer to another run or file.
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
    """
    CREATE TABLE artifact_types (
      id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL, name TEXT NOT NULL,
      created_at REAL NOT NULL, UNIQUE (project_id, name)
    );
    CREATE TABLE artifact_collections (
      id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL,
      type_id INTEGER NOT NULL REFERENCES artifact_types, name TEXT NOT NULL, description TEXT,
      created_at REAL NOT NULL, updated_at REAL, next_version INTEGER NOT NULL DEFAULT 0,
      UNIQUE (project_id, name)
    );
    CREATE TABLE artifact_versions (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      collection_id INTEGER NOT NULL REFERENCES artifact_collections, version INTEGER,
      state TEXT NOT NULL, digest TEXT NOT NULL, digest_algorithm TEXT NOT NULL, description TEXT,
      metadata TEXT, run_id INTEGER, history_step INTEGER, ttl_seconds INTEGER, commit_hash TEXT,
      distributed_id TEXT, wanted_aliases TEXT NOT NULL DEFAULT '[]',
      n_bytes INTEGER NOT NULL DEFAULT 0, n_files INTEGER NOT NULL DEFAULT 0, manifest_id INTEGER,
      created_at REAL NOT NULL, updated_at REAL
    );
    CREATE INDEX artifact_versions_by_collection ON artifact_versions (collection_id, version);
    CREATE TABLE artifact_client_ids (
      client_id TEXT PRIMARY KEY, version_id INTEGER NOT NULL REFERENCES artifact_versions
    );
    CREATE TABLE artifact_aliases (
      id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL, alias TEXT NOT NULL,
      version_id INTEGER NOT NULL REFERENCES artifact_versions, UNIQUE (collection_id, alias)
    );
    CREATE INDEX artifact_aliases_by_version ON artifact_aliases (version_id);
    CREATE TABLE artifact_tags (
      id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER, version_id INTEGER,
      name TEXT NOT NULL, UNIQUE (collection_id, name), UNIQUE (version_id, name)
    );
    CREATE TABLE artifact_runs (
      position INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
      run_id INTEGER NOT NULL, role TEXT NOT NULL, used_as TEXT, UNIQUE (run_id, role, version_id)
    );
    CREATE INDEX artifact_runs_by_version ON artifact_runs (version_id);
    CREATE TABLE artifact_manifests (
      id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, base_version_id INTEGER,
      type TEXT NOT NULL, digest TEXT, object TEXT NOT NULL
    );
    CREATE INDEX artifact_manifests_by_version ON artifact_manifests (version_id);
    CREATE TABLE artifact_files (
      version_id INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, object TEXT, ref TEXT,
      n_bytes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (version_id, name)
    ) WITHOUT ROWID;
    CREATE INDEX artifact_files_by_object ON artifact_files (object);

    INSERT INTO artifact_types (project_id, name, created_at)
      SELECT project_id, type, min(created_at) FROM artifacts GROUP BY project_id, type;
    INSERT INTO artifact_collections (project_id, type_id, name, created_at, next_version)
      SELECT a.project_id, t.id, a.collection, min(a.created_at), max(a.version) + 1
      FROM artifacts a JOIN artifact_types t ON t.project_id = a.project_id AND t.name = a.type
      GROUP BY a.project_id, a.collection;
    INSERT INTO artifact_versions (
      id, collection_id, version, state, digest, digest_algorithm, description, metadata, run_id,
      wanted_aliases, created_at
    )
      SELECT a.id, c.id, iif(a.state = 'COMMITTED', a.version, NULL), a.state, a.digest,
        'MANIFEST_MD5', a.description, a.metadata, r.id, a.aliases, a.created_at
      FROM artifacts a
      JOIN artifact_collections c ON c.project_id = a.project_id AND c.name = a.collection
      LEFT JOIN runs r ON r.project_id = a.project_id AND r.name = a.run_name;
    INSERT OR REPLACE INTO artifact_client_ids
      SELECT client_id, id FROM artifacts WHERE client_id IS NOT NULL;
    INSERT OR REPLACE INTO artifact_aliases (collection_id, alias, version_id)
      SELECT v.collection_id, j.value, v.id
      FROM artifact_versions v, json_each(v.wanted_aliases) j WHERE v.state = 'COMMITTED';
    INSERT INTO artifact_runs (version_id, run_id, role)
      SELECT id, run_id, 'logged' FROM artifact_versions WHERE run_id IS NOT NULL;
    INSERT INTO artifact_manifests (version_id, type, object)
      SELECT v.id, 'FULL', o.name FROM artifact_versions v
      JOIN objects o ON o.name = 'artifacts/' || v.id || '/wandb_manifest.json';
    INSERT INTO artifact_files (version_id, name, digest, object, n_bytes)
      SELECT v.id, substr(o.name, length('artifacts/' || v.id || '/files/') + 1), o.md5, o.name,
        o.n_bytes
      FROM artifact_versions v
      JOIN objects o ON o.name GLOB 'artifacts/' || v.id || '/files/*';
    UPDATE artifact_versions SET
      manifest_id = (
        SELECT max(m.id) FROM artifact_manifests m WHERE m.version_id = artifact_versions.id
      ),
      n_files = (SELECT count(*) FROM artifact_files f WHERE f.version_id = artifact_versions.id),
      n_bytes = (
        SELECT coalesce(sum(f.n_bytes), 0) FROM artifact_files f
        WHERE f.version_id = artifact_versions.id
      );
    DROP TABLE artifacts;
    """,
    """
    ALTER TABLE runs ADD COLUMN config_values TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE runs ADD COLUMN summary_values TEXT NOT NULL DEFAULT '{}';
    UPDATE runs SET config_values = config_values(config), summary_values = summary_values(summary);
    CREATE TRIGGER run_is_new AFTER INSERT ON runs BEGIN
      UPDATE runs SET config_values = config_values(NEW.config),
        summary_values = summary_values(NEW.summary) WHERE id = NEW.id;
    END;
    CREATE TRIGGER config_is_new AFTER UPDATE OF config ON runs BEGIN
      UPDATE runs SET config_values = config_values(NEW.config) WHERE id = NEW.id;
    END;
    CREATE TRIGGER summary_is_new AFTER UPDATE OF summary ON runs BEGIN
      UPDATE runs SET summary_values = summary_values(NEW.summary) WHERE id = NEW.id;
    END;
    CREATE INDEX runs_by_creation ON runs (project_id, created_at);
    ALTER TABLE projects ADD COLUMN created_at REAL;
    ALTER TABLE projects ADD COLUMN description TEXT;
    ALTER TABLE projects ADD COLUMN access TEXT;
    ALTER TABLE projects ADD COLUMN views TEXT;
    UPDATE projects SET created_at =
      (SELECT min(created_at) FROM runs WHERE project_id = projects.id);
    CREATE TRIGGER project_is_new AFTER INSERT ON projects BEGIN
      UPDATE projects SET created_at = (julianday('now') - 2440587.5) * 86400.0 WHERE id = NEW.id;
    END;
    CREATE TABLE sweeps (
      id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL,
      created_at REAL NOT NULL, UNIQUE (project_id, name)
    );
    INSERT INTO sweeps (project_id, name, created_at)
      SELECT project_id, sweep, min(created_at) FROM runs WHERE sweep IS NOT NULL GROUP BY 1, 2;
    CREATE TRIGGER run_is_in_sweep AFTER UPDATE OF sweep ON runs WHEN NEW.sweep IS NOT NULL BEGIN
      INSERT OR IGNORE INTO sweeps (project_id, name, created_at)
        VALUES (NEW.project_id, NEW.sweep, NEW.created_at);
    END;
    """,
    """
    ALTER TABLE artifact_collections ADD COLUMN kind TEXT NOT NULL DEFAULT 'ArtifactSequence';
    CREATE TABLE artifact_links (
      id INTEGER PRIMARY KEY AUTOINCREMENT, collection_id INTEGER NOT NULL,
      version_id INTEGER NOT NULL, version INTEGER NOT NULL, created_at REAL NOT NULL,
      UNIQUE (collection_id, version_id), UNIQUE (collection_id, version)
    );
    CREATE INDEX artifact_links_by_version ON artifact_links (version_id);
    """,
    """
    CREATE TABLE api_keys (
      id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES users,
      key_hash TEXT UNIQUE NOT NULL, created_at REAL
    );
    INSERT INTO api_keys (user_id, key_hash) SELECT id, key_hash FROM users ORDER BY id;
    CREATE TABLE named_users (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
    INSERT INTO named_users SELECT id, name FROM users;
    DROP TABLE users;
    ALTER TABLE named_users RENAME TO users;
    """,
    # The row of an object is inserted when the object is announced; the row names a file as soon as
    # the file is complete.
    """
    CREATE TABLE written_once (
      id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, file TEXT UNIQUE, md5 TEXT,
      crc32c TEXT, n_bytes INTEGER, modified_at REAL
    );
    INSERT INTO written_once (name, file, md5, n_bytes, modified_at)
      SELECT name, quoted_path(name), md5, n_bytes, modified_at FROM objects
      ORDER BY modified_at, name;
    DROP TABLE objects;
    ALTER TABLE written_once RENAME TO objects;
    CREATE VIEW named_objects (name) AS
      SELECT object FROM exports UNION ALL
      SELECT 'files/' || run_id || '/' || name FROM files UNION ALL
      SELECT object FROM artifact_files WHERE object IS NOT NULL UNION ALL
      SELECT object FROM artifact_manifests;
    INSERT OR IGNORE INTO objects (name) SELECT name FROM named_objects;
    DELETE FROM objects WHERE name NOT IN (SELECT name FROM named_objects);
    """,
    """
    ALTER TABLE runs ADD COLUMN live_bytes INTEGER NOT NULL DEFAULT 0;
    UPDATE runs SET live_bytes = (
      SELECT coalesce(sum(length(content)), 0) FROM lines WHERE run_id = runs.id
        AND stream = 'history' AND position >= exported_count
    );
    ALTER TABLE runs RENAME COLUMN is_live_only TO has_old_exports;
    CREATE INDEX runs_with_live_rows ON runs (id) WHERE exported_count < line_count;
    """,
    "ALTER TABLE api_keys ADD COLUMN prefix TEXT;",
    # Runs that were forked or rewound; the parent of a rewound run is the run itself.
    """
    CREATE TABLE branch_points (
      run_id INTEGER PRIMARY KEY, parent TEXT NOT NULL, step INTEGER NOT NULL,
      config TEXT NOT NULL
    );
    """,
    # Exported history lines; `runlake.server.runs.line_blocks` describes the two parts of a block.
    # A block without parts stands for lines that were dropped: their rows are in the export.
    """
    CREATE TABLE line_blocks (
      run_id INTEGER NOT NULL, position INTEGER NOT NULL, stop INTEGER NOT NULL,
      n_lines INTEGER NOT NULL, n_chars INTEGER NOT NULL, n_bytes INTEGER NOT NULL,
      min_step INTEGER, max_step INTEGER, crc32c INTEGER, shape BLOB, content BLOB,
      PRIMARY KEY (run_id, position)
    );
    CREATE INDEX line_blocks_by_step ON line_blocks (run_id, min_step, max_step, stop);
    """,
    # `n_changes` counts how often lines of a run were replaced or removed, or filled a gap: lines
    # that changed while they were being exported must not count as exported.
    """
    ALTER TABLE runs ADD COLUMN n_changes INTEGER NOT NULL DEFAULT 0;
    CREATE TRIGGER lines_were_removed AFTER UPDATE OF line_count ON runs
      WHEN NEW.line_count < OLD.line_count BEGIN
      UPDATE runs SET n_changes = n_changes + 1 WHERE id = NEW.id;
    END;
    """,
)
# JSON writes control characters as escapes, so this one is in no text.
SEPARATOR = "\x1e"
# Longest part of a path in `quoted_path`.
MAX_NAME = 200
# The write-ahead log is cut to this size after a checkpoint.
LOG_BYTES = 64 << 20
# This many free pages stay in the file for new lines. Other free pages are returned to the disk, a
# few at a time, so that each transaction takes only 10 ms.
FREE_PAGES = 2_000
RETURNED_PAGES, N_RETURNS = 500, 4


class NewerDatabase(sqlite3.DatabaseError):
    """The schema of a database was written by a version of runlake newer than this one."""


class Database:
    """Connections to one database file, one per thread.

    Parameters
    ----------
    file : Path
        The file. If it does not exist, it is created, readable by its owner only. If its schema is
        old, it is migrated to the newest schema.

    Raises
    ------
    NewerDatabase
        If a newer version migrated the file to a schema that is unknown to this version.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._local = threading.local()
        self._log_pages = 1000
        # SQLite gives its other files the mode of the database.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self._migrate()

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.connection().execute(statement, values).fetchall()

    def row(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query; None if the query returns no rows."""
        found: sqlite3.Row | None = self.connection().execute(statement, values).fetchone()
        return found

    def texts(self, query: str, *values: Any) -> list[str]:
        """Return the strings in the column ``value`` of a query, in any order.

        The sqlite3 module releases and takes the interpreter's lock for each row, which is slow
        while other threads want the lock. So SQLite joins all strings into one, separated by a
        character that neither JSON nor numbers contain.
        """
        joined = f"SELECT group_concat(value, char({ord(SEPARATOR)})) AS value FROM ({query})"
        try:
            row = self.row(joined, *values)
        except sqlite3.DataError:
            # The joined text would be longer than SQLite allows.
            return [row["value"] for row in self.rows(query, *values)]
        return row["value"].split(SEPARATOR) if row is not None and row["value"] is not None else []

    def each(self, statement: str, *values: Any) -> Iterator[sqlite3.Row]:
        """Yield the rows of a query one by one, for results that may not fit into memory."""
        yield from self.connection().execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction; after the block, its writes survive a power cut."""
        connection = self.connection()
        if connection.in_transaction:
            # Part of the outer transaction, which commits or rolls back everything.
            yield connection
            return
        # Takes the write lock at once: a transaction that reads first and writes later can fail
        # as busy without waiting, if another connection wrote in between.
        connection.execute("BEGIN IMMEDIATE")
        actions: list[Callable[[], None]] = []
        self._local.actions = actions
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        for act in actions:
            act()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads in the block see the database as it was at the first read."""
        connection = self.connection()
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.commit()

    def on_commit(self, act: Callable[[], None]) -> None:
        """Call a function after the present transaction is committed, but not after a rollback."""
        self._local.actions.append(act)

    def close(self) -> None:
        """Close the connection of the calling thread; a later use opens a new connection."""
        self.connection().close()
        del self._local.connection

    def leave_checkpoints(self) -> None:
        """Switch off SQLite's automatic checkpoints; from now on, the caller calls `checkpoint`.

        This has an effect on the calling thread, and on threads of this process that use the
        database for the first time afterwards.
        """
        self._log_pages = 0
        self.connection().execute(f"PRAGMA wal_autocheckpoint = {self._log_pages}")

    def checkpoint(self, *, is_last: bool = False) -> None:
        """Move commits from the write-ahead log to the database file, without blocking others.

        Parameters
        ----------
        is_last : bool
            Wait for other threads, then move every commit and empty the log.
        """
        mode = "TRUNCATE" if is_last else "PASSIVE"
        self.connection().execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def return_space(self) -> bool:
        """Give free pages of the database file back to the disk; return whether any were given.

        SQLite cannot do this for a file that an older version of runlake made; such a file keeps
        its free pages for new lines.
        """
        connection = self.connection()
        (layout,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        for at in range(N_RETURNS if layout else 0):
            (n_free,) = connection.execute("PRAGMA freelist_count").fetchone()
            if n_free <= FREE_PAGES:
                return at > 0
            n_pages = min(n_free - FREE_PAGES, RETURNED_PAGES)
            # As a script: `execute` would stop after the first page.
            connection.executescript(f"PRAGMA incremental_vacuum({n_pages})")
        return bool(layout)

    def compact(self) -> None:
        """Rewrite a file that has many free pages; nobody else may use the file meanwhile."""
        connection = self.connection()
        (n_free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        if n_free > max(FREE_PAGES, n_pages // 4):
            connection.execute("VACUUM")

    def data_version(self) -> int:
        """Return a number that changes after commits of other threads or processes."""
        return int(self.connection().execute("PRAGMA data_version").fetchone()[0])

    def generation(self) -> int:
        """Return the number that `begin_generation` returned last; 0 if it was never called."""
        row = self.row("SELECT value FROM secrets WHERE name = 'generation'")
        return int(row["value"]) if row else 0

    def begin_generation(self) -> int:
        """Increase the generation number of the database by one, and return the new number.

        `runlake.server.data_directory.custody` explains the purpose of the number.
        """
        with self.transaction() as connection:
            number = self.generation() + 1
            connection.execute(
                "INSERT OR REPLACE INTO secrets VALUES ('generation', ?)", (str(number),)
            )
        return number

    def connection(self) -> sqlite3.Connection:
        """Return the connection of the calling thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            for function in (config_values, summary_values, quoted_path):
                connection.create_function(function.__name__, 1, function, deterministic=True)
            connection.create_function("matches_pattern", 2, matches_pattern, deterministic=True)
            # Before the first table and before the log, because this sets the layout of a new file.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            # Each commit is flushed to disk, in 3 ms; NORMAL takes 0.02 ms, but then a power cut
            # loses all commits since the last checkpoint: an hour of a slow run, say.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {self._log_pages}")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        connection = self.connection()
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > len(MIGRATIONS):
            raise NewerDatabase(
                f"its database has schema {found}, and this version of runlake knows only up to "
                f"{len(MIGRATIONS)}: install the runlake that wrote it, or a newer one"
            )
        # `executescript` commits an open transaction first, so each script begins its own. The
        # version is in it, so that a crash leaves the old schema or the new one.
        for version, script in enumerate(MIGRATIONS[found:], start=found + 1):
            connection.executescript(f"BEGIN;{script};PRAGMA user_version = {version};COMMIT;")


def _roll_back(connection: sqlite3.Connection) -> None:
    # Some failures of SQLite end the transaction. A failed COMMIT leaves the transaction open, and
    # later writes would become a part of it.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def quoted_path(name: str) -> str:
    """Return the path at which older versions of runlake stored the file of an object."""
    return "/".join(map(_quoted_part, name.split("/")))


def _quoted_part(part: str) -> str:
    quoted = quote(part, safe="").replace(".", "%2E") or "%"
    if len(quoted) <= MAX_NAME:
        return quoted
    return f"{quoted[:100]}%-{hashlib.sha256(part.encode()).hexdigest()}"
