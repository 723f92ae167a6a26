"""The content of artifact versions: manifests, and the files that manifests name.

A file is stored under its MD5, once per entity. So versions share unchanged files, and content that
is already stored is not uploaded again. An upload is refused if it has another MD5 than announced.
When the last version that contains a file is deleted, the stored file is deleted too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from runlake.server.refused import Refused
from runlake.server.runs.wire_json import read_json
from runlake.server.store.database import INTEGERS, Database
from runlake.server.store.objects import Storage

MANIFEST_HEADER = b"wandb-artifact-manifest-v1\n"
MD5_HEX_LENGTH = 32
# Allowed sizes of files in bytes. The protocol returns sums of sizes as Int64.
SIZES = range(1 << 50)
# Start of the names of objects, as in W&B's URLs: some scripts look for it. Objects that older
# versions of runlake stored have other names.
FOLDER = "wandb_artifacts"
Entries = dict[str, dict[str, Any]]


class ArtifactContents:
    """Stores the manifests and the files of all artifact versions.

    Parameters
    ----------
    database : Database
        Contains the digests of manifests, and the names and digests of files.
    storage : Storage
        Contains the bytes of manifests and files.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def add_manifest(
        self, version_id: int, manifest_type: str, digest: str, base_version_id: int | None
    ) -> sqlite3.Row:
        """Register a manifest that will be uploaded, and return its row."""
        stored_as = _new_manifest_object(version_id)
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO artifact_manifests "
                "(version_id, base_version_id, type, digest, object) VALUES (?, ?, ?, ?, ?)",
                (version_id, base_version_id, manifest_type, digest, stored_as),
            )
            self._storage.expect([stored_as])
        return self.manifest(cursor.lastrowid)

    def update_manifest(
        self, manifest_id: int, digest: str | None, base_version_id: int | None
    ) -> sqlite3.Row:
        """Change the digest and the base version of a manifest; None keeps the old value."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE artifact_manifests SET digest = coalesce(?, digest), "
                "base_version_id = coalesce(?, base_version_id) WHERE id = ?",
                (digest, base_version_id, manifest_id),
            )
        return self.manifest(manifest_id)

    def manifest(self, manifest_id: int | None) -> sqlite3.Row:
        """Return a manifest by its database id; raise `Refused` if there is no such manifest."""
        row = self._database.row("SELECT * FROM artifact_manifests WHERE id = ?", manifest_id)
        if row is None:
            raise Refused("artifact manifest not found")
        return row

    def manifest_upload_url(self, manifest: sqlite3.Row) -> str:
        """Return a signed URL to upload a manifest; the upload must have the manifest's digest."""
        return self._storage.sign("PUT", manifest["object"], md5=_hex_md5(manifest["digest"]))

    def expect(
        self, files: Iterable[tuple[sqlite3.Row, str, str | None]]
    ) -> list[tuple[str, str | None]]:
        """Register files that will be uploaded.

        Parameters
        ----------
        files : iterable of tuple
            For each file: its pending version, its path in the artifact, and its MD5 in base64.

        Returns
        -------
        list of tuple
            For each file, in order: the name of its object, and its upload URL. The URL is None if
            the content is stored already.
        """
        answers: list[tuple[str, str | None]] = []
        with self._database.transaction() as connection:
            for version, name, md5 in files:
                check_file_name(name)
                digest = _hex_md5(md5)
                if not digest:
                    raise Refused(f"the file {name!r} needs an MD5 in base64, not {md5!r}")
                stored_as = self._file_object(version["entity"], digest)
                connection.execute(
                    "INSERT OR REPLACE INTO artifact_files (version_id, name, digest, object) "
                    "VALUES (?, ?, ?, ?)",
                    (version["id"], name, digest, stored_as),
                )
                self._storage.expect([stored_as])
                is_there = self._storage.find(stored_as) is not None
                url = None if is_there else self._storage.sign("PUT", stored_as, md5=digest)
                answers.append((stored_as, url))
        return answers

    def merged_manifest(self, version: sqlite3.Row) -> tuple[int, dict[str, Any]]:
        """Return the manifest of a version that is about to be committed.

        A full manifest replaces all earlier manifests. Incremental manifests, and patches of a
        distributed version, are merged with the base version and with each other.

        Returns
        -------
        tuple of int and dict
            The database id of the last uploaded manifest, and the merged manifest.
        """
        found: dict[str, Any] | None = None
        last = None
        contents: Entries = {}
        for row in self._database.rows(
            "SELECT * FROM artifact_manifests WHERE version_id = ? ORDER BY id", version["id"]
        ):
            if self._storage.find(row["object"]) is None:
                continue
            found, last = self._read_manifest(row), row
            if row["type"] == "FULL":
                contents = {}
            elif row["base_version_id"] is not None:
                contents = self._committed_contents(row["base_version_id"]) | contents
            contents |= found["contents"]
        if found is None or last is None:
            raise Refused("the artifact has no manifest yet")
        digest = manifest_digest(contents)
        is_checked = last["type"] == "FULL" and version["digest_algorithm"] == "MANIFEST_MD5"
        if is_checked and digest != version["digest"]:
            raise Refused(f"the manifest has the digest {digest}, not {version['digest']}")
        return last["id"], {**found, "contents": contents}

    def publish(self, version: sqlite3.Row, manifest_id: int, manifest: Mapping[str, Any]) -> None:
        """Register the files of a manifest as the files of a version."""
        contents: Entries = manifest["contents"]
        rows = [self._file_row(version, name, entry) for name, entry in contents.items()]
        row = self.manifest(manifest_id)
        stored = _new_manifest_object(version["id"])
        with self._database.transaction() as connection:
            if row["type"] == "FULL":
                # The new name makes the upload URLs invalid, because a committed manifest is final.
                self._storage.rename(row["object"], stored)
            else:
                # Readers download one complete manifest, so the merged one is stored.
                text = json.dumps(manifest)
                self._storage.write(stored, lambda file: file.write_text(text, encoding="utf-8"))
                self._storage.forget(row["object"])
            connection.execute("DELETE FROM artifact_files WHERE version_id = ?", (version["id"],))
            connection.executemany("INSERT INTO artifact_files VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.execute(
                "UPDATE artifact_manifests SET object = ? WHERE id = ?", (stored, manifest_id)
            )
            connection.execute(
                "UPDATE artifact_versions SET manifest_id = ?, n_files = ?, n_bytes = ?, "
                "digest = iif(digest_algorithm = 'MANIFEST_MD5', ?, digest) WHERE id = ?",
                (
                    manifest_id,
                    len(rows),
                    min(sum(row[-1] for row in rows), INTEGERS.stop - 1),
                    manifest_digest(contents),
                    version["id"],
                ),
            )

    def files(
        self, version_id: int, names: Iterable[str] | None, start: int, limit: int
    ) -> tuple[list[sqlite3.Row], int]:
        """Return a page of a version's files, ordered by name, and how many files match in all."""
        wanted = None if names is None else json.dumps(list(names))
        where = (
            "FROM artifact_files WHERE version_id = ? "
            "AND (? IS NULL OR name IN (SELECT value FROM json_each(?)))"
        )
        bound = (version_id, wanted, wanted)
        count = self._database.row(f"SELECT count(*) AS n {where}", *bound)
        rows = self._database.rows(
            f"SELECT * {where} ORDER BY name LIMIT ? OFFSET ?", *bound, limit, start
        )
        return rows, count["n"] if count else 0

    def object_of(self, entity: str, digest: str) -> str | None:
        """Return the name under which an entity's file with a given MD5 (in hex) is stored.

        None if no such file is stored.
        """
        stored_as = self._file_object(entity, digest)
        row = self._database.row("SELECT 1 FROM artifact_files WHERE object = ?", stored_as)
        return stored_as if row and self._storage.find(stored_as) else None

    def release(self, version_id: int) -> None:
        """Delete a version's manifests and its list of files.

        Stored files that no other version contains are deleted too.
        """
        with self._database.transaction() as connection:
            own = connection.execute(
                "SELECT DISTINCT object FROM artifact_files WHERE version_id = ? "
                "AND object IS NOT NULL AND object NOT IN "
                "(SELECT object FROM artifact_files WHERE version_id != ? AND object IS NOT NULL)",
                (version_id, version_id),
            ).fetchall()
            manifests = connection.execute(
                "SELECT object FROM artifact_manifests WHERE version_id = ?", (version_id,)
            ).fetchall()
            for table in ("artifact_files", "artifact_manifests"):
                connection.execute(f"DELETE FROM {table} WHERE version_id = ?", (version_id,))
            # Inside the transaction: a client that announces the same content at this moment
            # waits, and is then told to upload it.
            for row in (*own, *manifests):
                self._storage.forget(row["object"])

    def _file_row(
        self, version: sqlite3.Row, name: str, entry: Mapping[str, Any]
    ) -> tuple[int, str, str, str | None, str | None, int]:
        check_file_name(name)
        if entry.get("ref"):
            size = entry.get("size") or 0
            return version["id"], name, entry["digest"], None, str(entry["ref"]), size
        digest = _hex_md5(entry["digest"])
        stored_as = self._file_object(version["entity"], digest)
        stored = self._storage.find(stored_as) if digest else None
        if stored is None:
            raise Refused(f"the file {name!r:.100} of the artifact was not uploaded")
        return version["id"], name, digest, stored_as, None, stored.n_bytes

    def _committed_contents(self, version_id: int) -> Entries:
        row = self._database.row(
            "SELECT m.* FROM artifact_manifests m JOIN artifact_versions v ON v.manifest_id = m.id "
            "WHERE v.id = ?",
            version_id,
        )
        contents: Entries = self._read_manifest(row)["contents"] if row else {}
        return contents

    def _read_manifest(self, row: sqlite3.Row) -> dict[str, Any]:
        try:
            manifest = read_json((self._storage.read(row["object"]) or b"").decode())
        except ValueError:
            manifest = None
        contents = manifest.get("contents") if isinstance(manifest, dict) else None
        if not isinstance(manifest, dict) or not isinstance(contents, dict):
            raise Refused("the artifact's manifest is no manifest")
        for name, entry in contents.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
                raise Refused(f"the manifest's entry {name!r:.100} has no digest")
            size = entry.get("size")
            if size is not None and (not isinstance(size, int) or size not in SIZES):
                raise Refused(f"the manifest's entry {name!r:.100} has no number of bytes")
        return manifest

    def _file_object(self, entity: str, digest: str) -> str:
        """Return the name of the object that stores a file with an MD5 (in hex) for an entity."""
        place = f"{entity}/{digest[:2]}/{digest}"
        older = f"blobs/{place}"
        return older if self._storage.find(older) else f"{FOLDER}/{place}"


