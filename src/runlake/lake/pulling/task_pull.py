"""Pull some runs in a task of an executor, perhaps in another process or on another machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.cache.layout import RunDirectory
from runlake.cache.paged_catalog import Change, CollectedCatalog, PagedCatalog
from runlake.cache.pull import Keeping
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.cache.store import read_manifest
from runlake.errors import AuthenticationError
from runlake.exports.manifests import Manifests
from runlake.lake.clusters.task_mark import TaskMark
from runlake.lake.pulling.artifacts import ArtifactPulls
from runlake.lake.pulling.files import MetadataFiles
from runlake.lake.pulling.held import Need
from runlake.lake.pulling.run_pull import Means, PulledRun, RunTask, pull_one
from runlake.settings import Settings

# Runs of a task share requests, and are pulled at the same time.
RUNS_PER_TASK = 8


@dataclass(frozen=True, slots=True)
class PulledTask:
    """What a task of an executor did.

    Parameters
    ----------
    results : tuple of PulledRun or Exception
        For each run, what its pull did, or the error that ended its pull.
    changes : tuple of callable
        Functions that store the pulled runs in the catalog.
    counted : tuple of str, int and int
        The name of the task's client, which other tasks may use too; the number of requests that
        this client had sent before the task; and the number after the task.
    """

    results: tuple[PulledRun | Exception, ...]
    changes: tuple[Change, ...]
    counted: tuple[str, int, int]


def pull_elsewhere(
    settings: Settings, mark: TaskMark, has_key: bool, tasks: Sequence[RunTask]
) -> PulledTask:
    """Pull some runs of one project, in a task of an executor.

    Parameters
    ----------
    settings : Settings
        The settings of the pull; the API key is looked up where the task runs.
    mark : TaskMark
        A file in the lake that exists as long as the pull runs.
    has_key : bool
        True if the process that started the pull has an API key.
    tasks : sequence of RunTask
        The runs.

    Raises
    ------
    CacheError
        If the task does not see the lake, or the process that started the pull has ended.
    AuthenticationError
        If the pull has an API key, but there is none where the task runs.
    """
    mark.check()
    key = settings.api_key
    if has_key and key is None:
        raise AuthenticationError(
            f"The worker on {socket.gethostname()!r} has no API key for {settings.base_url}: keys "
            "are not sent to workers. Set WANDB_API_KEY, or log in, where the workers run."
        )
    client, name = _client(settings, None if key is None else key.reveal())
    before = client.n_requests
    catalog = CollectedCatalog(settings.cache_dir)
    paths = [task.listed.path for task in tasks if task.need is Need.PULL]
    # The two requests about all runs have a thread each, which waits for no run.
    with ThreadPoolExecutor(2) as pages, ThreadPoolExecutor(len(tasks)) as threads:
        manifests = Manifests(client, paths, pages)
        metadata = MetadataFiles(client, paths, pages)
        keeping = Keeping(catalog, Stop())
        means = Means(
            client,
            keeping,
            fetch=manifests.fetch,
            metadata=metadata.find,
            artifacts=ArtifactPulls(client, keeping.stop),
        )
        results = tuple(threads.map(partial(_pulled, means), tasks))
    if not mark.is_standing:
        # Nobody waits for the result any more.
        own = PagedCatalog(settings.cache_dir)
        own.add(catalog.changes)
        own.flush(is_last=True)
    return PulledTask(results, tuple(catalog.changes), (name, before, client.n_requests))


def _pulled(means: Means, task: RunTask) -> PulledRun | Exception:
    try:
        done = pull_one(means, task)
    except Exception as error:  # noqa: BLE001 - the other runs of the task go on
        return error
    settings = means.client.settings
    directory = RunDirectory(settings.cache_dir, settings.base_url, task.listed.path)
    # Also a run that was on disk already: the first try of this task may not have returned.
    means.keeping.catalog.note_run(directory, read_manifest(directory))
    return done


@lru_cache(maxsize=4)
def _client(settings: Settings, key: str | None) -> tuple[Client, str]:  # noqa: ARG001 - part of the cache's key
    """Return a client for all tasks of this process, and a name that no other client has."""
    return Client(settings, SharedBudget(settings)), secrets.token_hex(8)
