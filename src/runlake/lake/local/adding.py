"""Add runs that the W&B SDK recorded in local directories to a lake."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlake.cache.catalog import Catalog
from runlake.cache.companions import (
    FILES,
    SYSTEM,
    content_path,
    is_stored,
    prepare_directory,
    read_rows,
    store_rows,
    sweep_companions,
)
from runlake.cache.disk.links import set_times
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import (
    LIVE,
    Companion,
    LastOffer,
    StoredManifest,
    read_manifest,
    write_manifest,
)
from runlake.cache.stored_export import StoredExport
from runlake.cache.stored_files import ALL_FILES
from runlake.cache.upkeep.catch_up import catch_up
from runlake.cache.upkeep.tree import read_cached_run, unnamed_files
from runlake.errors import CacheError, IncompleteWarning
from runlake.errors.user_line import warn
from runlake.exports.download.attempt_file import AttemptFile, write_all
from runlake.lake.local.directories import Source, find_sources, in_order
from runlake.lake.local.document import Document
from runlake.lake.local.framing import NotRecorded, RecordFile, named_in_errors
from runlake.lake.local.recorded_rows import RecordedRows, counts_of
from runlake.lake.local.recorded_run import FIELDS, RUNNING, TIMESTAMP, RecordedRun, written_time
from runlake.lake.report import Failure, PullReport, with_retry
from runlake.settings import Settings
from runlake.values import unwrapped

# The name of the backend of local runs in the lake; names under .invalid belong to no host.
BACKEND = "http://local.invalid"
# A run that has not ended counts as running for this long after the last change of its file, as at
# a backend after the last sign of life.
RUNNING_SECONDS = 300.0
# A replaced export is kept for this long. A run that is followed may replace its last export every
# few seconds.
REPLACED_SECONDS = 3600.0
# The field of a stored run that lists the files from which the run was read.
SOURCES = "localFiles"
# The names of all exports of local runs begin with this.
OBJECTS = "local"
PIECE_BYTES = 1 << 20
AGAIN = "the file is read again."
AGAIN_IF_CHANGED = "the file is read again if it has changed."


def add(settings: Settings, path: object) -> PullReport:
    """Store the runs of a directory of the W&B SDK in the lake; see also `find_sources`.

    Parameters
    ----------
    settings : Settings
        The settings of the lake: its directory, and how runs are locked.
    path : path
        The directory, or one ``.wandb`` file.

    Returns
    -------
    PullReport
        What was done. No request is sent.

    Raises
    ------
    InvalidType, LocalFileNotFoundError, InvalidArgument
        As `find_sources` raises them.
    MissingExtra
        If the package wandb is not installed.
    """
    started = time.monotonic()
    sources = find_sources(path)
    catalog = Catalog(settings.cache_dir)
    # A process that was killed may have written manifests that the catalog lacks.
    catalog.prepare()
    catch_up(settings.cache_dir)
    adding = _Adding(settings, catalog)
    for group in _by_run(sources, adding.failed):
        adding.add_run(group)
    if adding.incomplete:
        first = next(iter(adding.incomplete.items()))
        more = f" {len(adding.incomplete) - 1:,} more are." if len(adding.incomplete) > 1 else ""
        warn(f"'{first[0]}' is incomplete: {first[1]}{more}", IncompleteWarning)
    return PullReport(
        tuple(adding.new),
        tuple(adding.changed),
        tuple(adding.unchanged),
        adding.incomplete,
        adding.failed,
        adding.n_bytes,
        seconds=time.monotonic() - started,
    )


def _by_run(sources: Iterable[Source], failed: dict[str, Failure]) -> list[list[Source]]:
    """Group the files by the run that they name, and add unreadable files to ``failed``.

    A resumed run has one file for each start.
    """
    groups: dict[object, list[Source]] = {}
    for source in sources:
        try:
            run = _head(source)
        except (NotRecorded, OSError) as error:
            failed[str(source.path)] = _failure(source, error)
            continue
        groups.setdefault(run.path, []).append(source)
    return list(groups.values())


def _head(source: Source) -> RecordedRun:
    """Read a file up to the record that names the run; return the run as read so far."""
    run, file = RecordedRun(), RecordFile(source.path)
    run.read_head(file)
    if not run.is_named:
        raise NotRecorded(
            f"it names no run ({file.damage or 'the SDK has written nothing more yet'})"
        )
    return run


def _failure(source: Source, error: Exception) -> Failure:
    reason = str(error) if isinstance(error, NotRecorded) else f"it cannot be read ({error})"
    return Failure(f"{source.path.name!r} has no run: {reason}.", type(error).__name__, AGAIN)


def _failure_of(error: OSError, root: Path) -> Failure:
    """Return the `Failure` of a run of which a file cannot be read, or which cannot be stored."""
    found = error.strerror or str(error)
    # Errors in reading name their file; an error in writing, such as a full disk, may name none.
    place = Path(str(error.filename or root))
    if place.is_relative_to(root) or root.is_relative_to(place):
        reason = (
            f"The cache at {str(root)!r} cannot be written ({found}). Set WANDB_CACHE_DIR to a "
            "directory that this account may write."
        )
    else:
        reason = f"{str(place)!r} cannot be read ({found})."
    return Failure(reason, type(error).__name__, AGAIN)


@dataclass(slots=True)
class _Adding:
    """Stores runs in the lake, and collects the fields of the `PullReport`."""

    settings: Settings
    catalog: Catalog
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    incomplete: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    n_bytes: int = 0

    def add_run(self, sources: Sequence[Source]) -> None:
        """Store a run, unless its files have not changed since they were last read."""
        path = _head(sources[0]).path
        directory = RunDirectory(self.settings.cache_dir, BACKEND, path)
        try:
            prepare_directory(directory)
            with run_lock(directory, self.settings.lock_timeout, locking=self.settings.locking):
                self._add_locked(directory, sources)
            sweep_companions(directory)
            _sweep_exports(directory)
        except NotRecorded as error:
            self.failed[str(path)] = _failure(sources[0], error)
        except OSError as error:
            self.failed[str(path)] = _failure_of(error, self.settings.cache_dir)
        except CacheError as error:
            self.failed[str(path)] = Failure(str(error), type(error).__name__, AGAIN)

    def _add_locked(self, directory: RunDirectory, sources: Sequence[Source]) -> None:
        stored = read_manifest(directory)
        name = str(directory.run)
        sources, gone = _with_former(stored, sources)
        reason = _reason(stored)
        if _is_unchanged(directory, stored, sources):
            groups = self.unchanged
        else:
            noted, reason = self._read(directory, stored, sources, gone)
            write_manifest(directory, noted)
            for export in stored.exports.values():
                if export.path not in {one.path for one in noted.exports.values()}:
                    # From now on, pruning counts the time until the file is deleted.
                    with suppress(OSError):
                        set_times(export.path)
            self.catalog.note_run(directory, noted)
            groups = self.new if stored.pulled_at is None else self.changed
        if reason is None:
            groups.append(name)
        else:
            self.incomplete[name] = with_retry(reason, AGAIN_IF_CHANGED)

    def _read(
        self,
        directory: RunDirectory,
        stored: StoredManifest,
        sources: Sequence[Source],
        gone: Sequence[Source],
    ) -> tuple[StoredManifest, str | None]:
        exports = _exports_of(stored, gone)
        run = _stored_run(stored, exports) if gone else RecordedRun()
        known = {
            Path(str(one["path"])).parent.name: one.get("first_step") for one in _former(stored)
        }
        reasons: list[str] = []
        noted_sources: list[dict[str, Any]] = [dict(one.noted()) for one in gone]
        for source, max_step in zip(sources, _last_steps(sources), strict=True):
            file = RecordFile(source.path)
            rows = RecordedRows(directory, _object_of(source), exports.append, run.key_counts)
            # If earlier files are gone, their rows are not read again, so the offset cannot be
            # computed.
            first_step = known.get(source.path.parent.name) if gone else None
            run.read(file, rows, first_step=first_step, max_step=max_step)
            noted_sources.append({**source.noted(), "first_step": run.first_step})
            # The last record of a file that is being written is usually not finished.
            is_written = file.is_cut_off and run.exit_code is None and _is_recent(source)
            if file.damage is not None and not is_written:
                reasons.append(f"{source.name!r} is read up to a damage: {file.damage}")
        reason = "; ".join(reasons) or None
        if gone:
            run.system_rows = _with_stored_rows(directory, run.system_rows)
        state = run.state(is_recent=_is_recent(sources[-1]))
        attrs = run.attrs(state)
        attrs[SOURCES] = noted_sources
        files, n_bytes = _copy_files(directory, sources)
        self.n_bytes += n_bytes
        offer = LastOffer(
            state,
            attrs["heartbeatAt"],
            run.n_lines,
            run.last_step,
            0,
            time.time(),
            {export.object: export.identity for export in exports},
        )
        beside = {
            SYSTEM: store_rows(directory, SYSTEM, run.system_rows),
            FILES: store_rows(directory, FILES, files, (ALL_FILES,)),
        }
        if reason is not None:
            # There are no live rows: this entry says why rows are missing.
            beside[LIVE] = Companion("", 0, 0, 0, (reason,), is_whole=False)
        self.catalog.note_columns({one.path: one.facts.columns for one in exports})
        noted = StoredManifest(
            {export.object: export for export in exports},
            offer,
            attrs,
            # Pruning must not delete the exports, because no backend offers them again.
            is_pinned=True,
            pulled_at=time.time(),
            beside=beside,
        )
        return noted, reason


def _reason(stored: StoredManifest) -> str | None:
    live = stored.beside.get(LIVE)
    return None if live is None or live.is_whole else "; ".join(live.asked)


def _with_former(
    stored: StoredManifest, sources: Sequence[Source]
) -> tuple[Sequence[Source], list[Source]]:
    """Add the files of the run that earlier calls read to the files that this call names.

    Returns
    -------
    tuple of list of Source and list of Source
        All files of the run that exist, in the order in which the run was started; and files that
        earlier calls read and that no longer exist. The stored rows of the latter must be kept.
    """
    known = {source.name for source in sources}
    former, gone = [], []
    for one in _former(stored):
        path = Path(str(one["path"]))
        if f"{path.parent.name}/{path.name}" in known:
            continue
        if path.is_file():
            former.append(Source.of(path))
        else:
            gone.append(Source(path, int(one["size"]), int(one["mtime_ns"])))
    return in_order([*former, *sources]), gone


def _last_steps(sources: Sequence[Source]) -> list[int | None]:
    """Return, for each file, the last step to read; None means all steps.

    If a file rewinds the run to a step, the later steps of all earlier files are left out.
    """
    found: list[int | None] = []
    last: int | None = None
    # From the last file to the first, because a later file limits all earlier ones.
    for source in reversed(sources):
        found.append(last)
        if source is sources[0]:
            break
        start = RecordedRun()
        start.read_start(RecordFile(source.path))
        point = start.kept_step
        if point is not None:
            last = point if last is None else min(last, point)
    return found[::-1]


def _object_of(source: Source) -> str:
    """Return the beginning of the names of the exports that are written for a file.

    Sorted by name, the exports of a later file come after those of an earlier file.
    """
    return f"{OBJECTS}/{source.in_order}"


def _exports_of(stored: StoredManifest, sources: Iterable[Source]) -> list[StoredExport]:
    beginnings = tuple(f"{_object_of(source)}/" for source in sources)
    return [one for one in stored.exports.values() if one.object.startswith(beginnings)]


def _former(stored: StoredManifest) -> list[Mapping[str, Any]]:
    return list((stored.attrs or {}).get(SOURCES) or ())


def _is_recent(source: Source) -> bool:
    return time.time() - source.mtime_ns / 1e9 < RUNNING_SECONDS


def _is_unchanged(
    directory: RunDirectory, stored: StoredManifest, sources: Sequence[Source]
) -> bool:
    noted = {(one["path"], one["size"], one["mtime_ns"]) for one in _former(stored)}
    found = {(str(one.path), one.size, one.mtime_ns) for one in sources}
    if not found <= noted or not all(is_stored(directory, one) for one in stored.beside.values()):
        return False
    exports = stored.offered_exports
    if exports is None or not all(export.is_usable for export in exports):
        return False
    # If the file of a running run has not changed for a while, the run has crashed: its state
    # changes although its file does not.
    is_running = stored.offer is not None and stored.offer.state == RUNNING
    return not is_running or _is_recent(sources[-1])


def _stored_run(stored: StoredManifest, exports: Sequence[StoredExport]) -> RecordedRun:
    """Rebuild a run from its stored exports and fields, because one of its files is gone."""
    attrs = stored.attrs or {}
    config = json.loads(attrs.get("config") or "{}")
    facts = [export.facts for export in exports]
    steps = (one.last_step for one in facts if one.last_step is not None)
    return RecordedRun(
        fields={name: attrs[name] for name in FIELDS if name in attrs},
        config=Document({key: unwrapped(value) for key, value in config.items()}),
        summary=Document(json.loads(attrs.get("summaryMetrics") or "{}")),
        n_lines=sum(one.n_rows for one in facts),
        last_step=max(steps, default=-1),
        key_counts=counts_of(exports),
    )


def _with_stored_rows(
    directory: RunDirectory, system_rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add the stored system metrics of files that are gone to those that were read again.

    The stored rows do not say from which file they are. A file only grows, so the rows of the files
    that exist are among those that were read again.
    """
    again = {json.dumps(row, sort_keys=True) for row in system_rows}
    kept = [
        row
        for row in read_rows(directory, SYSTEM) or ()
        if json.dumps(row, sort_keys=True) not in again
    ]
    return sorted([*kept, *system_rows], key=lambda row: row[TIMESTAMP])


