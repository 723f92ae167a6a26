"""Pull one run into the lake: exports, rows in no export, system metrics, files, artifacts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runlake.backend.http.client import Client
from runlake.cache.companions import (
    ARTIFACTS,
    FILES,
    SYSTEM,
    note_live_rows,
    read_rows,
    store_rows,
    sweep_companions,
)
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.pull import Keeping, pull_run
from runlake.cache.pull_result import PullResult
from runlake.cache.store import (
    LIVE,
    Companion,
    StoredManifest,
    read_manifest,
    write_manifest,
)
from runlake.errors import BackendError, FileTransferError
from runlake.exports.manifest import Manifest, fetch_manifest
from runlake.exports.progress import Progress
from runlake.history.live.source import BackendRows
from runlake.history.opening import open_plan
from runlake.history.reader import SYSTEM_ROWS
from runlake.history.sample.by_server import fetch_system_rows
from runlake.lake.pulling.artifacts import ArtifactPulls
from runlake.lake.pulling.files import FileNode, pull_files
from runlake.lake.pulling.held import Need, has_system_metrics
from runlake.lake.pulling.listing import Listed
from runlake.lake.pulling.request import METADATA_FILE
from runlake.values import Question, RunPath

Fetch = Callable[[Client, RunPath], Manifest]


@dataclass(frozen=True, slots=True)
class RunTask:
    """One run to pull.

    Parameters
    ----------
    listed : Listed
        The run as the backend lists it.
    need : Need
        What the pull has to do about the run.
    question : Question
        Keys and steps of the history to pull.
    files : tuple of str
        Names and patterns of the files to pull.
    artifacts : tuple of str
        Names and patterns of the artifacts to pull.
    is_new : bool
        True if the run had never been pulled before; a read may have cached it. A task that is
        tried again cannot find this out, because its first try may have stored the run.
    """

    listed: Listed
    need: Need
    question: Question
    files: tuple[str, ...]
    artifacts: tuple[str, ...] = ()
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class PulledRun:
    """What the pull of one run did.

    Parameters
    ----------
    is_new : bool
        True if the run had never been pulled before.
    n_bytes : int
        Bytes that were downloaded.
    lacks : str or None
        What could not be pulled, although the pull did not fail; None if nothing is missing.
    n_artifacts : int
        Number of artifact versions whose files this pull has added to the disk.
    """

    is_new: bool
    n_bytes: int = 0
    lacks: str | None = None
    n_artifacts: int = 0


@dataclass(frozen=True, slots=True)
class Means:
    """The client, catalog and caches that all threads of a pull share.

    Parameters
    ----------
    client : Client
        The backend.
    keeping : Keeping
        The catalog, and the flag that ends the pull.
    progress : Progress or None
        Shows the downloads.
    fetch : callable
        Fetches the manifest of a run.
    metadata : callable or None
        Returns the metadata file of a run, see `MetadataFiles.find`.
    artifacts : ArtifactPulls or None
        Pulls artifacts, each version once in the whole pull. If None, each run pulls its artifacts
        alone.
    guards : dict of Path to Lock
        A lock for each lock file. A thread takes this lock before it takes the lock file, because
        it can wait for the lock without polling, but not for the lock file.
    """

    client: Client
    keeping: Keeping
    progress: Progress | None = None
    fetch: Fetch = fetch_manifest
    metadata: Callable[[RunPath], list[FileNode] | None] | None = None
    artifacts: ArtifactPulls | None = None
    guards: dict[Path, threading.Lock] = field(default_factory=dict)


def pull_one(means: Means, task: RunTask) -> PulledRun:
    """Pull one run. If an error is raised, the lake does not have the run's current state.

    Parameters
    ----------
    means : Means
        The client, catalog and progress of the pull.
    task : RunTask
        The run.

    Returns
    -------
    PulledRun
        What was done.
    """
    client, listed = means.client, task.listed
    directory = RunDirectory(client.settings.cache_dir, client.settings.base_url, listed.path)
    stored = read_manifest(directory)
    if FILES in stored.beside:
        # What an earlier pull asked for stays in the lake.
        task = replace(task, files=_both(stored.beside[FILES], task.files))
    if ARTIFACTS in stored.beside:
        task = replace(task, artifacts=_both(stored.beside[ARTIFACTS], task.artifacts))
    if task.need is Need.NOTE_FIELDS:
        _note_fields(means, directory, listed.attrs)
        return PulledRun(task.is_new)
    # Before the exports, because `pull_run` writes the manifest, which names these files.
    beside, n_bytes, lacks = _pull_companions(means, task, directory, stored)
    n_artifacts = 0
    if task.artifacts:
        artifacts = _pull_artifacts(means, task, directory, stored)
        beside[ARTIFACTS], n_artifacts = artifacts.companion, artifacts.n_versions
        n_bytes += artifacts.n_bytes
        lacks += artifacts.lacks
    # A download that fails sets its flag, which must not end the other runs.
    guard = means.guards.setdefault(directory.lock, threading.Lock())
    with guard, means.keeping.stop.child() as stop:
        pulled = pull_run(
            client,
            listed.path,
            task.question,
            attrs=listed.attrs,
            progress=means.progress,
            fetch=means.fetch,
            keeping=replace(means.keeping, stop=stop, beside=beside),
        )
    if not pulled.is_whole_history:
        lacks += _pull_live_rows(means, directory, pulled)
    if stored.pulled_at is not None:
        sweep_companions(directory)
    lacking = "; ".join(lacks) or None
    return PulledRun(task.is_new, pulled.n_bytes + n_bytes, lacking, n_artifacts)


def _both(companion: Companion, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*companion.asked, *names]))


def _note_fields(means: Means, directory: RunDirectory, attrs: Mapping[str, Any]) -> None:
    settings = means.client.settings
    with run_lock(directory, settings.lock_timeout, locking=settings.locking):
        noted = replace(read_manifest(directory), attrs=dict(attrs))
        write_manifest(directory, noted)
    means.keeping.catalog.note_run(directory, noted)


def _pull_companions(
    means: Means, task: RunTask, directory: RunDirectory, stored: StoredManifest
) -> tuple[dict[str, Companion], int, list[str]]:
    """Store the system metrics and files of a run beside its exports.

    Return a `Companion` (which describes a stored file) for the system metrics and for the list of
    files, the number of downloaded bytes, and for each failure a message that says what is missing.
    """
    found: dict[str, Companion] = {}
    lacks = []
    client, listed = means.client, task.listed
    if has_system_metrics(listed):
        try:
            rows = fetch_system_rows(client, listed.path, SYSTEM_ROWS)
            found[SYSTEM] = store_rows(directory, SYSTEM, rows)
        except BackendError as error:
            lacks.append(f"its system metrics could not be read ({error})")
            if SYSTEM in stored.beside:
                # Not whole, so that the next pull requests them again.
                found[SYSTEM] = replace(stored.beside[SYSTEM], is_whole=False)
    known = None
    if means.metadata is not None and task.files == (METADATA_FILE,):
        known = means.metadata(listed.path)
    nodes, n_bytes, problem = pull_files(client, directory, task.files, known, means.keeping.stop)
    if problem is not None:
        # What an earlier pull stored stays readable.
        names = {node["name"] for node in nodes}
        former = read_rows(directory, FILES) or []
        nodes = [*nodes, *(node for node in former if node["name"] not in names)]
    files = store_rows(directory, FILES, nodes, task.files)
    found[FILES] = replace(files, is_whole=problem is None)
    if problem is not None:
        lacks.append(problem)
    return found, n_bytes, lacks


@dataclass(frozen=True, slots=True)
class _Artifacts:
    companion: Companion
    n_versions: int
    n_bytes: int
    lacks: list[str]


def _pull_artifacts(
    means: Means, task: RunTask, directory: RunDirectory, stored: StoredManifest
) -> _Artifacts:
    """Pull the artifacts of a run, and store a list of them beside the run's exports.

    If an artifact cannot be pulled, the artifacts of an earlier pull stay in this list.
    """
    pulls = means.artifacts or ArtifactPulls(means.client, means.keeping.stop)
    found = pulls.pull(directory.run, task.artifacts, task.listed.n_artifacts)
    rows = found.rows
    if found.problem is not None and ARTIFACTS in stored.beside:
        known = {(row["mode"], row.get("id")) for row in rows}
        former = read_rows(directory, ARTIFACTS) or []
        rows = [*(row for row in former if (row["mode"], row.get("id")) not in known), *rows]
    companion = store_rows(directory, ARTIFACTS, rows, task.artifacts)
    lacks = [] if found.problem is None else [found.problem]
    return _Artifacts(
        replace(companion, is_whole=found.problem is None), found.n_versions, found.n_bytes, lacks
    )


def _pull_live_rows(means: Means, directory: RunDirectory, pulled: PullResult) -> list[str]:
    """Store the rows of a run that are in no export; return a message for each failure."""
    client = means.client
    # Before the rows: if another process pulls the run meanwhile, `note_live_rows` refuses them.
    offer = read_manifest(directory).offer
    plan = open_plan(client, pulled.manifest.path, Question(), pulled=pulled)
    pages = BackendRows(client).iter_pages(plan)
    try:
        live = store_rows(directory, LIVE, (row for page in pages for row in page))
    except (BackendError, FileTransferError) as error:
        return [f"rows that are in no export could not be read ({error})"]
    if note_live_rows(client.settings, directory, means.keeping.catalog, live, offer):
        return []
    return ["another process pulled the run meanwhile, so the rows in no export are left out"]
