"""Users and their API keys; a key is kept as its digest only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import sqlite3
from dataclasses import dataclass

from runlake.server.database import Database

KEY_FORM = re.compile(r"(?:[A-Za-z0-9_]+-)?[A-Za-z0-9_-]{40,}")
NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class AccountError(Exception):
    """A user could not be added; the text says why."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an API key; the name is also the user's entity."""

    id: int
    name: str


def add_user(database: Database, name: str, api_key: str | None = None) -> str:
    """Add a user.

    Parameters
    ----------
    database : Database
        Where users are kept; a running server sees the new one at once.
    name : str
        Letters, digits, ``_.-``; becomes the entity of the user's runs.
    api_key : str, optional
        40 characters or more of ``A-Z a-z 0-9 _ -``; random if omitted.

    Returns
    -------
    str
        The API key; it is not kept and cannot be shown again.

    Raises
    ------
    AccountError
        If the name or the key is taken or malformed.
    """
    check_name(name)
    if api_key is not None and not KEY_FORM.fullmatch(api_key):
        raise AccountError("An API key has 40 or more characters of A-Z, a-z, 0-9, '_' and '-'.")
    key = api_key or secrets.token_hex(20)
    try:
        with database.transaction() as connection:
            connection.execute(
                "INSERT INTO users (name, key_hash) VALUES (?, ?)", (name, _digest(key))
            )
    except sqlite3.IntegrityError as error:
        raise AccountError(f"User {name!r}, or the API key, is there already.") from error
    return key


def check_name(name: str) -> None:
    """Raise `AccountError` unless a name may be a user's."""
    if not NAME_FORM.fullmatch(name):
        raise AccountError(f"User name {name!r} must be letters, digits, '_', '.' or '-'.")


def list_users(database: Database) -> list[str]:
    """Return the names of all users, in the order of their making."""
    return [row["name"] for row in database.rows("SELECT name FROM users ORDER BY id")]


def find_user(database: Database, authorization: str | None) -> User | None:
    """Return the user of an ``Authorization: Basic api:<key>`` header, None where it is wrong."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key = base64.b64decode(token).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
    row = database.row("SELECT id, name FROM users WHERE key_hash = ?", _digest(key))
    return User(row["id"], row["name"]) if row else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
