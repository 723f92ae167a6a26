"""Finds damage of the database file, and copies all readable rows to a new database file."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from runlake.server.data_directory.custody import (
    DATABASE,
    DirectoryError,
    check_nothing_lost,
    check_schema,
    write_generation,
)
from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.store.database import MIGRATIONS, Database

MAX_PROBLEMS = 100


def find_database_damage(data_dir: Path) -> Iterator[Damage]:
    """Yield the damage of the database file, if there is any.

    If this damage cannot be repaired, other damage cannot be repaired either.
    """
    file = data_dir / DATABASE
    if not file.is_file() or not file.stat().st_size:
        yield Damage(f"The database {DATABASE!r} is missing or empty.", _give_up)
        return
    problems = _problems(file)
    if problems:
        text = f"The database {DATABASE!r} is damaged: {problems[0]}"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield Damage(f"{text}{more}.", partial(_repair, data_dir))
        return
    check_schema(data_dir)
    try:
        check_nothing_lost(data_dir)
    except (DirectoryError, sqlite3.Error) as error:
        yield Damage(str(error), partial(_accept, data_dir))


def _give_up() -> str:
    raise NotRepairable("Restore a backup with 'runlake server restore'.")


def _problems(file: Path) -> list[str]:
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as database:
            rows = database.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [" ".join(row[0].split()) for row in rows if row[0] != "ok"]


def _accept(data_dir: Path) -> str:
    try:
        number = Database(data_dir / DATABASE).generation()
    except sqlite3.Error as error:
        raise NotRepairable("Restore a backup with 'runlake server restore'.") from error
    write_generation(data_dir, number)
    return "Accepted: what the lost commits contained is gone."


def _repair(data_dir: Path) -> str:
    file = data_dir / DATABASE
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("REINDEX")
        if not _problems(file):
            return "Its indexes were built again."
    aside = data_dir / f".{DATABASE}.part"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{aside}{suffix}").unlink(missing_ok=True)
    try:
        unread = _copy_rows(file, aside)
    except sqlite3.Error as error:
        raise NotRepairable("Restore a backup with 'runlake server restore'.") from error
    damaged = data_dir / time.strftime(f"{DATABASE}.damaged-%Y%m%dT%H%M%SZ", time.gmtime())
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{file}{suffix}").rename(f"{damaged}{suffix}")
    aside.replace(file)
    write_generation(data_dir, Database(file).generation())
    lost = f" Some rows of {', '.join(unread)} may be lost." if unread else ""
    return f"Its readable rows were copied to a new one; {damaged.name!r} is the old one.{lost}"


def _copy_rows(source: Path, target: Path) -> list[str]:
    """Copy all readable rows to a new database; return the names of tables with unreadable rows."""
    Database(target).close()
    with (
        contextlib.closing(sqlite3.connect(source)) as old,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as new,
    ):
        (schema,) = old.execute("PRAGMA user_version").fetchone()
        if schema != len(MIGRATIONS):
            raise sqlite3.DatabaseError("a schema of another version")
        triggers = new.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        known = triggers.fetchall()
        new.execute("BEGIN")
        # Triggers would change the copied rows: a project would get the present time, for example.
        for name, _ in known:
            new.execute(f"DROP TRIGGER {name}")
        tables = [
            name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        unread = [name for name in tables if not _copy_table(old, new, name)]
        for _, script in known:
            new.execute(script)
        new.execute("COMMIT")
        # In this mode all rows are in one file, which can be renamed; there is no write-ahead log.
        new.execute("PRAGMA journal_mode = DELETE").fetchall()
    return unread


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Copy the readable rows of a table; return whether all rows were copied.

    Rows are copied from the first one on. If a row cannot be read, rows are copied from the last
    one backwards as well, until a row cannot be read.
    """
    columns = new.execute(f"PRAGMA table_info({table})").fetchall()
    keys = [column[1] for column in sorted(columns, key=lambda c: c[5]) if column[5]]
    with contextlib.suppress(sqlite3.OperationalError):
        # Read in the order of the table itself, because an index may be damaged. A table without a
        # rowid is itself an index.
        new.execute(f"SELECT rowid FROM {table} LIMIT 0")
        keys = ["rowid"]
    new.execute(f"DELETE FROM {table}")
    marks = ", ".join("?" for _ in columns)
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        try:
            for row in old.execute(f"SELECT * FROM {table} ORDER BY {order}"):
                new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
        except sqlite3.DatabaseError:
            continue
        return True
    return False
