"""Pull many new runs with a short export each, from one thread and on several connections.

For such a run, the download and the checks are short. Threads, objects and transactions of its own
would take several times as long as these. So one thread holds the locks of a batch of runs, sends a
request on each connection, and verifies and stores together what arrived together.

Only the usual case is processed here: a run of which nothing is on disk, with one short export that
has all rows, and a response that is complete and right. All other runs are left to `pull_run`,
together with the manifest and the response as far as it has arrived. So no request is sent twice.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runlake.backend.connections.multiplexer import Begun
from runlake.backend.connections.urls import origin_of
from runlake.backend.http.client import Client
from runlake.backend.http.statuses import OK
from runlake.cache.disk.mounts import is_network_directory
from runlake.cache.fetch import DOWNLOAD_SECONDS, FEW_ROWS
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.shared_stripes import SharedStripes
from runlake.cache.pull import Keeping
from runlake.cache.store import Companion, LastOffer, StoredManifest, tag_root, write_manifest
from runlake.cache.stored_export import publish
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.small_answer import verify_answer
from runlake.exports.download.whole_download import SMALL_BYTES
from runlake.exports.manifest import Export, Manifest
from runlake.exports.process_identity import current_boot
from runlake.exports.progress import Progress
from runlake.exports.unlisted import find_gaps
from runlake.exports.verify import Verified


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to pull, of which no file was on disk when the run was listed.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    manifest : Manifest
        The backend's manifest of the run; `is_short` is true for it.
    attrs : mapping
        The run's fields, to be stored.
    beside : mapping of str to Companion
        Entries of the stored manifest for files beside the exports.
    """

    directory: RunDirectory
    manifest: Manifest
    attrs: Mapping[str, Any]
    beside: Mapping[str, Companion]

    @property
    def export(self) -> Export:
        """The run's only export."""
        return self.manifest.exports[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `pull_together` did with a run.

    Parameters
    ----------
    run : NewRun
        The run.
    n_bytes : int or None
        Length of the stored export; None if the run is left to `pull_run`.
    begun : Begun or None
        The first request of a run that is left to `pull_run`, if this request was sent; see
        `Keeping`.
    """

    run: NewRun
    n_bytes: int | None = None
    begun: Begun[Any] | None = None


def is_short(manifest: Manifest) -> bool:
    """Return whether a run has one export, probably a short one, and no other listed rows."""
    is_single = len(manifest.exports) == 1 and manifest.live_steps == ()
    return is_single and manifest.line_count is not None and manifest.line_count <= FEW_ROWS


def pull_together(
    client: Client,
    runs: Sequence[NewRun],
    stripes: SharedStripes,
    keeping: Keeping,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Download, verify and store runs; each run is locked until it is stored.

    Parameters
    ----------
    client : Client
        Client of the backend.
    runs : sequence of NewRun
        The runs, at least one.
    stripes : SharedStripes
        Takes and releases the locks of the runs.
    keeping : Keeping
        The catalog, and the flag that ends the downloads.
    progress : Progress, optional
        Counts the bytes that arrive.

    Yields
    ------
    Outcome
        One for each run, in any order. The lock of a run is released before its outcome is yielded.

    Raises
    ------
    Stopped
        If ``keeping.stop`` was set. Runs without an outcome are not on disk then.
    """
    # Several threads flush files faster than one, so runs are left if files have to be flushed.
    boot = None if is_network_directory(str(runs[0].directory.path)) else current_boot()
    if boot is None or client.settings.max_bandwidth:
        yield from map(Outcome, runs)
        return
    batch = _Batch(client, stripes, keeping, boot)
    tag_root(runs[0].directory)
    try:
        origin = origin_of(runs[0].export.url)
        left = [one for one in runs if origin_of(one.export.url) != origin or not batch.lock(one)]
        yield from map(Outcome, left)
        for some in batch.answers():
            done = batch.store(some)
            if progress is not None:
                progress.advance(sum(one.n_bytes or 0 for one in done))
            yield from done
        yield from map(Outcome, batch.unlock_all())
    finally:
        batch.unlock_all()


class _Batch:
    """Locked runs whose exports are downloaded together."""

    def __init__(self, client: Client, stripes: SharedStripes, keeping: Keeping, boot: str) -> None:
        self._client = client
        self._stripes = stripes
        self._keeping = keeping
        self._boot = boot
        self._locked: dict[RunDirectory, NewRun] = {}

    def lock(self, run: NewRun) -> bool:
        """Lock a run; return False if its lock is taken, or if the run has a directory already."""
        if not self._stripes.take(run.directory):
            return False
        # Not `exists`, which is False for a broken link. `pull_run` reports such a link.
        if os.path.lexists(run.directory.path):
            self._stripes.release(run.directory)
            return False
        self._locked[run.directory] = run
        return True

    def unlock_all(self) -> list[NewRun]:
        """Release all locks that are still held, and return the runs of these locks."""
        runs = list(self._locked.values())
        for run in runs:
            self._unlock(run)
        return runs

    def _unlock(self, run: NewRun) -> None:
        del self._locked[run.directory]
        self._stripes.release(run.directory)

    def answers(self) -> Iterator[list[Begun[NewRun]]]:
        """Request the exports of all locked runs; yield the responses in groups as they arrive."""
        client, settings = self._client, self._client.settings
        n_connections = max(settings.max_workers, int(client.latency / DOWNLOAD_SECONDS))
        waiting = deque(self._locked.values())
        if waiting:
            yield from client.begin(
                waiting,
                lambda run: (run.export.url, {}),
                self._keeping.stop,
                n_connections=min(settings.max_downloads, n_connections),
                max_bytes=SMALL_BYTES,
            )

    def store(self, answers: Sequence[Begun[NewRun]]) -> list[Outcome]:
        """Verify all responses, then write all files, then write all rows of the catalog.

        Return one outcome per response. Each kind of work is done for all responses before the next
        kind begins, because the processor is faster if it repeats the same kind of work.
        """
        found: list[tuple[Begun[NewRun], Verified]] = []
        done = []
        for begun in answers:
            verified = self._verified(begun)
            if verified is None:
                done.append(Outcome(begun.subject, begun=begun))
            else:
                found.append((begun, verified))
        stored: list[tuple[RunDirectory, StoredManifest]] = []
        for begun, verified in found:
            run = begun.subject
            manifest = None
            # A full disk, or another object at the path: `pull_run` then raises the right error.
            with suppress(OSError):
                manifest = self._write(run, begun.answer.body, verified)
            if manifest is None:
                done.append(Outcome(run, begun=begun))
                continue
            self._client.learn(begun, run.export.url, begun.answer.headers_by_name)
            stored.append((run.directory, manifest))
            done.append(Outcome(run, verified.n_bytes))
        self._note(stored)
        for one in done:
            self._unlock(one.run)
        return done

    def _verified(self, begun: Begun[NewRun]) -> Verified | None:
        """Return the verified export; None if the response is wrong, or the export lacks rows."""
        answer, manifest = begun.answer, begun.subject.manifest
        if not begun.is_complete or answer.status != OK:
            return None
        verified = verify_answer(answer.headers_by_name, answer.body)
        if verified is None or manifest.first_unlisted([verified.facts.last_step]) is not None:
            return None
        return None if find_gaps(manifest, [verified.facts]) else verified

    def _write(self, run: NewRun, body: bytes, verified: Verified) -> StoredManifest:
        directory = run.directory
        _make(directory)
        with AttemptFile(directory.path, run.export.object) as attempt:
            attempt.write(body, is_durable=False)
            export = publish(directory, attempt, verified, boot=self._boot)
        exports = {export.object: export}
        offer = LastOffer.of(run.manifest, exports)
        manifest = StoredManifest(exports, offer, run.attrs, True, time.time(), run.beside)
        # Not flushed, as for each new run of a pull: after a crash of the machine, the next pull
        # finds a missing or damaged manifest, and pulls the run again.
        write_manifest(directory, manifest, is_durable=False)
        return manifest

    def _note(self, stored: Sequence[tuple[RunDirectory, StoredManifest]]) -> None:
        if not stored:
            return
        catalog = self._keeping.catalog
        exports = [one for _, manifest in stored for one in manifest.exports.values()]
        columns = {one.path: one.facts.columns for one in exports if one.facts.columns}
        if columns:
            catalog.note_columns(columns)
        catalog.note_runs(stored)


def _make(directory: RunDirectory) -> None:
    try:
        os.mkdir(directory.path)  # noqa: PTH102 - for each of many runs
    except FileNotFoundError:
        directory.path.mkdir(parents=True)
