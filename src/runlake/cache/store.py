"""What is on disk of a run: the manifest, read and replaced; files published and let go."""

from __future__ import annotations

import email.utils
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import google_crc32c
from cachetools import LRUCache

from runlake.cache.coverage import Coverage, Piece, file_crc32c, read_pieces
from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import is_regular, read_small_file, set_times
from runlake.cache.layout import EXPORT_SUFFIX, RunDirectory, export_file_name
from runlake.exports.attempt_file import AttemptFile
from runlake.exports.footers.known_columns import KnownColumns
from runlake.exports.footers.statistics import ExportFacts
from runlake.exports.footers.steps import RowGroup
from runlake.exports.manifest import STATES_UNDER_WAY, Manifest
from runlake.exports.process_identity import current_boot
from runlake.exports.unlisted import find_gaps
from runlake.exports.validator import Validator
from runlake.exports.verify import Verified

SCHEMA_VERSION = 2
IDENTITY_LENGTH = 32
SEAL = re.compile(rb'(.*),"crc32c":(\d+)\}', re.DOTALL)
TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds downloads of runlake; everything in it can be fetched again.\n"
)
MANIFEST_BYTES_IN_MEMORY = 32 << 20
# One of 100 exports with 10,000 columns each, all read in part, takes some 50 MB.
MAX_MANIFEST_BYTES = 256 << 20
FILES_IN_MEMORY = 1 << 14
SETTLED_NS = 2_000_000_000
Wanted = Mapping[str, Iterable[int]]


_guard = threading.Lock()
_compared: LRUCache[Path, object] = LRUCache(FILES_IN_MEMORY)