def _sweep_exports(directory: RunDirectory) -> None:
    """Delete exports that were replaced some time ago; no reader opens them any more."""
    cached = read_cached_run(directory.root, directory.manifest)
    for path in () if cached is None else unnamed_files(cached):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > REPLACED_SECONDS:
                path.unlink()


def _copy_files(
    directory: RunDirectory, sources: Sequence[Source]
) -> tuple[list[dict[str, Any]], int]:
    """Copy new and changed files of a run; return all descriptions, and the number of copied bytes.

    There is one description per file, also of files that earlier calls copied. It has the fields
    that a backend returns for a file of a run.
    """
    former = {row["name"]: row for row in read_rows(directory, FILES) or ()}
    found: dict[str, dict[str, Any]] = dict(former)
    n_bytes = 0
    for source in sources:
        for path in sorted(source.files.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(source.files).as_posix()
            size, changed_at = path.stat().st_size, written_time(path.stat().st_mtime)
            known = former.get(name)
            if (
                known is not None
                and (known["sizeBytes"], known["updatedAt"]) == (size, changed_at)
                and (directory.path / known["content"]).is_file()
            ):
                found[name] = known
                continue
            found[name] = _copy(directory, path, name, changed_at)
            n_bytes += found[name]["sizeBytes"]
    return list(found.values()), n_bytes


def _copy(directory: RunDirectory, path: Path, name: str, changed_at: str) -> dict[str, Any]:
    content = directory.path / FILES
    content.mkdir(exist_ok=True)
    with AttemptFile(content, "local") as attempt:
        with attempt.open() as copied:
            for piece in _pieces_of(path):
                # All bytes, or an error: a disk that gets full takes a part of them.
                write_all(copied, piece)
        with attempt.path.open("rb") as copied:
            digest = hashlib.file_digest(copied, "md5").digest()
        size = attempt.path.stat().st_size
        md5 = base64.b64encode(digest).decode()
        final = content_path(directory, name, f"{md5}\0{size}\0{changed_at}")
        attempt.publish(final)
    return {
        "name": name,
        "id": name,
        "sizeBytes": size,
        "md5": md5,
        "mimetype": mimetypes.guess_type(name)[0],
        "updatedAt": changed_at,
        "content": final.relative_to(directory.path).as_posix(),
    }


def _pieces_of(path: Path) -> Iterator[bytes]:
    with named_in_errors(path), path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
