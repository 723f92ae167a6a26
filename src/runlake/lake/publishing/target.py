"""`Target`: the Iceberg tables of a published lake, for the process that publishes to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runlake.errors import FileTransferError, InvalidArgument
from runlake.lake.bucket import Bucket, Conflict
from runlake.lake.packed.moment import PackedFile
from runlake.lake.packed.place import TABLES, PackedPlace
from runlake.lake.packed.table import Tables, open_tables_at
from runlake.lake.publishing.catalogs import storage_properties
from runlake.lake.publishing.publication import (
    NAME,
    Publication,
    PublishedTable,
    Retired,
    find_publication,
)
from runlake.values import DAY

ATTEMPTS = 20


@dataclass(slots=True)
class Target:
    """A published lake, opened for writing.

    Parameters
    ----------
    bucket : Bucket
        The place of the lake.
    tables : Tables
        The lake's Iceberg tables.
    publication : Publication or None
        The current publication; None before the first one.
    is_shared : bool
        True if a catalog on a server lets several writers publish to this lake.
    """

    bucket: Bucket
    tables: Tables
    publication: Publication | None
    is_shared: bool

    def files_of(self, table: str, snapshot: int | None) -> list[str]:
        """Return the paths of a table's data files in an Iceberg snapshot, relative to the lake."""
        return [self._name_of(one) for one in self.tables.files_of(table, snapshot)]

    def check_place(self) -> None:
        """Raise `InvalidArgument` if the catalog has tables outside of the bucket."""
        for metadata in self.tables.metadata().values():
            self._relative(metadata)

    def url_of(self, name: str) -> str:
        """Return the URL by which Iceberg's metadata names a file."""
        return f"{self.bucket.url}/{name}"

    def announce(self, n_runs: int) -> Publication:
        """Write ``lake.json`` with the newest snapshot of each table, and return its content.

        Raises
        ------
        FileTransferError
            If another process has published meanwhile, and the writers share no catalog. If they
            share a catalog, only after `ATTEMPTS` attempts.
        """
        for _ in range(ATTEMPTS if self.is_shared else 1):
            found = self._described(n_runs)
            try:
                found.write(self.bucket)
            except Conflict:
                # Another writer has replaced the file; the newest moment has the runs of both.
                self.tables.reload()
                self.publication = find_publication(self.bucket)
            else:
                self.publication = found
                self._delete_retired(found)
                return found
        raise FileTransferError(
            f"Another process has published to {self.bucket.place!r} meanwhile, so this "
            "publication is not visible. Publish again, or let all writers share a catalog.",
            status=None,
        )

    def _described(self, n_runs: int) -> Publication:
        moment = self.tables.snapshot_ids()
        files = self.tables.load_at(moment)
        metadata = self.tables.metadata()
        tables = {
            name: PublishedTable(
                self._relative(metadata[name]),
                moment.ids[name],
                tuple(replace(one, path=self._name_of(one)) for one in files[name]),
            )
            for name in TABLES
        }
        before = self.publication
        # The runs of the other writers are counted too.
        if self.is_shared:
            n_runs = sum(one.n_rows for one in tables["runs"].files)
        published = {file.path for one in tables.values() for file in one.files}
        now = time.time()
        retired = {} if before is None else {one.name: one for one in before.retired}
        for name in set() if before is None else before.file_names - published:
            retired.setdefault(name, Retired(name, now))
        return Publication(
            now,
            n_runs,
            tables,
            # A retired file can return: equal rows get the same name again.
            tuple(one for name, one in sorted(retired.items()) if name not in published),
            None if before is None else before.version,
        )

    def _delete_retired(self, publication: Publication) -> None:
        """Delete files that have not been part of a publication for a day.

        Files that were dropped less than a day ago are kept, because readers of an earlier
        publication may still open them. ``lake.json`` still lists the deleted files. The next
        publication tries to delete them again, which has no effect.
        """
        old = [one.name for one in publication.retired if time.time() - one.since > DAY]
        self.bucket.delete(old)

    def _name_of(self, file: PackedFile) -> str:
        return self._relative(file.path)

    def _relative(self, place: str) -> str:
        # Iceberg's metadata names local files with or without the scheme.
        for start in (self.bucket.url, self.bucket.url.removeprefix("file://")):
            if place.startswith(f"{start}/"):
                return place.removeprefix(f"{start}/")
        raise InvalidArgument(
            f"The catalog has tables elsewhere than {self.bucket.place!r}. Publish to the place of "
            "these tables, or use another catalog."
        )


@contextmanager
def open_target(
    bucket: Bucket, catalog: Mapping[str, str] | None, staging: Path
) -> Iterator[Target]:
    """Open or create the tables of a published lake, and yield the opened lake.

    Parameters
    ----------
    bucket : Bucket
        The place of the lake.
    catalog : mapping of str to str or None
        pyiceberg's properties of a catalog that several writers share. If None, the metadata files
        that ``lake.json`` names are opened.
    staging : Path
        An empty directory on this machine.

    Raises
    ------
    InvalidArgument
        If the place has files that no publication wrote, or the catalog has tables elsewhere.
    """
    publication = find_publication(bucket)
    if publication is None:
        _check_empty(bucket, is_shared=catalog is not None)
    known = {} if publication is None else _locations(bucket, publication)
    with open_tables_at(
        PackedPlace(staging),
        bucket.url,
        storage_properties(bucket),
        catalog,
        known,
    ) as tables:
        target = Target(bucket, tables, publication, catalog is not None)
        target.check_place()
        yield target


def _locations(bucket: Bucket, publication: Publication) -> dict[str, str]:
    return {name: f"{bucket.url}/{one.metadata}" for name, one in publication.tables.items()}


def _check_empty(bucket: Bucket, *, is_shared: bool) -> None:
    """Raise `InvalidArgument` if the place has a file that no publication wrote.

    Files that an interrupted publication has left behind are allowed. If writers share a catalog,
    only the first file is looked at.
    """
    for one in bucket.list():
        is_ours = one.name.partition("/")[0] in TABLES or one.name in (NAME, f".{NAME}.lock")
        if not is_ours:
            raise InvalidArgument(
                f"{bucket.place!r} has files that no publication wrote, such as {one.name!r}. Name "
                "a new place."
            )
        if is_shared:
            return


def names_in(bucket: Bucket, tables: Sequence[str]) -> dict[str, int]:
    """Return the size in bytes of each data file of some tables, by the name of the file."""
    return {one.name: one.n_bytes for name in tables for one in bucket.list(f"{name}/data")}