def manifest_digest(contents: Entries) -> str:
    """Return the digest of an artifact, as the protocol defines it, from its manifest entries.

    Examples
    --------
    >>> manifest_digest({})
    '64e7c61456b10382e2f3b571ac24b659'
    """
    digest = hashlib.md5(MANIFEST_HEADER, usedforsecurity=False)
    for name, entry in sorted(contents.items()):
        digest.update(f"{name}:{entry['digest']}\n".encode())
    return digest.hexdigest()


def check_file_name(name: str) -> None:
    """Raise `Refused` if a file name leads out of the artifact or has a part ``.``."""
    parts = name.replace("\\", "/").split("/")
    if not name or not parts[0] or ".." in parts or "\0" in name:
        raise Refused(f"file name {name!r:.100} leads out of the artifact")
    if "." in parts:
        raise Refused(f"file name {name!r:.100} of the artifact has a part '.'")


def _new_manifest_object(version_id: int) -> str:
    return f"{FOLDER}/manifests/{version_id}-{secrets.token_hex(8)}/wandb_manifest.json"


def _hex_md5(digest: str | None) -> str:
    """Convert an MD5 from base64 to hex; return an empty string if the input is no MD5."""
    try:
        found = base64.b64decode(digest or "", validate=True).hex()
    except ValueError:
        return ""
    return found if len(found) == MD5_HEX_LENGTH else ""
