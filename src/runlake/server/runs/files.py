"""Files of runs: clients announce files, upload them to signed URLs, list and delete them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from runlake.server.refused import Refused
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage
from runlake.server.store.pages import Page, cut_page

# Longest name of a file, as in W&B's own storage.
MAX_NAME_BYTES = 1_024
MAX_PATTERN_BYTES = 10_000
UPLOADED = """
FROM files JOIN objects ON objects.name = 'files/' || files.run_id || '/' || files.name
WHERE files.run_id = ? AND objects.file IS NOT NULL
"""


class RunFiles:
    """Stores the files of all runs; an announced file is listed as soon as it is uploaded.

    Parameters
    ----------
    database : Database
        Contains the names of the files.
    storage : Storage
        Contains the bytes of the files.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def announce(self, run_id: int, names: Sequence[str]) -> list[str]:
        """Register files that will be uploaded, and return their names in normal form.

        In normal form, a path has no empty folder names and no ``.``.
        """
        plain = [_checked_name(name) for name in names]
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO files (run_id, name) VALUES (?, ?)",
                [(run_id, name) for name in plain],
            )
            self._storage.expect(file_object(run_id, name) for name in plain)
        return plain

    def count(self, run_id: int) -> int:
        """Return how many uploaded files a run has."""
        row = self._database.row(f"SELECT count(*) AS n {UPLOADED}", run_id)
        return int(row["n"]) if row else 0

    def page(
        self,
        run_id: int,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> Page[sqlite3.Row]:
        """Return a page of the uploaded files of a run.

        Parameters
        ----------
        run_id : int
            Database id of the run.
        names : sequence of str
            Exact names of the files; empty means all files.
        pattern : str, optional
            Pattern of SQL's LIKE; a backslash makes the ``%`` or ``_`` after it literal.
        after : int
            Database id of the last file on the previous page; 0 for the first page.
        limit : int
            Maximum number of files.

        Returns
        -------
        Page of Row
            Files with ``id``, ``name``, ``md5``, ``n_bytes`` and ``modified_at``, oldest first.
        """
        condition = ""
        values: list[str] = []
        if names:
            condition += " AND files.name IN (SELECT value FROM json_each(?))"
            # A client may request a file by the name that it announced, such as "./media//a.png".
            values.append(json.dumps([*names, *map(_plain_name, names)]))
        if len((pattern or "").encode()) > MAX_PATTERN_BYTES:
            raise Refused(f"a pattern of file names has {MAX_PATTERN_BYTES:,} bytes at most")
        if pattern:
            condition += r" AND files.name LIKE ? ESCAPE '\'"
            values.append(pattern)
        rows = self._database.rows(
            f"SELECT files.id, files.name, md5, n_bytes, modified_at {UPLOADED} {condition} "
            "AND files.id > ? ORDER BY files.id LIMIT ?",
            run_id,
            *values,
            after,
            limit + 1,
        )
        return cut_page(rows, limit, lambda row: str(row["id"]))

    def run_of(self, file_id: int) -> int | None:
        """Return the database id of the run that has a file; None if there is no such file."""
        row = self._database.row("SELECT run_id FROM files WHERE id = ?", file_id)
        return int(row["run_id"]) if row else None

    def delete(self, file_ids: Sequence[int]) -> None:
        """Delete files, which are given by their database ids, with their content."""
        self._delete("id IN (SELECT value FROM json_each(?))", json.dumps(list(file_ids)))

    def delete_all(self, run_id: int) -> None:
        """Delete every file of a run."""
        self._delete("run_id = ?", run_id)

    def _delete(self, condition: str, value: int | str) -> None:
        with self._database.transaction() as connection:
            gone = connection.execute(
                f"DELETE FROM files WHERE {condition} RETURNING run_id, name", (value,)
            ).fetchall()
            for row in gone:
                self._storage.forget(file_object(row["run_id"], row["name"]))


def _checked_name(name: str) -> str:
    """Return a file's name in normal form; raise `Refused` if a run cannot have such a file.

    Examples
    --------
    >>> _checked_name("./media//a.png")
    'media/a.png'
    """
    plain = _plain_name(name)
    if not plain or name.startswith("/") or ".." in plain.split("/") or "\0" in name:
        raise Refused(f"file name {name!r:.100} leads out of the run")
    if len(plain.encode()) > MAX_NAME_BYTES:
        raise Refused(f"file name {name!r:.100} is longer than {MAX_NAME_BYTES:,} bytes")
    return plain


def _plain_name(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def file_object(run_id: int, name: str) -> str:
    """Return the name of the object that contains a file of a run."""
    return f"files/{run_id}/{name}"
