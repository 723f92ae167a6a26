"""Read and write the stored manifest of a run: the cache's list of the run's files on disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from runlake.cache.coverage import Coverage
from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import read_small_file, set_times
from runlake.cache.disk.sealed import seal_document, unseal_document
from runlake.cache.layout import EXPORT_SUFFIX, RunDirectory
from runlake.cache.stored_export import StoredExport
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.footers.facts import ExportFacts, RowGroup
from runlake.exports.footers.known_columns import KnownColumns
from runlake.exports.manifest import STATES_UNDER_WAY, Freshness, Manifest
from runlake.exports.ranges import Piece
from runlake.exports.unlisted import find_gaps
from runlake.exports.validator import Validator

SCHEMA_VERSION = 2
# The key of live rows in `StoredManifest.beside`.
LIVE = "live"
# The first line is fixed by the Cache Directory Tagging Specification.
TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds downloads of runlake; everything in it can be fetched again.\n"
)
MANIFEST_BYTES_IN_MEMORY = 32 << 20
# A manifest of 100 sparse exports with 10,000 columns each has about 50 MB.
MAX_MANIFEST_BYTES = 256 << 20
SETTLED_NS = 2_000_000_000  # age from which a manifest's file time is trusted


_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class LastOffer:
    """The stored record of the backend's last response about a run.

    Parameters
    ----------
    state, heartbeat_at, line_count, last_step
        See `Manifest`.
    n_live_rows : int or None
        Number of rows that were in no export; None if the backend did not list all of these rows.
    at : float
        Time of the response, in seconds since 1970.
    identities : mapping of str to str
        `StoredExport.identity` of each export that the backend listed; the keys are
        `Export.object`.
    """

    state: str | None
    heartbeat_at: str | None
    line_count: int | None
    last_step: int
    n_live_rows: int | None
    at: float
    identities: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, exports: Mapping[str, StoredExport]) -> LastOffer:
        """Build the record of a manifest that the backend has just sent.

        ``exports`` are the exports on disk; the record contains their `StoredExport.identity`.
        """
        live = manifest.live_steps
        offered = [exports[one.object] for one in manifest.exports]
        facts = [one.facts for one in offered]
        unlisted = manifest.first_unlisted(one.last_step for one in facts)
        is_unknown = live is None or unlisted is not None or bool(find_gaps(manifest, facts))
        return cls(
            manifest.state,
            manifest.heartbeat_at,
            manifest.line_count,
            manifest.last_step,
            None if is_unknown else len(live or ()),
            time.time(),
            {one.object: one.identity for one in offered},
        )

    def is_whole(self, manifest: Manifest) -> bool:
        """Return whether ``manifest`` lists all rows that are in no export, judged by this record.

        True if the run is unchanged since this record, and the number of such rows in this record
        is the number that ``manifest`` lists. Then a search for unlisted rows would find none.
        """
        n_listed = len(manifest.live_steps or ())
        return self.freshness == manifest.freshness and self.n_live_rows == n_listed

    @property
    def freshness(self) -> Freshness:
        """State, heartbeat and number of logged lines.

        If one of these values has changed since the last pull, exports are revalidated.
        """
        return Freshness(self.state, self.heartbeat_at, self.line_count)

    def is_like(self, other: LastOffer | None) -> bool:
        """Return whether this record and ``other`` list the same rows; their times may differ."""
        if other is None:
            return False
        mine, theirs = (
            (one.freshness, one.identities, one.last_step, one.n_live_rows) for one in (self, other)
        )
        return mine == theirs

    def has_grown_since(self, other: LastOffer | None) -> bool:
        """Return whether neither lines nor last step are lower than in an earlier record.

        If the run was rewound in between, the result is still True if the run has reached the
        former number of lines and the former last step again.
        """
        if other is None:
            return False
        return self.last_step >= other.last_step and (self.line_count or 0) >= (
            other.line_count or 0
        )

    @property
    def is_over(self) -> bool:
        """True if the run had ended, and all its rows were exported."""
        return self.state not in STATES_UNDER_WAY and self.n_live_rows == 0


@dataclass(frozen=True, slots=True)
class Companion:
    """A file beside the exports of a run, see `runlake.cache.companions`.

    Parameters
    ----------
    file : str
        File name in the run's directory; empty if there are no rows.
    n_bytes, crc32c : int
        Length and checksum of the file.
    n_rows : int
        Number of rows in the file.
    asked : tuple of str
        For files and artifacts, the requested names and patterns, or `ALL_FILES` if all were
        requested. For live rows (rows in no export), phrases that say why some rows are missing.
        Empty for system metrics.
    is_whole : bool
        False if some of the rows, or of the files that they name, could not be downloaded.
    """

    file: str
    n_bytes: int
    crc32c: int
    n_rows: int
    asked: tuple[str, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True)
class StoredManifest:
    """The content of a stored manifest: the exports on disk, and the backend's last response.

    Parameters
    ----------
    exports : mapping of str to StoredExport
        Exports on disk; the keys are `Export.object`.
    offer : LastOffer or None
        The backend's response after which all exports on disk were last up to date.
    attrs : mapping or None
        The run's fields by the backend's names, including config and metrics.
    is_pinned : bool
        True if pruning must not delete the run.
    pulled_at : float or None
        When the run was last pulled into the lake, in seconds since 1970; None if it was never
        pulled into the lake, but only read.
    beside : mapping of str to Companion
        Files beside the exports; the keys are ``live``, ``system``, ``files`` and ``artifacts``.
    """

    exports: Mapping[str, StoredExport] = field(default_factory=dict)
    offer: LastOffer | None = None
    attrs: Mapping[str, Any] | None = None
    is_pinned: bool = False
    pulled_at: float | None = None
    beside: Mapping[str, Companion] = field(default_factory=dict)

    @property
    def freshness(self) -> Freshness | None:
        """State, heartbeat and number of logged lines in ``offer``; None if ``offer`` is None."""
        return None if self.offer is None else self.offer.freshness

    @cached_property
    def offered_exports(self) -> tuple[StoredExport, ...] | None:
        """The exports of ``offer``; None if one of them is no longer on disk."""
        if self.offer is None:
            return None
        found = []
        for name, identity in self.offer.identities.items():
            export = self.exports.get(name)
            if export is None or export.identity != identity:
                return None
            found.append(export)
        return tuple(found)


_known: LRUCache[Path, tuple[tuple[int, int, int], StoredManifest]] = LRUCache(
    MANIFEST_BYTES_IN_MEMORY, getsizeof=lambda known: known[0][1]
)


def read_manifest(directory: RunDirectory) -> StoredManifest:
    """Read the stored manifest of a run.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.

    Returns
    -------
    StoredManifest
        Empty if the manifest is missing or unreadable; then everything is downloaded again.
    """
    file = directory.manifest
    try:
        found = file.lstat()
    except OSError:
        return StoredManifest()
    version = (found.st_ino, found.st_size, found.st_mtime_ns)
    known: tuple[tuple[int, int, int], StoredManifest] | None = None
    # Faster than the method `get` of this cache, which searches twice.
    with _guard, suppress(KeyError):
        known = _known[file]
    if known is not None and known[0] == version:
        return known[1]
    manifest = _parse(directory)
    if manifest is None:
        return StoredManifest()
    # Race: file times have a resolution of milliseconds, so a new manifest may be replaced by
    # another one with the same inode, size and time. So only older manifests are cached.
    if time.time_ns() - found.st_mtime_ns > SETTLED_NS:
        # LRUCache raises ValueError for a manifest larger than the whole cache.
        with _guard, suppress(ValueError):
            _known[file] = (version, manifest)
    return manifest


def _parse(directory: RunDirectory) -> StoredManifest | None:
    try:
        document = unseal_document(read_small_file(directory.manifest, MAX_MANIFEST_BYTES))
        if document["version"] != SCHEMA_VERSION:
            return None
        exports = [_parse_export(entry, directory.path) for entry in document["exports"]]
        offer = document["offer"]
        return StoredManifest(
            {export.object: export for export in exports},
            LastOffer(**offer) if offer else None,
            document["attrs"],
            bool(document["is_pinned"]),
            document.get("pulled_at"),
            {kind: _parse_companion(one) for kind, one in document.get("beside", {}).items()},
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def write_manifest(
    directory: RunDirectory, manifest: StoredManifest, *, is_durable: bool = True
) -> None:
    """Replace the stored manifest of a run atomically.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory; the caller holds the run's lock.
    manifest : StoredManifest
        The new content.
    is_durable : bool
        Flush the manifest to disk before it is renamed.
    """
    offer = manifest.offer
    document = {
        "version": SCHEMA_VERSION,
        "run": str(directory.run),
        "entity": directory.run.entity,
        "project": directory.run.project,
        "run_id": directory.run.run_id,
        "backend": directory.base_url,
        "offer": None if offer is None else {n: getattr(offer, n) for n in LastOffer.__slots__},
        "attrs": manifest.attrs,
        "is_pinned": manifest.is_pinned,
        "pulled_at": manifest.pulled_at,
        "beside": {
            kind: {n: getattr(one, n) for n in Companion.__slots__}
            for kind, one in manifest.beside.items()
        },
        "exports": [_describe_export(export) for export in manifest.exports.values()],
    }
    with AttemptFile(directory.path, "manifest") as attempt:
        attempt.write(seal_document(document), is_durable=is_durable)
        attempt.publish(directory.manifest)


def tag_root(directory: RunDirectory) -> None:
    """Create the root of the cache, with a tag file that makes backup tools skip the cache."""
    tag = f"{directory.root}{os.sep}CACHEDIR.TAG"
    if not os.path.exists(tag):  # noqa: PTH110 - for each of many runs
        directory.root.mkdir(parents=True, exist_ok=True)
        # Mode "x" creates a file and never follows a link that may be there.
        with suppress(FileExistsError), Path(tag).open("x") as file:
            file.write(TAG)


def describe_age(offer: LastOffer) -> str:
    """Return the age of a `LastOffer` for messages, such as ``"3 hours"``."""
    seconds = max(0.0, time.time() - offer.at)
    for n_seconds, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * n_seconds:
            return f"{seconds / n_seconds:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def note_use(directory: RunDirectory) -> None:
    """Record a use of the run: set the access time of its manifest, which eviction reads."""
    with suppress(OSError):
        file = directory.manifest
        set_times(file, (time.time_ns(), file.lstat().st_mtime_ns))


def _describe_export(export: StoredExport) -> dict[str, Any]:
    facts, coverage = export.facts, export.coverage
    return {
        "object": export.object,
        "file": export.file,
        "validator": {n: getattr(export.validator, n) for n in Validator.__slots__},
        "n_bytes": export.n_bytes,
        "crc32c": export.crc32c,
        "changed_ns": export.state.changed_ns,
        "status": export.state.note(),
        "dropped_at": export.dropped_at,
        "boot": export.boot,
        "is_ascending": facts.is_ascending,
        "is_as_stated": facts.is_as_stated,
        "is_common": facts.is_common,
        "n_columns": facts.n_columns,
        "row_groups": [[g.n_rows, g.first_step, g.last_step] for g in facts.row_groups],
        "pieces": None
        if coverage is None
        else [[p.start, p.stop, p.crc32c] for p in coverage.pieces],
        "chunks": None
        if coverage is None
        else {column: sorted(groups) for column, groups in coverage.chunks.items()},
    }


def _checked_name(file: str) -> str:
    """Return the last component of a path; raise ValueError if it is not the name of an export.

    The path is from a stored manifest. Pruning deletes files by these names, so a manipulated
    manifest must not name files that are not exports.
    """
    name = Path(file).name
    if not name.endswith(EXPORT_SUFFIX):
        raise ValueError(f"{file!r} is no name of an export")
    return name


def _parse_companion(entry: Mapping[str, Any]) -> Companion:
    # Only the last component: a manipulated manifest must not name files of other directories.
    name = Path(entry["file"]).name
    return Companion(**{**entry, "file": name, "asked": tuple(entry["asked"])})


def _parse_export(entry: Mapping[str, Any], directory: Path) -> StoredExport:
    facts = ExportFacts(
        tuple(RowGroup(*group) for group in entry["row_groups"]),
        entry["is_ascending"],
        entry["n_columns"],
        KnownColumns(),
        is_as_stated=entry.get("is_as_stated", True),
        is_common=entry.get("is_common", True),
    )
    coverage = None
    if entry["pieces"] is not None:
        coverage = Coverage(
            tuple(Piece(*piece) for piece in entry["pieces"]),
            {column: frozenset(groups) for column, groups in entry["chunks"].items()},
        )
    return StoredExport(
        entry["object"],
        directory / _checked_name(entry["file"]),
        Validator(**entry["validator"]),
        entry["n_bytes"],
        entry["crc32c"],
        FileState.noted(entry["n_bytes"], entry["changed_ns"], entry.get("status")),
        facts,
        coverage,
        entry["dropped_at"],
        entry.get("boot"),
    )
