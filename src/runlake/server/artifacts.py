"""Artifacts as runs write them: a version is pending until it is committed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from runlake.server.database import Database
from runlake.server.runs import Refused, make_id, parse_id
from runlake.server.storage import Storage


class ArtifactStore:
    """All artifacts of a server.

    Parameters
    ----------
    database : Database
        Versions, aliases and states.
    storage : Storage
        Files and manifests.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def get(self, entity: str, artifact_id: str) -> sqlite3.Row:
        """Return an artifact that the entity owns."""
        row = self._database.row(
            "SELECT artifacts.*, entity FROM artifacts JOIN projects ON projects.id = project_id "
            "WHERE artifacts.id = ?",
            parse_id(artifact_id, "Artifact"),
        )
        if row is None or row["entity"] != entity:
            raise Refused(f"artifact {artifact_id!r} not found")
        return row

    def by_client_id(self, client_id: str) -> sqlite3.Row | None:
        """Return the artifact that a client named before it had an id."""
        return self._database.row("SELECT * FROM artifacts WHERE client_id = ?", client_id)

    def by_name(self, project_id: int, name: str) -> sqlite3.Row | None:
        """Return the committed version that ``collection:alias`` or ``collection:vN`` names."""
        collection, _, alias = name.partition(":")
        for row in self._database.rows(
            "SELECT * FROM artifacts WHERE project_id = ? AND collection = ? "
            "AND state = 'COMMITTED' ORDER BY version DESC",
            project_id,
            collection,
        ):
            if alias in {f"v{row['version']}", *json.loads(row["aliases"])}:
                return row
        return None

    def latest(self, row: sqlite3.Row) -> sqlite3.Row | None:
        """Return the newest committed version of an artifact's collection."""
        return self._database.row(
            "SELECT * FROM artifacts WHERE project_id = ? AND collection = ? "
            "AND state = 'COMMITTED' ORDER BY version DESC LIMIT 1",
            row["project_id"],
            row["collection"],
        )

    def create(self, entity: str, given: Mapping[str, Any]) -> sqlite3.Row:
        """Return a pending version, or the committed one with the same content."""
        project = given["projectName"]
        collection = given.get("artifactCollectionName") or given["artifactCollectionNames"][0]
        aliases = [alias["alias"] for alias in given.get("aliases") or []]
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO projects (entity, name) VALUES (?, ?)", (entity, project)
            )
            project_id = connection.execute(
                "SELECT id FROM projects WHERE entity = ? AND name = ?", (entity, project)
            ).fetchone()["id"]
            same = connection.execute(
                "SELECT id FROM artifacts WHERE project_id = ? AND collection = ? AND digest = ? "
                "AND state = 'COMMITTED' ORDER BY version DESC",
                (project_id, collection, given["digest"]),
            ).fetchone()
            if same and given.get("enableDigestDeduplication"):
                return self.get(entity, make_id("Artifact", same["id"]))
            cursor = connection.execute(
                "INSERT INTO artifacts (project_id, run_name, type, collection, version, state, "
                "digest, description, metadata, client_id, aliases, created_at) "
                "SELECT ?, ?, ?, ?, coalesce(max(version) + 1, 0), 'PENDING', ?, ?, ?, ?, ?, ? "
                "FROM artifacts WHERE project_id = ? AND collection = ?",
                (
                    project_id,
                    given.get("runName"),
                    given["artifactTypeName"],
                    collection,
                    given["digest"],
                    given.get("description"),
                    given.get("metadata"),
                    given.get("clientID"),
                    json.dumps(aliases),
                    time.time(),
                    project_id,
                    collection,
                ),
            )
        return self.get(entity, make_id("Artifact", cursor.lastrowid or 0))

    def commit(self, entity: str, artifact_id: str) -> sqlite3.Row:
        """Make a version readable; its aliases leave the versions that had them."""
        row = self.get(entity, artifact_id)
        taken = set(json.loads(row["aliases"]))
        with self._database.transaction() as connection:
            for other in connection.execute(
                "SELECT id, aliases FROM artifacts WHERE project_id = ? AND collection = ? "
                "AND id != ?",
                (row["project_id"], row["collection"], row["id"]),
            ).fetchall():
                kept = [alias for alias in json.loads(other["aliases"]) if alias not in taken]
                connection.execute(
                    "UPDATE artifacts SET aliases = ? WHERE id = ?",
                    (json.dumps(kept), other["id"]),
                )
            connection.execute(
                "UPDATE artifacts SET state = 'COMMITTED' WHERE id = ?", (row["id"],)
            )
        return self.get(entity, artifact_id)

    def upload_url(self, row: sqlite3.Row, name: str) -> str:
        """Return where to put a file of a version."""
        return self._storage.sign("PUT", f"artifacts/{row['id']}/{name}")
