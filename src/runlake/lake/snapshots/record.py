"""The record of a snapshot: its runs, and the digests of all their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlake.cache.artifacts.held import stored_names
from runlake.cache.companions import FILES, read_rows
from runlake.cache.disk.sealed import BrokenSeal, seal_document, unseal_document
from runlake.cache.layout import RunDirectory
from runlake.cache.store import StoredManifest, read_manifest
from runlake.cache.stored_export import StoredExport
from runlake.values import RunPath

FILE = "snapshot.json"
VERSION = 1
READ_BYTES = 1 << 20
FIELDS = "fields"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run of a snapshot, with the digests of its files.

    Parameters
    ----------
    backend : str
        Root of the API from which the run was pulled.
    run : RunPath
        The run.
    digests : mapping of str to str
        SHA-256 in hex of each file. The key of an export is its identity, a text that is the same
        on every machine; if only a part of the export is on disk, the digest is of that part. The
        key of a file beside the exports is its path in the run's directory. The key of an
        artifact's file is its path in the cache. The key ``fields`` has the digest of config,
        summary and the other fields. An empty string stands for a file that cannot be read, such as
        an export that was deleted after its rows were packed.
    """

    backend: str
    run: RunPath
    digests: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the run's path and all its bytes; it is the same on every machine."""
        parts = [self.run.entity, self.run.project, self.run.run_id, sorted(self.digests.items())]
        return hashlib.sha256(_canonical(parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """The runs and tables of a snapshot, with their digests.

    Parameters
    ----------
    name : str
        Name of the snapshot.
    created_at : float
        When the snapshot was taken, in seconds since 1970.
    runs : tuple of RecordedRun
        The runs of the snapshot, in the order of their paths.
    tables : mapping of str to int
        The Iceberg snapshot of each packed table; empty if nothing was packed.
    packed : mapping of str to str
        SHA-256 in hex of each data file of these tables. The keys are the files' paths relative to
        the lake. Empty if the lake had all exports of all runs.
    """

    name: str
    created_at: float
    runs: tuple[RecordedRun, ...]
    tables: Mapping[str, int] = field(default_factory=dict)
    packed: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all runs; it is equal in two records only if all bytes are equal."""
        return hashlib.sha256(_canonical(sorted(run.digest for run in self.runs))).hexdigest()

    def write(self, root: Path) -> None:
        """Write the record to the root of the snapshot."""
        document = {
            "version": VERSION,
            "name": self.name,
            "created_at": self.created_at,
            "runs": [_described(one) for one in self.runs],
            "tables": dict(self.tables),
            "packed": dict(self.packed),
        }
        (root / FILE).write_bytes(seal_document(document))


def _described(one: RecordedRun) -> list[Any]:
    run = one.run
    return [one.backend, [run.entity, run.project, run.run_id], dict(one.digests)]


def read_record(root: Path) -> Record | None:
    """Return a snapshot's record; None if it is missing, damaged or of another version."""
    try:
        found = unseal_document((root / FILE).read_bytes())
        if found["version"] != VERSION:
            return None
        runs = tuple(
            RecordedRun(backend, RunPath(*parts), digests)
            for backend, parts, digests in found["runs"]
        )
        return Record(found["name"], found["created_at"], runs, found["tables"], found["packed"])
    except (OSError, BrokenSeal, LookupError, TypeError, ValueError):
        return None


def record_run(directory: RunDirectory, known: dict[Path, str] | None = None) -> RecordedRun:
    """Read all files of a run, and return their digests.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory in the snapshot.
    known : dict of Path to str, optional
        Digests of artifact files that were read before, by path, because runs may share files. The
        digests of files that are read now are added.
    """
    known = {} if known is None else known
    manifest = read_manifest(directory)
    digests = {FIELDS: hashlib.sha256(_canonical(_fields(manifest))).hexdigest()}
    for export in manifest.exports.values():
        # The file of a sparse export has another name on another machine.
        digests[export.identity] = _export_digest(export)
    beside = [one.file for one in manifest.beside.values() if one.file]
    rows = read_rows(directory, FILES) or ()
    contents = [str(row["content"]) for row in rows if row.get("content")]
    for name in (*beside, *contents):
        path = directory.path / name
        if path.is_file():
            digests[name] = file_digest(path)
    for name in stored_names(directory)[1]:
        path = directory.root / name
        if path not in known:
            known[path] = file_digest(path)
        digests[name] = known[path]
    return RecordedRun(directory.base_url, directory.run, digests)


def _fields(manifest: StoredManifest) -> list[Any]:
    offer = manifest.offer
    # Without the time of the pull, so that the same runs have the same digest in every lake.
    state = None if offer is None else [*offer.freshness, offer.last_step]
    return [manifest.attrs, state]


def _export_digest(export: StoredExport) -> str:
    if export.coverage is None:
        return file_digest(export.path)
    # The bytes between the downloaded ranges are not those of the export.
    ranges = sorted({(one.start, one.stop) for one in export.coverage.ranges})
    return _digest_of(export.path, ranges)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex; an empty string if the file cannot be read."""
    return _digest_of(path, None)


def _digest_of(path: Path, ranges: Iterable[tuple[int, int]] | None) -> str:
    """Return the SHA-256 of a file, or of its bytes in ``ranges``; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            if ranges is None:
                return hashlib.file_digest(file, "sha256").hexdigest()
            found = hashlib.sha256()
            for start, stop in ranges:
                file.seek(start)
                n_left = stop - start
                while n_left and (content := file.read(min(n_left, READ_BYTES))):
                    found.update(content)
                    n_left -= len(content)
            return found.hexdigest()
    except OSError:
        return ""


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
