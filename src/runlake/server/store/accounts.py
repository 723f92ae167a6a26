"""Users and their API keys; only the digest of a key is stored."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import sqlite3
import time
from dataclasses import dataclass

from runlake.server.store.database import Database

KEY_FORM = re.compile(r"(?:[A-Za-z0-9_]+-)?[A-Za-z0-9_-]{40,}")
NEW_KEY = """
INSERT INTO api_keys (user_id, key_hash, created_at, prefix)
SELECT id, ?2, ?3, ?4 FROM users WHERE name = ?1
"""
STORED = """
SELECT coalesce(sum(n_bytes), 0) AS n_bytes FROM objects WHERE name IN (
  SELECT f.object FROM artifact_files f JOIN artifact_versions v ON v.id = f.version_id
  JOIN artifact_collections c ON c.id = v.collection_id JOIN projects p ON p.id = c.project_id
  WHERE p.entity = ?1
  UNION ALL
  SELECT 'files/' || f.run_id || '/' || f.name FROM files f JOIN runs r ON r.id = f.run_id
  JOIN projects p ON p.id = r.project_id WHERE p.entity = ?1
  UNION ALL
  SELECT e.object FROM exports e JOIN runs r ON r.id = e.run_id
  JOIN projects p ON p.id = r.project_id WHERE p.entity = ?1
)
"""
NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


FAILED, WRONG_USAGE = 1, 2
# Number of digest digits that make a key's id. The digest is no secret, because keys are random.
ID_DIGITS = 12
# Number of first characters of a key that are stored, so that its user recognizes the key. A key
# has at least 40 characters.
PREFIX = 8


class AccountError(Exception):
    """A user or a key cannot be added or found; the message says why.

    Parameters
    ----------
    message : str
        The text for the user.
    exit_code : int
        Exit code of a command that fails with this error.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class User:
    """A user; the name is also the user's entity."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """An API key.

    Parameters
    ----------
    number : int
        Database id of the key.
    id : str
        The first digits of the digest of the key.
    name : str
        The first characters of the key itself; the same as ``id`` if an older version of runlake
        added the key.
    user : str
        Name of the user who owns the key.
    created : str or None
        Time in UTC when the key was created, as ``YYYY-MM-DD HH:MM:SS``; None if it is unknown.
    """

    number: int
    id: str
    name: str
    user: str
    created: str | None


def add_user(database: Database, name: str, api_key: str | None = None) -> str:
    """Add a user, and return an API key for the user.

    Parameters
    ----------
    database : Database
        The database. A server that is running on it accepts the new user immediately.
    name : str
        Letters, digits, ``_.-``. The name becomes the entity of the user's runs.
    api_key : str, optional
        40 characters or more of ``A-Z a-z 0-9 _ -``. If omitted, a random key is made.

    Returns
    -------
    str
        The API key; it is not stored and cannot be shown again.

    Raises
    ------
    AccountError
        If the name or the key is taken or malformed.
    """
    check_name(name)
    if api_key is not None and not KEY_FORM.fullmatch(api_key):
        raise AccountError(
            "An API key has 40 or more characters of A-Z, a-z, 0-9, '_' and '-'.", WRONG_USAGE
        )
    # 40 characters, because the SDK refuses shorter keys.
    key = api_key or secrets.token_hex(20)
    try:
        with database.transaction() as connection:
            connection.execute("INSERT INTO users (name) VALUES (?)", (name,))
            connection.execute(NEW_KEY, (name, _digest(key), time.time(), key[:PREFIX]))
    except sqlite3.IntegrityError as error:
        raise AccountError(f"User {name!r}, or the API key, exists already.") from error
    return key


def add_key(database: Database, name: str) -> str:
    """Create and return another key for a user; raise `AccountError` if there is no such user."""
    key = secrets.token_hex(20)
    with database.transaction() as connection:
        _check_user(database, name)
        connection.execute(NEW_KEY, (name, _digest(key), time.time(), key[:PREFIX]))
    return key


def list_keys(database: Database, name: str | None = None) -> list[Key]:
    """Return the keys of a user, or of all users, oldest first."""
    if name is not None:
        _check_user(database, name)
    rows = database.rows(
        f"SELECT api_keys.id AS number, substr(key_hash, 1, {ID_DIGITS}) AS id, prefix, "
        "users.name AS user, datetime(created_at, 'unixepoch') AS created "
        "FROM api_keys JOIN users ON users.id = user_id ORDER BY api_keys.id"
    )
    keys = [
        Key(row["number"], row["id"], row["prefix"] or row["id"], row["user"], row["created"])
        for row in rows
    ]
    return [key for key in keys if name in {None, key.user}]


def revoke_key(database: Database, key: str) -> Key:
    """Revoke a key; a running server refuses the key immediately.

    Parameters
    ----------
    database : Database
        Contains the keys.
    key : str
        The id of the key, or the key itself.

    Returns
    -------
    Key
        The revoked key.

    Raises
    ------
    AccountError
        If there is no such key.
    """
    ids = {key, _digest(key)[:ID_DIGITS]}
    with database.transaction() as connection:
        for known in list_keys(database):
            if known.id in ids:
                connection.execute(
                    f"DELETE FROM api_keys WHERE substr(key_hash, 1, {ID_DIGITS}) = ?", (known.id,)
                )
                return known
    raise AccountError("There is no such key; 'runlake server key list' prints their ids.")


def _check_user(database: Database, name: str) -> None:
    names = list_users(database)
    if name not in names:
        raise AccountError(f"There is no user {name!r}; there are: {', '.join(names)}.")


def check_name(name: str) -> None:
    """Raise `AccountError` if a name is not allowed as a user name."""
    if not NAME_FORM.fullmatch(name):
        raise AccountError(
            f"User name {name!r} must be letters, digits, '_', '.' or '-'.", WRONG_USAGE
        )


def list_users(database: Database) -> list[str]:
    """Return the names of all users, oldest first."""
    return [row["name"] for row in database.rows("SELECT name FROM users ORDER BY id")]


def stored_bytes(database: Database, entity: str) -> int:
    """Return the total bytes of an entity's run files, artifact files and exports."""
    row = database.row(STORED, entity)
    return int(row["n_bytes"]) if row else 0


def find_user(database: Database, authorization: str | None) -> User | None:
    """Return the user of an ``Authorization: Basic api:<key>`` header; None for a wrong key."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key = base64.b64decode(token).decode().partition(":")[2]
    except ValueError:
        return None
    return user_of_key(database, key)


def user_of_key(database: Database, key: str) -> User | None:
    """Return the user of an API key; None for a wrong key."""
    row = database.row(
        "SELECT users.id, name FROM api_keys JOIN users ON users.id = user_id WHERE key_hash = ?",
        _digest(key),
    )
    return User(row["id"], row["name"]) if row else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
