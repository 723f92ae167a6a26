"""Stores artifact versions: creates, commits, changes, links and deletes versions."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runlake.server.artifacts.collections import (
    PORTFOLIO,
    SEQUENCE,
    CollectionStore,
    check_name,
    order_by,
)
from runlake.server.artifacts.contents import ArtifactContents
from runlake.server.refused import Refused
from runlake.server.store.database import Database
from runlake.server.store.ids import parse_id
from runlake.server.store.objects import Storage

VERSION = """
SELECT v.*, c.name AS collection, c.project_id, t.name AS type, p.entity, p.name AS project
FROM artifact_versions v
JOIN artifact_collections c ON c.id = v.collection_id
JOIN artifact_types t ON t.id = c.type_id JOIN projects p ON p.id = c.project_id
"""
# Queries for a version as a member of a collection: its own collection, or one it is linked to.
MEMBERS = {
    kind: VERSION.replace(
        "SELECT v.*",
        "SELECT v.*, m.collection_id AS member_of, m.version AS member_version, "
        "m.created_at AS joined_at",
    )
    + f"JOIN {table} m ON m.{key} = v.id "
    for kind, table, key in (
        (SEQUENCE, "artifact_versions", "id"),
        (PORTFOLIO, "artifact_links", "version_id"),
    )
}
ORDERS = {
    "createdAt": "v.created_at",
    "created_at": "v.created_at",
    "updatedAt": "coalesce(v.updated_at, v.created_at)",
    "updated_at": "coalesce(v.updated_at, v.created_at)",
    "versionIndex": "m.version",
    "version_index": "m.version",
    "version": "m.version",
    "size": "v.n_bytes",
}
# The SDK sends this number for "the default of the project".
INHERITED_TTL = -1
# A region that W&B's own servers for tests have.
REGIONS = ("minio-local",)


class ArtifactStore:
    """Stores all artifact versions of a server.

    Parameters
    ----------
    database : Database
        Contains the versions, their aliases and their states.
    storage : Storage
        Contains the files and manifests.
    regions : collection of str
        Names of the storage regions that the creator of an artifact may request. All names stand
        for the storage of this server.
    """

    def __init__(
        self, database: Database, storage: Storage, regions: Collection[str] = REGIONS
    ) -> None:
        self._database = database
        self._regions = {"", "default", *regions}
        self.collections = CollectionStore(database)
        self.contents = ArtifactContents(database, storage)

    def get(self, entity: str, artifact_id: str) -> sqlite3.Row:
        """Return a version, deleted or not; raise `Refused` if the entity has no such version."""
        row = self._row(parse_id(artifact_id, "Artifact"))
        if row is None or row["entity"] != entity:
            raise Refused(f"artifact {artifact_id!r} not found")
        return row

    def get_live(self, entity: str, artifact_id: str) -> sqlite3.Row:
        """Return a version like `get`, but raise `Refused` if the version was deleted."""
        row = self.get(entity, artifact_id)
        if row["state"] == "DELETED":
            raise Refused(f"artifact {row['collection']}:v{row['version']} was deleted")
        return row

    def by_client_id(self, entity: str, client_id: str) -> sqlite3.Row | None:
        """Return the version that has a client's own id (``clientID``); None if there is none."""
        return self._database.row(
            f"{VERSION} JOIN artifact_client_ids i ON i.version_id = v.id "
            "WHERE i.client_id = ? AND p.entity = ?",
            client_id,
            entity,
        )

    def by_name(self, project_id: int, name: str) -> sqlite3.Row | None:
        """Return the committed version that ``collection:alias`` names; None if there is none.

        A missing alias means ``latest``.
        """
        collection_name, _, alias = name.partition(":")
        collection = self.collections.find(project_id, collection_name)
        return self.by_alias(collection, alias or "latest") if collection else None

    def by_alias(self, collection: sqlite3.Row, alias: str) -> sqlite3.Row | None:
        """Return a collection's committed version with an alias or ``vN``; None if not found."""
        # 18 digits fit into the 64 bits of SQLite's integers.
        numbered = re.fullmatch(r"v(\d{1,18})", alias)
        return self._database.row(
            f"{MEMBERS[collection['kind']]} WHERE m.collection_id = ? AND v.state = 'COMMITTED' "
            "AND (m.version = ? OR v.id = (SELECT version_id FROM artifact_aliases "
            "WHERE collection_id = m.collection_id AND alias = ?))",
            collection["id"],
            int(numbered[1]) if numbered else None,
            alias,
        )

    def memberships(self, version_id: int) -> list[sqlite3.Row]:
        """Return a version's row in each collection that contains the version.

        The row in its sequence is the first; the rows in portfolios follow.
        """
        return [
            row
            for members in MEMBERS.values()
            for row in self._database.rows(f"{members} WHERE v.id = ? ORDER BY m.id", version_id)
        ]

    def latest(self, collection_id: int) -> sqlite3.Row | None:
        """Return the committed version that has the highest number in a collection."""
        return self._database.row(
            f"{VERSION} WHERE v.collection_id = ? AND v.state = 'COMMITTED' "
            "ORDER BY v.version DESC LIMIT 1",
            collection_id,
        )

    def in_collection(
        self, collection: sqlite3.Row, state: str, order: str | None
    ) -> list[sqlite3.Row]:
        """Return the versions of a collection that have a given state, newest first by default."""
        by = order_by(order, ORDERS, default="m.version DESC, m.id DESC")
        return self._database.rows(
            f"{MEMBERS[collection['kind']]} WHERE m.collection_id = ? AND v.state = ? "
            f"ORDER BY {by}",
            collection["id"],
            state,
        )

    def of_run(self, run_id: int, role: str) -> list[sqlite3.Row]:
        """Return the committed versions that a run logged, or those that it used; earliest first.

        ``role`` is "logged" or "used".
        """
        return self._database.rows(
            f"{VERSION} JOIN artifact_runs r ON r.version_id = v.id "
            "WHERE r.run_id = ? AND r.role = ? AND v.state = 'COMMITTED' ORDER BY r.position",
            run_id,
            role,
        )

    def users(self, version_id: int) -> list[int]:
        """Return the database ids of the runs that used a version, earliest use first."""
        rows = self._database.rows(
            "SELECT run_id FROM artifact_runs WHERE version_id = ? AND role = 'used' "
            "ORDER BY position",
            version_id,
        )
        return [row["run_id"] for row in rows]

    def aliases(self, version_id: int, collection_id: int | None = None) -> list[sqlite3.Row]:
        """Return the aliases of a version, in all collections or in a single collection."""
        return self._database.rows(
            "SELECT * FROM artifact_aliases WHERE version_id = ? "
            "AND (? IS NULL OR collection_id = ?) ORDER BY id",
            version_id,
            collection_id,
            collection_id,
        )

    def create(
        self, project: sqlite3.Row, run: sqlite3.Row | None, given: Mapping[str, Any]
    ) -> sqlite3.Row:
        """Create a pending version, or return an existing version with the same content.

        Parameters
        ----------
        project : Row
            The project of the collection; the collection is created if it does not exist.
        run : Row or None
            The run that logs the version.
        given : mapping
            The fields of ``CreateArtifactInput`` that are not null.
        """
        names = given.get("artifactCollectionNames") or [given.get("artifactCollectionName")]
        if names[0] is None:
            raise Refused("an artifact needs the name of a collection")
        if given.get("storageRegion", "") not in self._regions:
            raise Refused(f"invalid storageRegion: {given['storageRegion']}")
        aliases = [alias["alias"] for alias in given.get("aliases") or []]
        _check_aliases(aliases)
        with self._database.transaction() as connection:
            collection = self.collections.find_or_create(
                connection, project["id"], names[0], given["artifactTypeName"]
            )
            same = self._same_content(collection["id"], given)
            version_id = same["id"] if same else self._insert(connection, collection, run, given)
            if same and same["state"] == "COMMITTED":
                self._set_aliases(connection, same, aliases)
            # Another worker of a distributed job; the aliases of all workers are set at the commit.
            elif same:
                wanted = json.dumps(sorted({*json.loads(same["wanted_aliases"]), *aliases}))
                connection.execute(
                    "UPDATE artifact_versions SET wanted_aliases = ? WHERE id = ?",
                    (wanted, version_id),
                )
            tags = (tag["tagName"] for tag in given.get("tags") or [])
            self.collections.add_tags("version_id", version_id, tags)
            if run is not None:
                self._link(connection, version_id, run["id"], "logged", None)
            if given.get("clientID"):
                connection.execute(
                    "INSERT OR REPLACE INTO artifact_client_ids VALUES (?, ?)",
                    (given["clientID"], version_id),
                )
        return self._existing(version_id)

    def _same_content(self, collection_id: int, given: Mapping[str, Any]) -> sqlite3.Row | None:
        """Return an existing version to use instead of a new version; None if there is none.

        If the client sends a ``distributedID``, this is the pending version with the same one.
        Otherwise, if the client allows this, it is a committed version with the same digest.
        """
        # The workers of a distributed job fill one version together.
        if given.get("distributedID"):
            return self._database.row(
                "SELECT * FROM artifact_versions WHERE collection_id = ? AND state = 'PENDING' "
                "AND distributed_id = ?",
                collection_id,
                given["distributedID"],
            )
        if not given.get("enableDigestDeduplication"):
            return None
        return self._database.row(
            "SELECT * FROM artifact_versions WHERE collection_id = ? AND digest = ? "
            "AND state = 'COMMITTED' ORDER BY version DESC",
            collection_id,
            given["digest"],
        )

    def _insert(
        self,
        connection: sqlite3.Connection,
        collection: sqlite3.Row,
        run: sqlite3.Row | None,
        given: Mapping[str, Any],
    ) -> int:
        values = {
            "collection_id": collection["id"],
            "state": "PENDING",
            "digest": given["digest"],
            "digest_algorithm": given.get("digestAlgorithm") or "MANIFEST_MD5",
            "description": given.get("description"),
            "metadata": given.get("metadata"),
            "run_id": run["id"] if run else None,
            "history_step": given.get("historyStep"),
            "ttl_seconds": _ttl(given.get("ttlDurationSeconds")),
            "distributed_id": given.get("distributedID"),
            "wanted_aliases": json.dumps([a["alias"] for a in given.get("aliases") or []]),
            "created_at": time.time(),
        }
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        cursor = connection.execute(
            f"INSERT INTO artifact_versions ({columns}) VALUES ({marks})", tuple(values.values())
        )
        return cursor.lastrowid or 0

    def commit(self, row: sqlite3.Row) -> sqlite3.Row:
        """Commit a version: number it and give it the aliases that were requested for it."""
        if row["state"] == "COMMITTED":
            return row
        if row["state"] == "DELETED":
            raise Refused("the artifact was deleted")
        # Outside of the transaction, because a large manifest takes long to read.
        manifest_id, manifest = self.contents.merged_manifest(row)
        with self._database.transaction() as connection:
            self.contents.publish(row, manifest_id, manifest)
            collection_id = row["collection_id"]
            numbered = connection.execute(
                "UPDATE artifact_versions SET state = 'COMMITTED', commit_hash = ?, version = "
                "(SELECT next_version FROM artifact_collections WHERE id = ?) "
                "WHERE id = ? AND state = 'PENDING'",
                (secrets.token_hex(10), collection_id, row["id"]),
            ).rowcount
            # Of two commits at the same time, only the first finds the version pending.
            if numbered:
                connection.execute(
                    "UPDATE artifact_collections SET next_version = next_version + 1, "
                    "updated_at = ? WHERE id = ?",
                    (time.time(), collection_id),
                )
                self._set_aliases(connection, row, json.loads(row["wanted_aliases"]))
        return self._existing(row["id"])

    def update(self, row: sqlite3.Row, given: Mapping[str, Any]) -> sqlite3.Row:
        """Change a version, and return its new row.

        Parameters
        ----------
        row : Row
            The version.
        given : mapping
            The fields of ``UpdateArtifactInput`` that are not null.
        """
        changes: dict[str, Any] = {"updated_at": time.time()}
        changes |= {key: given[key] for key in ("description", "metadata") if key in given}
        if "ttlDurationSeconds" in given:
            changes["ttl_seconds"] = _ttl(given["ttlDurationSeconds"])
        assignments = ", ".join(f"{column} = ?" for column in changes)
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE artifact_versions SET {assignments} WHERE id = ?",
                (*changes.values(), row["id"]),
            )
            if "aliases" in given:
                connection.execute(
                    "DELETE FROM artifact_aliases WHERE version_id = ? AND collection_id = ?",
                    (row["id"], row["collection_id"]),
                )
                self._set_aliases(connection, row, [a["alias"] for a in given["aliases"]])
            added = (tag["tagName"] for tag in given.get("tagsToAdd") or [])
            self.collections.add_tags("version_id", row["id"], added)
            taken = (tag["tagName"] for tag in given.get("tagsToDelete") or [])
            self.collections.delete_tags("version_id", row["id"], taken)
        return self._existing(row["id"])

    def add_aliases(self, row: sqlite3.Row, aliases: Iterable[tuple[int, str]]) -> None:
        """Give aliases to a version; other versions in the same collections lose these aliases.

        Each alias is a pair: the database id of a collection, and the alias in this collection.
        """
        with self._database.transaction() as connection:
            for collection_id, alias in aliases:
                self._set_aliases(connection, row, [alias], collection_id)

    def delete_aliases(self, row: sqlite3.Row, aliases: Iterable[tuple[int, str]]) -> None:
        """Remove aliases from a version.

        Each alias is a pair: the database id of a collection, and the alias in this collection.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM artifact_aliases WHERE version_id = ? AND collection_id = ? "
                "AND alias = ?",
                [(row["id"], *alias) for alias in aliases],
            )

    def link(
        self, row: sqlite3.Row, project: sqlite3.Row, name: str, aliases: Iterable[str]
    ) -> sqlite3.Row:
        """Link a version into a portfolio, and return the row of the version in this portfolio.

        The portfolio is created if it does not exist.
        """
        with self._database.transaction() as connection:
            portfolio = self.collections.find_or_create(
                connection, project["id"], name, row["type"], PORTFOLIO
            )
            given = list(aliases)
            number = portfolio["next_version"]
            is_new = connection.execute(
                "INSERT OR IGNORE INTO artifact_links "
                "(collection_id, version_id, version, created_at) VALUES (?, ?, ?, ?)",
                (portfolio["id"], row["id"], number, time.time()),
            ).rowcount
            if is_new:
                # `latest` is the version that was linked last.
                given.append("latest")
                connection.execute(
                    "UPDATE artifact_collections SET next_version = next_version + 1, "
                    "updated_at = ? WHERE id = ?",
                    (time.time(), portfolio["id"]),
                )
            self._set_aliases(connection, row, given, portfolio["id"])
        members = self.memberships(row["id"])
        return next(member for member in members if member["member_of"] == portfolio["id"])

    def unlink(self, row: sqlite3.Row, portfolio: sqlite3.Row) -> None:
        """Remove a version and its aliases from a portfolio."""
        with self._database.transaction() as connection:
            place = (row["id"], portfolio["id"])
            where = "WHERE version_id = ? AND collection_id = ?"
            if not connection.execute(f"DELETE FROM artifact_links {where}", place).rowcount:
                raise Refused(f"the artifact is not linked into {portfolio['name']!r}")
            connection.execute(f"DELETE FROM artifact_aliases {where}", place)

    def use(self, row: sqlite3.Row, run: sqlite3.Row, used_as: str | None) -> None:
        """Record that a run used a version."""
        with self._database.transaction() as connection:
            self._link(connection, row["id"], run["id"], "used", used_as)

    def delete(self, row: sqlite3.Row, *, delete_aliases: bool) -> sqlite3.Row:
        """Delete a version, and the files that no other version contains.

        The number of the version is not used again.
        """
        aliases = [alias["alias"] for alias in self.aliases(row["id"])]
        if aliases and not delete_aliases:
            raise Refused(
                f"artifact {row['collection']}:v{row['version']} has the aliases {aliases}; "
                "delete them too (deleteAliases), or move them first"
            )
        with self._database.transaction() as connection:
            for table in ("artifact_aliases", "artifact_tags", "artifact_runs", "artifact_links"):
                connection.execute(f"DELETE FROM {table} WHERE version_id = ?", (row["id"],))
            connection.execute(
                # The row stays, so that the number is not used again.
                "UPDATE artifact_versions SET state = 'DELETED', manifest_id = NULL, "
                "updated_at = ? WHERE id = ?",
                (time.time(), row["id"]),
            )
            self.contents.release(row["id"])
        return self._existing(row["id"])

    def delete_collection(self, collection: sqlite3.Row) -> None:
        """Delete a collection with all its versions and aliases."""
        with self._database.transaction() as connection:
            for row in self._database.rows(
                f"{VERSION} WHERE v.collection_id = ?", collection["id"]
            ):
                self.delete(row, delete_aliases=True)
                connection.execute(
                    "DELETE FROM artifact_client_ids WHERE version_id = ?", (row["id"],)
                )
                connection.execute("DELETE FROM artifact_versions WHERE id = ?", (row["id"],))
            self.collections.delete(collection)

    def forget_run(self, run_id: int, *, delete: bool) -> None:
        """Unlink a run from all versions; with ``delete``, delete the versions that it created.

        A version that another run created is kept, even if this run logged the same content.
        """
        with self._database.transaction() as connection:
            if delete:
                for row in self._database.rows(
                    f"{VERSION} WHERE v.run_id = ? AND v.state != 'DELETED'", run_id
                ):
                    self.delete(row, delete_aliases=True)
            connection.execute("DELETE FROM artifact_runs WHERE run_id = ?", (run_id,))
            connection.execute(
                "UPDATE artifact_versions SET run_id = NULL WHERE run_id = ?", (run_id,)
            )

    def _set_aliases(
        self,
        connection: sqlite3.Connection,
        row: sqlite3.Row,
        aliases: list[str],
        collection_id: int | None = None,
    ) -> None:
        _check_aliases(aliases)
        place = row["collection_id"] if collection_id is None else collection_id
        connection.executemany(
            "INSERT INTO artifact_aliases (collection_id, alias, version_id) VALUES (?, ?, ?) "
            "ON CONFLICT (collection_id, alias) DO UPDATE SET version_id = excluded.version_id",
            [(place, alias, row["id"]) for alias in aliases],
        )

    def _link(
        self,
        connection: sqlite3.Connection,
        version_id: int,
        run_id: int,
        role: str,
        used_as: str | None,
    ) -> None:
        connection.execute(
            "INSERT INTO artifact_runs (version_id, run_id, role, used_as) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (run_id, role, version_id) DO UPDATE SET used_as = excluded.used_as",
            (version_id, run_id, role, used_as),
        )

    def _row(self, version_id: int | None) -> sqlite3.Row | None:
        return self._database.row(f"{VERSION} WHERE v.id = ?", version_id)

    def _existing(self, version_id: int) -> sqlite3.Row:
        row = self._row(version_id)
        if row is None:
            raise Refused("the artifact was deleted")
        return row


def _check_aliases(aliases: Iterable[str]) -> None:
    for alias in aliases:
        check_name(alias, "artifact alias")
        if re.fullmatch(r"v\d+", alias):
            raise Refused(f"the alias {alias!r} is kept for the version of that number")


def _ttl(seconds: int | None) -> int | None:
    return None if seconds is None or seconds == INHERITED_TTL else seconds
