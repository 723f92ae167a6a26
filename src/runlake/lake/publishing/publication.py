"""`Publication`: the content of ``lake.json``, which readers of a published lake open first.

The file names one snapshot of each table, with its data files. So a reader needs neither a catalog
nor Iceberg's manifests. A process replaces the file only if no other process has replaced
it meanwhile. So if two processes publish to one place at the same time without a shared catalog,
one of them fails, and readers see only the publication of the other. With a shared catalog, the
process that comes second tries again, and its file has the runs of both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runlake.errors import FileTransferError, NotCached
from runlake.lake.bucket import Bucket
from runlake.lake.packed.moment import PackedFile
from runlake.lake.packed.place import TABLES

NAME = "lake.json"
FORMAT = "runlake"
VERSION = 1
FILE_FIELDS = ("n_rows", "n_bytes", "first_key", "last_key", "first_run", "last_run")


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of a published lake.

    Parameters
    ----------
    metadata : str
        Path of the table's Iceberg metadata file, relative to the URL of the lake.
    snapshot : int or None
        Id of the table's Iceberg snapshot; None for a table without data.
    files : tuple of PackedFile
        The table's data files, with paths relative to the URL of the lake.
    """

    metadata: str
    snapshot: int | None
    files: tuple[PackedFile, ...]


@dataclass(frozen=True, slots=True)
class Retired:
    """A data file that is no longer part of the publication, and will be deleted.

    Parameters
    ----------
    name : str
        Path of the file, relative to the URL of the lake.
    since : float
        When the first publication without this file was written, in seconds since 1970.
    """

    name: str
    since: float


@dataclass(frozen=True, slots=True)
class Publication:
    """The state of a published lake at one moment, as ``lake.json`` describes it.

    Parameters
    ----------
    published_at : float
        Time of the publication, in seconds since 1970.
    n_runs : int
        Number of published runs.
    tables : mapping of str to PublishedTable
        The tables, by name.
    retired : tuple of Retired
        Files of earlier publications. A publication deletes those that were dropped more
        than a day before.
    version : str or None
        The ETag of the ``lake.json`` from which this was read; None if there was no such file.
    """

    published_at: float
    n_runs: int
    tables: Mapping[str, PublishedTable]
    retired: tuple[Retired, ...] = ()
    version: str | None = field(default=None, compare=False)

    @property
    def file_names(self) -> set[str]:
        """The paths of the data files of all tables, relative to the URL of the lake."""
        return {file.path for table in self.tables.values() for file in table.files}

    def write(self, bucket: Bucket) -> None:
        """Write ``lake.json``, if no other process has written it since it was read.

        Raises
        ------
        Conflict
            If another process has published meanwhile.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "published_at": self.published_at,
            "n_runs": self.n_runs,
            "tables": {
                name: {
                    "metadata": table.metadata,
                    "snapshot": table.snapshot,
                    "files": [_described(one) for one in table.files],
                }
                for name, table in self.tables.items()
            },
            "retired": [[one.name, one.since] for one in self.retired],
        }
        bucket.replace(NAME, json.dumps(document, indent=1).encode(), self.version)


def find_publication(bucket: Bucket) -> Publication | None:
    """Return the publication in a bucket; None if nothing is published there.

    Raises
    ------
    FileTransferError
        If ``lake.json`` cannot be read, or does not describe a published lake.
    """
    found = bucket.read(NAME)
    if found is None:
        return None
    content, version = found
    try:
        return _parsed(json.loads(content), version)
    except (ValueError, LookupError, TypeError) as error:
        raise FileTransferError(
            f"{bucket.place_of(NAME)!r} is not of a lake that this version of runlake can read. "
            "Publish the lake again.",
            status=None,
        ) from error


def _parsed(document: Mapping[str, Any], version: str | None) -> Publication:
    if document["format"] != FORMAT or document["version"] != VERSION:
        # `find_publication` converts this to the error that users see.
        raise ValueError(document["version"])
    tables = {
        name: PublishedTable(
            document["tables"][name]["metadata"],
            document["tables"][name]["snapshot"],
            tuple(map(_file_of, document["tables"][name]["files"])),
        )
        for name in TABLES
    }
    retired = tuple(Retired(name, since) for name, since in document["retired"])
    return Publication(document["published_at"], document["n_runs"], tables, retired, version)


def read_publication(bucket: Bucket) -> Publication:
    """Return the publication in a bucket.

    Raises
    ------
    NotCached
        If nothing is published there.
    FileTransferError
        If ``lake.json`` cannot be read.
    """
    found = find_publication(bucket)
    if found is None:
        raise NotCached(
            f"There is no lake at {bucket.place!r}: it has no {NAME}. Lake.publish() writes one.",
            path=bucket.url,
        )
    return found


def _described(file: PackedFile) -> dict[str, Any]:
    return {"name": file.path, **{name: getattr(file, name) for name in FILE_FIELDS}}


def _file_of(entry: Mapping[str, Any]) -> PackedFile:
    return PackedFile(str(entry["name"]), *(entry[name] for name in FILE_FIELDS))