@dataclass(frozen=True, slots=True)
class StoredExport:
    """An export on disk.

    Parameters
    ----------
    object : str
        Its URL without signature.
    path : Path
        The file.
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the export; a sparse file is as long.
    crc32c : int or None
        Of the whole file; None while it is sparse.
    state : FileState
        The file as we left it: one that somebody else touched is checked before it is used.
    facts : ExportFacts
        What planning needs to know of it; columns come from the catalog.
    coverage : Coverage or None
        What of it is on disk; None means all.
    dropped_at : float or None
        When the backend was first seen not to offer it any more, in seconds since 1970.
    boot : str or None
        The start of this machine (`current_boot`) in which bytes were written that nobody waited to
        see on the disk; None if all are there. After another start they are checked before use.
    """

    object: str
    path: Path
    validator: Validator
    n_bytes: int
    crc32c: int | None
    state: FileState
    facts: ExportFacts
    coverage: Coverage | None = None
    dropped_at: float | None = None
    boot: str | None = None

    @property
    def file(self) -> str:
        """File name in the run's directory."""
        return self.path.name

    @property
    def modified_at(self) -> float:
        """When the storage host says that it was made, in seconds since 1970; 0 if it does not."""
        try:
            when = email.utils.parsedate_to_datetime(self.validator.last_modified or "")
        except ValueError:
            return 0.0
        return when.timestamp()

    @property
    def identity(self) -> str:
        """What a whole and a sparse file of one version have in common: the digest in the name."""
        return self.path.name[:IDENTITY_LENGTH]

    @property
    def n_held_bytes(self) -> int:
        """Bytes of it that are on disk."""
        return self.n_bytes if self.coverage is None else self.coverage.n_bytes

    @property
    def is_promised(self) -> bool:
        """Its bytes were compared with a digest that its host promised."""
        return self.coverage is None and self.validator.promises_digest

    @property
    def is_untouched(self) -> bool:
        """The file is there, and neither somebody else nor a crash can have changed it."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return self.state.is_of(found) and (self.boot is None or self.boot == current_boot())

    @property
    def is_usable(self) -> bool:
        """The file is there and holds what arrived; it is read once to tell, if at all."""
        if self.is_untouched:
            return True
        try:
            found = self.path.stat()
        except OSError:
            return False
        pieces = None if self.coverage is None else self.coverage.pieces
        looks = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, self.crc32c, pieces)
        if _compared.get(self.path) == looks:
            return True
        if not self.is_intact():
            return False
        with _guard:
            _compared[self.path] = looks
        return True

    def is_intact(self) -> bool:
        """Read what is on disk, and tell whether it is what arrived."""
        try:
            if not is_regular(self.path) or self.path.stat().st_size != self.n_bytes:
                return False
            if self.coverage is None:
                return file_crc32c(self.path) == self.crc32c
            return read_pieces(self.path, self.coverage.ranges) == self.coverage.pieces
        except OSError:
            return False

    def touched(self) -> StoredExport:
        """Return the export as its file is now, whose bytes are known to be right."""
        # Those that an earlier start of the machine wrote have come from the disk.
        boot = self.boot if self.boot == current_boot() else None
        return replace(self, state=FileState.of(self.path), boot=boot)

    def completed(self, verified: Verified, boot: str | None) -> StoredExport:
        """Return the export with a sparse file that holds every byte now."""
        return replace(
            self,
            crc32c=verified.crc32c,
            state=FileState.of(self.path),
            facts=verified.facts,
            coverage=None,
            boot=boot,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What the backend last told of a run, as far as it outlives the moment.

    Parameters
    ----------
    state, heartbeat_at, line_count, last_step
        As in `Manifest`.
    n_live_rows : int or None
        Rows that were in no export; None where the backend did not tell.
    at : float
        When, in seconds since 1970.
    identities : mapping of str to str
        The version of each export that was on offer, by object: see `StoredExport.identity`.
    """

    state: str | None
    heartbeat_at: str | None
    line_count: int | None
    last_step: int
    n_live_rows: int | None
    at: float
    identities: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, exports: Mapping[str, StoredExport]) -> Offer:
        """Keep what an answer of this moment told, and which exports on disk it was about."""
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
        """Tell whether nothing but what a later answer lists was found at the same moment."""
        n_listed = len(manifest.live_steps or ())
        return self.freshness == manifest.freshness and self.n_live_rows == n_listed

    @property
    def freshness(self) -> tuple[str | None, str | None, int | None]:
        """What must not have moved for an export on disk to be trusted unasked."""
        return self.state, self.heartbeat_at, self.line_count

    @property
    def is_over(self) -> bool:
        """The run had ended, and all its rows were exported."""
        return self.state not in STATES_UNDER_WAY and self.n_live_rows == 0


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """What is on disk of a run, and when it was last known to be current.

    Parameters
    ----------
    exports : mapping of str to StoredExport
        By object.
    offer : Offer or None
        The last offer whose exports were all current.
    attrs : mapping or None
        The run's fields as the backend named them, config and metrics included.
    is_pinned : bool
        Pruning leaves the run alone.
    """

    exports: Mapping[str, StoredExport] = field(default_factory=dict)
    offer: Offer | None = None
    attrs: Mapping[str, Any] | None = None
    is_pinned: bool = False

    def with_export(self, export: StoredExport) -> StoredManifest:
        """Return this manifest with one export more, or another version of it."""
        return replace(self, exports={**self.exports, export.object: export})

    @property
    def freshness(self) -> tuple[str | None, str | None, int | None] | None:
        """`Manifest.freshness` of the last offer whose exports were all current."""
        return None if self.offer is None else self.offer.freshness

    @property
    def offered_exports(self) -> tuple[StoredExport, ...] | None:
        """The exports of the last offer; None if one of them is not on disk any more."""
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
    """Read what is on disk of a run.

    Parameters
    ----------
    directory : RunDirectory
        The run.

    Returns
    -------
    StoredManifest
        Empty where there is none, or one that cannot be read: then all is fetched again.
    """
    file = directory.manifest
    try:
        found = file.lstat()
    except OSError:
        return StoredManifest()
    version = (found.st_ino, found.st_size, found.st_mtime_ns)
    with _guard:
        known = _known.get(file)
    if known is not None and known[0] == version:
        return known[1]
    manifest = _parse(directory)
    if manifest is None:
        return StoredManifest()
    # The clock of a file system ticks in milliseconds: a file that is young may have been replaced
    # by another one that looks the same.
    if time.time_ns() - found.st_mtime_ns > SETTLED_NS:
        # One that is too long for the memory is refused by it.
        with _guard, suppress(ValueError):
            _known[file] = (version, manifest)
    return manifest


