"""Finds objects whose file is lost or damaged, and restores the file if there is a good copy."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from runlake.server.artifacts.contents import manifest_digest
from runlake.server.data_directory.custody import DATABASE, STORAGE
from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.data_directory.leftovers import unnamed_files
from runlake.server.exports.exporter import Exporter, LinesAreGone
from runlake.server.store.database import Database
from runlake.server.store.digests import Digests, read_digests
from runlake.server.store.objects import Storage

# Objects that must have a file: those of exports and of committed artifact versions.
NEEDED = """
SELECT object AS name FROM exports UNION
SELECT f.object FROM artifact_files f JOIN artifact_versions v ON v.id = f.version_id
  WHERE f.object IS NOT NULL AND v.state = 'COMMITTED' UNION
SELECT m.object FROM artifact_manifests m JOIN artifact_versions v ON v.manifest_id = m.id
  WHERE v.state = 'COMMITTED'
"""
ENTRIES = "SELECT name, digest, object, ref, n_bytes FROM artifact_files WHERE version_id = ?"


class LostObjects:
    """Checks all stored files (objects): exports, run files and artifact files.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    database : Database
        Database of the directory.
    backup : Path or None
        A backup to take intact files from.
    """

    def __init__(self, data_dir: Path, database: Database, backup: Path | None) -> None:
        self._data_dir = data_dir
        self._database = database
        self._backup = backup
        self._storage = Storage(database, data_dir / STORAGE, "", 0.0)
        self._exporter = Exporter(database, self._storage, None)

    def find(self) -> Iterator[Damage]:
        """Yield a damage for each stored file (object) that is lost or damaged.

        The file is missing, or its bytes have changed; or an export or a committed artifact version
        needs the object, but the database names no file for it.
        """
        for row in self._database.rows("SELECT * FROM objects WHERE file IS NOT NULL"):
            fault = self._fault(row)
            if fault:
                text = f"The object {row['name']!r} is damaged: {fault}."
                yield Damage(text, partial(self._get_back, row["name"]))
        for row in self._database.rows(
            f"SELECT name FROM ({NEEDED}) WHERE name NOT IN "
            "(SELECT name FROM objects WHERE file IS NOT NULL)"
        ):
            text = f"The object {row['name']!r} is not stored, but it is needed."
            yield Damage(text, partial(self._get_back, row["name"]))

    def _fault(self, row: sqlite3.Row) -> str:
        digests = _read(self._data_dir / STORAGE / row["file"])
        if digests is None:
            return "its file is missing or cannot be read"
        if digests.n_bytes != row["n_bytes"]:
            return f"it has {digests.n_bytes:,} of {row['n_bytes']:,} bytes"
        if digests.md5 != row["md5"] or row["crc32c"] not in {None, digests.crc32c}:
            return "it has other bytes than were stored"
        return ""

    def _get_back(self, name: str) -> str:
        row = self._database.row("SELECT * FROM objects WHERE name = ?", name)
        copy = self._intact_copy(name, row)
        if copy is not None:
            self._storage.write(name, partial(shutil.copyfile, copy))
            return f"It was copied from {str(copy)!r}."
        export = self._database.row("SELECT * FROM exports WHERE object = ?", name)
        if export is not None:
            try:
                self._exporter.export_again(export["run_id"], export["position"])
            except LinesAreGone as error:
                raise NotRepairable(f"The rows are lost: {error}.") from error
            return "It was written again from the lines of the run."
        if self._write_manifest_again(name):
            return "It was written again from the list of the version's files."
        return self._accept_or_drop(name, row)

    def _intact_copy(self, name: str, row: sqlite3.Row | None) -> Path | None:
        """Return the path of an intact copy of an object; None if no copy is found.

        The copy may be in the backup, or be a stored file that belongs to no object.
        """
        md5 = row["md5"] if row is not None else None
        md5 = self._announced_md5(name) or md5
        found = [self._in_backup(name)] if self._backup is not None else []
        if md5 is not None:
            found += unnamed_files(self._data_dir, self._database)
        for file in found:
            digests = _read(file) if file is not None else None
            if digests is not None and md5 in {None, digests.md5}:
                return file
        return None

    def _announced_md5(self, name: str) -> str | None:
        """Return the MD5 in hex that a stored file must have; None if it is no artifact's file."""
        row = self._database.row("SELECT digest FROM artifact_files WHERE object = ?", name)
        return row["digest"] if row is not None else None

    def _in_backup(self, name: str) -> Path | None:
        if self._backup is None:
            return None
        with contextlib.closing(sqlite3.connect(self._backup / DATABASE)) as database:
            row = database.execute(
                "SELECT file, md5 FROM objects WHERE name = ? AND file IS NOT NULL", (name,)
            ).fetchone()
        file = self._backup / STORAGE / row[0] if row else None
        digests = _read(file) if file is not None else None
        return file if digests is not None and digests.md5 == row[1] else None

    def _write_manifest_again(self, name: str) -> bool:
        version = self._database.row(
            "SELECT v.* FROM artifact_manifests m JOIN artifact_versions v ON v.manifest_id = m.id "
            "WHERE m.object = ? AND v.state = 'COMMITTED'",
            name,
        )
        if version is None:
            return False
        contents = {row["name"]: _entry(row) for row in self._database.rows(ENTRIES, version["id"])}
        is_checked = version["digest_algorithm"] == "MANIFEST_MD5"
        if is_checked and manifest_digest(contents) != version["digest"]:
            return False
        manifest = {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": "V2"},
            "contents": contents,
        }
        self._storage.write(name, lambda file: file.write_text(json.dumps(manifest), "utf-8"))
        return True

    def _accept_or_drop(self, name: str, row: sqlite3.Row | None) -> str:
        file = self._data_dir / STORAGE / row["file"] if row is not None and row["file"] else None
        is_of_older_version = row is not None and row["crc32c"] is None
        if file is not None and is_of_older_version and self._announced_md5(name) is None:
            with contextlib.suppress(OSError):
                # Older versions could store the digests of another upload of the same file.
                self._storage.write(name, partial(shutil.copyfile, file))
                return "An older version noted other digests: they were computed again."
        kept = ""
        if file is not None and file.is_file():
            aside = self._data_dir / "damaged" / file.name
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            file.replace(aside)
            kept = f" What is left of it is {str(aside)!r}."
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE objects SET file = NULL, md5 = NULL, crc32c = NULL WHERE name = ?", (name,)
            )
        raise NotRepairable(
            f"It is lost, unless a backup has it (--backup); it is not listed any more.{kept}"
        )


def _entry(row: sqlite3.Row) -> dict[str, object]:
    if row["object"] is None:
        return {"digest": row["digest"], "ref": row["ref"], "size": row["n_bytes"]}
    digest = base64.b64encode(bytes.fromhex(row["digest"])).decode()
    return {"digest": digest, "size": row["n_bytes"]}


def _read(file: Path) -> Digests | None:
    try:
        return read_digests(file)
    except OSError:
        return None
