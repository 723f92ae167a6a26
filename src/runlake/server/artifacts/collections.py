"""Artifact types and collections, which group the versions of an artifact."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from runlake.server.refused import Refused
from runlake.server.store.database import Database
from runlake.server.store.ids import parse_id

MAX_NAME_LENGTH = 128
# Versions are logged to a sequence, and linked into a portfolio.
SEQUENCE = "ArtifactSequence"
PORTFOLIO = "ArtifactPortfolio"
COLLECTION = """
SELECT c.*, t.name AS type, p.entity, p.name AS project, 'READY' AS state
FROM artifact_collections c
JOIN artifact_types t ON t.id = c.type_id JOIN projects p ON p.id = c.project_id
"""
ORDERS = {
    "name": "c.name",
    "createdAt": "c.created_at",
    "created_at": "c.created_at",
    "updatedAt": "coalesce(c.updated_at, c.created_at)",
    "updated_at": "coalesce(c.updated_at, c.created_at)",
}


class CollectionStore:
    """Stores the artifact types and collections of all projects.

    Parameters
    ----------
    database : Database
        Database that contains the types and collections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def types(self, project_id: int) -> list[sqlite3.Row]:
        """Return the artifact types of a project, oldest first."""
        return self._database.rows(
            "SELECT * FROM artifact_types WHERE project_id = ? ORDER BY id", project_id
        )

    def type(self, project_id: int, name: str) -> sqlite3.Row | None:
        """Return an artifact type by its name; None if the project has no such type."""
        return self._database.row(
            "SELECT * FROM artifact_types WHERE project_id = ? AND name = ?", project_id, name
        )

    def get(self, entity: str, collection_id: str) -> sqlite3.Row:
        """Return an entity's collection by its protocol id; raise `Refused` if there is none."""
        row = None
        for kind in (SEQUENCE, PORTFOLIO):
            number = parse_id(collection_id, kind)
            where = f"{COLLECTION} WHERE c.id = ? AND c.kind = ? AND p.entity = ?"
            row = row or self._database.row(where, number, kind, entity)
        if row is None:
            raise Refused(f"artifact collection {collection_id!r} not found")
        return row

    def by_id(self, collection_id: int) -> sqlite3.Row | None:
        """Return a collection by its database id; None if there is no such collection."""
        return self._database.row(f"{COLLECTION} WHERE c.id = ?", collection_id)

    def find(self, project_id: int, name: str) -> sqlite3.Row | None:
        """Return a collection by its name; None if the project has no such collection."""
        return self._database.row(
            f"{COLLECTION} WHERE c.project_id = ? AND c.name = ?", project_id, name
        )

    def in_project(
        self, project_id: int, type_id: int | None, order: str | None
    ) -> list[sqlite3.Row]:
        """Return the collections of a project, or only those of a type; newest first by default."""
        by = order_by(order, ORDERS, default="c.id DESC")
        return self._database.rows(
            f"{COLLECTION} WHERE c.project_id = ? AND (? IS NULL OR c.type_id = ?) ORDER BY {by}",
            project_id,
            type_id,
            type_id,
        )

    def find_or_create(
        self,
        connection: sqlite3.Connection,
        project_id: int,
        name: str,
        type_name: str,
        kind: str = SEQUENCE,
    ) -> sqlite3.Row:
        """Return the collection with a name; create the collection if it does not exist.

        Raise `Refused` if the collection with this name has another artifact type, or is a
        portfolio although ``kind`` is a sequence, or the reverse.
        """
        found = self.find(project_id, name)
        if found is not None:
            if found["kind"] != kind:
                done = {SEQUENCE: "logged to", PORTFOLIO: "linked into"}
                raise Refused(
                    f"versions are {done[found['kind']]} artifact collection {name!r}, and cannot "
                    f"be {done[kind]} it"
                )
            if found["type"] != type_name:
                raise Refused(
                    f"artifact collection {name!r} has type {found['type']!r}, not {type_name!r}"
                )
            return found
        check_name(name, "artifact collection")
        type_id = self._type_id(connection, project_id, type_name)
        connection.execute(
            "INSERT INTO artifact_collections (project_id, type_id, name, created_at, kind) "
            "VALUES (?, ?, ?, ?, ?)",
            (project_id, type_id, name, time.time(), kind),
        )
        return self._existing(project_id, name)

    def rename(self, row: sqlite3.Row, name: str | None, description: str | None) -> sqlite3.Row:
        """Change the name and description of a collection; None keeps the old value."""
        new = row["name"] if name is None else name
        with self._database.transaction():
            if new != row["name"]:
                check_name(new, "artifact collection")
                if self.find(row["project_id"], new) is not None:
                    raise Refused(f"an artifact collection {new!r} exists already")
            values = (new, description)
            self._update(row, "name = ?, description = coalesce(?, description)", *values)
        return self._existing(row["project_id"], new)

    def change_type(self, row: sqlite3.Row, type_name: str) -> sqlite3.Row:
        """Move a collection to another type of its project."""
        with self._database.transaction() as connection:
            type_id = self._type_id(connection, row["project_id"], type_name)
            self._update(row, "type_id = ?", type_id)
        return self._existing(row["project_id"], row["name"])

    def delete(self, row: sqlite3.Row) -> None:
        """Delete a collection and its links; the caller must have deleted its versions before."""
        with self._database.transaction() as connection:
            for table in ("artifact_links", "artifact_aliases"):
                connection.execute(f"DELETE FROM {table} WHERE collection_id = ?", (row["id"],))
            connection.execute("DELETE FROM artifact_tags WHERE collection_id = ?", (row["id"],))
            connection.execute("DELETE FROM artifact_collections WHERE id = ?", (row["id"],))

    def aliases(self, collection_id: int) -> list[sqlite3.Row]:
        """Return all aliases in a collection."""
        return self._database.rows(
            "SELECT * FROM artifact_aliases WHERE collection_id = ? ORDER BY id", collection_id
        )

    def tags(self, column: str, owner_id: int) -> list[sqlite3.Row]:
        """Return the tags of a collection or a version.

        ``column`` is ``collection_id`` or ``version_id``; it states what ``owner_id`` is.
        """
        return self._database.rows(
            f"SELECT * FROM artifact_tags WHERE {column} = ? ORDER BY id", owner_id
        )

    def add_tags(self, column: str, owner_id: int, names: Iterable[str]) -> None:
        """Add tags to a collection or a version.

        The parameters ``column`` and ``owner_id`` are those of `tags`.
        """
        tags = list(names)
        for name in tags:
            if not re.fullmatch(r"[-\w]+( +[-\w]+)*", name) or len(name) > MAX_NAME_LENGTH:
                raise Refused(f"{name!r} cannot be a tag")
        with self._database.transaction() as connection:
            connection.executemany(
                f"INSERT OR IGNORE INTO artifact_tags ({column}, name) VALUES (?, ?)",
                [(owner_id, name) for name in tags],
            )

    def delete_tags(self, column: str, owner_id: int, names: Iterable[str]) -> None:
        """Remove tags from a collection or a version.

        The parameters ``column`` and ``owner_id`` are those of `tags`.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                f"DELETE FROM artifact_tags WHERE {column} = ? AND name = ?",
                [(owner_id, name) for name in names],
            )

    def _type_id(self, connection: sqlite3.Connection, project_id: int, name: str) -> int:
        check_name(name, "artifact type")
        connection.execute(
            "INSERT OR IGNORE INTO artifact_types (project_id, name, created_at) VALUES (?, ?, ?)",
            (project_id, name, time.time()),
        )
        found = self.type(project_id, name)
        return int(found["id"]) if found else 0

    def _update(self, row: sqlite3.Row, assignments: str, *values: Any) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE artifact_collections SET {assignments}, updated_at = ? WHERE id = ?",
                (*values, time.time(), row["id"]),
            )

    def _existing(self, project_id: int, name: str) -> sqlite3.Row:
        row = self.find(project_id, name)
        if row is None:
            raise Refused(f"artifact collection {name!r} not found")
        return row


def order_by(order: str | None, columns: dict[str, str], *, default: str) -> str:
    """Return the SQL terms after ORDER BY for an order such as ``-name`` (``-`` is descending)."""
    if not order:
        return default
    column = columns.get(order.lstrip("+-"))
    if column is None:
        raise Refused(f"artifacts cannot be ordered by {order!r}")
    direction = "DESC" if order.startswith("-") else "ASC"
    return f"{column} {direction}, {default}"


def check_name(name: str, what: str) -> None:
    """Raise `Refused` if a name cannot be part of a path."""
    if not name or len(name) > MAX_NAME_LENGTH or set("/:\0") & set(name) or name in {".", ".."}:
        raise Refused(f"{name!r} cannot be the name of an {what}")