def _parse(directory: RunDirectory) -> StoredManifest | None:
    try:
        document = _unsealed(read_small_file(directory.manifest, MAX_MANIFEST_BYTES))
        if document["version"] != SCHEMA_VERSION:
            return None
        exports = [_parse_export(entry, directory.path) for entry in document["exports"]]
        offer = document["offer"]
        return StoredManifest(
            {export.object: export for export in exports},
            Offer(**offer) if offer else None,
            document["attrs"],
            bool(document["is_pinned"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def write_manifest(
    directory: RunDirectory, manifest: StoredManifest, *, is_durable: bool = True
) -> None:
    """Replace the manifest of a run atomically.

    Parameters
    ----------
    directory : RunDirectory
        The run, whose lock the caller holds.
    manifest : StoredManifest
        What to write.
    is_durable : bool
        Wait until it is on the disk.
    """
    offer = manifest.offer
    document = {
        "version": SCHEMA_VERSION,
        "run": str(directory.run),
        "entity": directory.run.entity,
        "project": directory.run.project,
        "run_id": directory.run.run_id,
        "backend": directory.base_url,
        "offer": None if offer is None else {n: getattr(offer, n) for n in Offer.__slots__},
        "attrs": manifest.attrs,
        "is_pinned": manifest.is_pinned,
        "exports": [_describe_export(export) for export in manifest.exports.values()],
    }
    attempt = AttemptFile(directory.path, "manifest")
    try:
        with attempt.open() as file:
            file.write(_sealed(document))
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        attempt.path.replace(directory.manifest)
    finally:
        attempt.discard()


def tag_root(directory: RunDirectory) -> None:
    """Make the root of the cache, with the tag that tells backup tools to skip it."""
    tag = directory.root / "CACHEDIR.TAG"
    if not tag.exists():
        directory.root.mkdir(parents=True, exist_ok=True)
        # Made, never opened: what lies there may be a link to anywhere.
        with suppress(FileExistsError), tag.open("x") as file:
            file.write(TAG)


def publish(
    directory: RunDirectory,
    attempt: AttemptFile,
    verified: Verified,
    *,
    boot: str | None = None,
) -> StoredExport:
    """Give a complete download its final name.

    Parameters
    ----------
    directory : RunDirectory
        The run.
    attempt : AttemptFile
        Its file, closed.
    verified : Verified
        That it is the export, and what was found in it.
    boot : str, optional
        This start of the machine, unless the file was flushed to disk.

    Returns
    -------
    StoredExport
        What the manifest has to say of it.
    """
    validator = verified.validator
    path = directory.path / _file_name(attempt.object, validator, verified.n_bytes)
    attempt.path.replace(path)
    return StoredExport(
        attempt.object,
        path,
        validator,
        verified.n_bytes,
        verified.crc32c,
        FileState.of(path),
        verified.facts,
        boot=boot,
    )


def publish_sparse(
    directory: RunDirectory,
    attempt: AttemptFile,
    validator: Validator,
    coverage: Coverage,
    facts: ExportFacts,
    *,
    boot: str | None = None,
) -> StoredExport:
    """Give the beginning of a sparse file its final name; see `publish`.

    Parameters
    ----------
    directory, attempt, boot
        As for `publish`.
    validator : Validator
        Which version it is.
    coverage : Coverage
        What of it is there.
    facts : ExportFacts
        What was found in its footer and its steps.

    Notes
    -----
    A sparse file gets a name that no other has. Where a lock lies, a process may write to a sparse
    file that another has just set aside; what it then claims is claimed of that name only.
    """
    n_bytes = attempt.path.stat().st_size
    path = directory.path / _file_name(attempt.object, validator, n_bytes, is_sparse=True)
    attempt.path.replace(path)
    state = FileState.of(path)
    return StoredExport(
        attempt.object, path, validator, n_bytes, None, state, facts, coverage, boot=boot
    )


def _file_name(
    object_path: str, validator: Validator, n_bytes: int, *, is_sparse: bool = False
) -> str:
    version = validator.etag or validator.last_modified or ""
    return export_file_name(object_path, version, n_bytes, is_sparse=is_sparse)


def describe_age(offer: Offer) -> str:
    """Return how long ago an offer was made, for people."""
    seconds = max(0.0, time.time() - offer.at)
    for n_seconds, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * n_seconds:
            return f"{seconds / n_seconds:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def note_use(directory: RunDirectory) -> None:
    """Note that the run was read now: the access time of its manifest, which costs no write."""
    with suppress(OSError):
        changed = directory.manifest.lstat().st_mtime_ns
        set_times(directory.manifest, (time.time_ns(), changed))


def _sealed(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON whose last member is the CRC32C of all before it."""
    body = json.dumps(document, separators=(",", ":")).encode()[:-1]
    return body + b',"crc32c":%d}' % google_crc32c.value(body)


def _unsealed(content: bytes) -> dict[str, Any]:
    found = SEAL.fullmatch(content)
    if found is None or google_crc32c.value(found[1]) != int(found[2]):
        raise ValueError("the manifest is not what was written")
    document: dict[str, Any] = json.loads(content)
    return document


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
    """Return a file name that prune may delete: that of an export, in the run's directory."""
    name = Path(file).name
    if not name.endswith(EXPORT_SUFFIX):
        raise ValueError(f"{file!r} is no name of an export")
    return name


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
