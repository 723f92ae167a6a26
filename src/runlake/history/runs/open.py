"""Open many runs at once: exports that are not on disk are downloaded in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from runlake.backend.http.client import Client
from runlake.cache.offline_fields import load_fields, stored_fields
from runlake.cache.pull import find_unchanged
from runlake.cache.pull_result import PullResult
from runlake.errors import RunNotFoundError
from runlake.errors.user_line import for_thread
from runlake.exports.manifest import Freshness
from runlake.exports.manifests import manifests_of
from runlake.exports.progress import Count, Progress
from runlake.history.reader import Reading, open_reading
from runlake.history.sample.by_server import fetch_system_rows
from runlake.values import Question, Row, RunPath
from runlake.values.counted import counted

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run from a list, with the values that show whether it has changed (its freshness).

    Parameters
    ----------
    path : RunPath
        Path of the run.
    freshness : tuple or None
        The run's present freshness, see `runlake.cache.pull.pull_run`; None if unknown.
    label : str, optional
        The run's name in the column ``run_id``, if its id does not distinguish it from the other
        runs.
    fields : mapping, optional
        All fields of the run as the backend sent them, to be stored for offline use.
    pulled : PullResult, optional
        The run on disk, if it is known to be unchanged.
    """

    path: RunPath
    freshness: Freshness | None
    label: str | None = None
    fields: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    pulled: PullResult | None = field(default=None, compare=False, repr=False)

    @property
    def run_id(self) -> str:
        """The run's name in the column ``run_id``."""
        return self.path.run_id if self.label is None else self.label


class RunSource(Protocol):
    """Interface of a place, such as a backend, from which listed runs are read."""

    @property
    def client(self) -> Client:
        """The client; its settings limit how many runs are read at once."""

    def open(
        self,
        runs: Sequence[ListedRun],
        question: Question,
        progress: Progress | None = None,
    ) -> list[Reading]:
        """Plan a read of each run; see `open_readings`."""

    def open_parent(self, fork: Reading, run: RunPath, question: Question) -> tuple[Reading, Any]:
        """Plan a read of ``run``, from which ``fork`` was forked.

        Return the read, and the config of ``run``.
        """

    def system_rows(self, run: ListedRun, n_rows: int) -> list[Row]:
        """Return a sample of the system metrics of a run."""


@dataclass(frozen=True, slots=True)
class BackendSource:
    """Reads runs from a backend, through the cache; see `RunSource`."""

    client: Client

    def open(
        self,
        runs: Sequence[ListedRun],
        question: Question,
        progress: Progress | None = None,
    ) -> list[Reading]:
        """Download the exports of runs and plan a read of each."""
        return open_readings(self.client, runs, question, progress)

    def open_parent(self, fork: Reading, run: RunPath, question: Question) -> tuple[Reading, Any]:
        """Download the exports of a fork's parent; store the parent's fields for offline reads."""
        try:
            fields = load_fields(self.client, run)
            return open_reading(self.client, run, question, attrs=fields), fields.get("config")
        except RunNotFoundError as error:
            raise RunNotFoundError(
                f"'{fork.plan.run}' was forked from '{run}', which does not exist any more, and "
                "the backend did not copy its rows. Read the run without its lineage, for the rows "
                "that it logged itself.",
                **error.facts,
            ) from error

    def system_rows(self, run: ListedRun, n_rows: int) -> list[Row]:
        """Fetch the backend's sample of the system metrics of a run."""
        return fetch_system_rows(self.client, run.path, n_rows)


def open_readings(
    client: Client,
    runs: Sequence[ListedRun],
    question: Question,
    progress: Progress | None = None,
) -> list[Reading]:
    """Download the exports of runs and plan a read of each.

    Parameters
    ----------
    client : Client
        The backend; its settings limit how many runs are fetched at once.
    runs : sequence of ListedRun
        The runs. A run costs no request if its freshness is given and shows that the run has not
        changed since its exports were downloaded, and if all of its rows are in these exports. If
        its fields are given, they must also be equal to the stored fields.
    question : Question
        Keys and steps to read from each run.
    progress : Progress, optional
        Counts the runs that are not in the cache.

    Returns
    -------
    list of Reading
        One reading per run, in order.
    """
    # One thread looks up cached runs faster than several, which would wait for each other.
    on_disk = [_find_unchanged(client, run, question) for run in runs]
    others = [run for run, pulled in zip(runs, on_disk, strict=True) if pulled is None]
    with manifests_of(client, [run.path for run in others]) as manifests:
        opened = side_by_side(
            client,
            lambda run: open_reading(
                client, run.path, question, attrs=run.fields, fetch=manifests.fetch
            ),
            others,
            progress,
        )
    fetched = iter(opened)
    return [
        next(fetched) if pulled is None else open_reading(client, run.path, question, pulled=pulled)
        for run, pulled in zip(runs, on_disk, strict=True)
    ]


def _find_unchanged(client: Client, run: ListedRun, question: Question) -> PullResult | None:
    if run.pulled is not None:
        return run.pulled
    if run.freshness is None:
        return None
    if run.fields is not None and stored_fields(client, run.path) != run.fields:
        return None
    return find_unchanged(client, run.path, question, run.freshness)


def side_by_side(
    client: Client,
    read: Callable[[S], T],
    subjects: Sequence[S],
    progress: Progress | None = None,
) -> list[T]:
    """Call ``read`` for each subject in threads, and return the results in the order of subjects.

    Parameters
    ----------
    client : Client
        The client, whose settings limit the number of threads.
    read : callable
        Called once per subject.
    subjects : sequence
        Runs, or objects that represent runs.
    progress : Progress, optional
        Counts the subjects that have been read.
    """
    if not subjects:
        return []
    count = Count(progress)

    def read_one(subject: S) -> T:
        result = read(subject)
        count.add()
        return result

    executor = ThreadPoolExecutor(client.settings.max_workers, thread_name_prefix="runlake-runs")
    with count.shown(counted(len(subjects), "run"), len(subjects), "runs"):
        try:
            return list(executor.map(for_thread(read_one), subjects))
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
