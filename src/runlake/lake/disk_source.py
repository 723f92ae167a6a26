"""Read runs of a lake from disk, without requests, and record which keys and steps are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runlake.backend.http.client import Client
from runlake.cache.companions import read_system_rows
from runlake.cache.held_part import read_held_part
from runlake.cache.layout import RunDirectory, is_published_root
from runlake.cache.store import read_manifest
from runlake.errors import IncompleteWarning, NotCached
from runlake.errors.user_line import warn
from runlake.exports.progress import Count, Progress
from runlake.history.reader import Reading, open_reading
from runlake.history.runs.open import ListedRun
from runlake.history.sample.by_server import fetch_system_rows
from runlake.lake.backend_settings import settings_of
from runlake.settings import Settings
from runlake.values import Question, Row, RunPath
from runlake.values.counted import counted, is_or_are

if TYPE_CHECKING:
    from runlake.history.runs.scan import AnyReading
    from runlake.lake.packed.choice import PackedChoice

WARN, RAISE, SKIP = "warn", "raise", "skip"
POLICIES = (WARN, RAISE, SKIP)
SHOWN_RUNS = 3


class Lacking(Exception):
    """Runs lack keys or steps on disk, and the policy is "skip".

    The caller catches this exception, and reads the other runs again.

    Parameters
    ----------
    run_ids : frozenset of str
        The names that the runs have in the column ``run_id``.
    """

    def __init__(self, run_ids: frozenset[str]) -> None:
        super().__init__(run_ids)
        self.run_ids = run_ids


class DiskSource:
    """Opens the histories of listed runs on disk, without requests.

    It implements the protocol `runlake.history.runs.open.RunSource`.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    directories : mapping of str to RunDirectory
        The directory of each run; the keys are the runs' names in the column ``run_id``.
    policy : {"warn", "raise", "skip"}
        What to do with a run that lacks keys or steps on disk.
    packed : PackedChoice, optional
        The runs that can be read from packed tables. If omitted, only exports are read.
    """

    def __init__(
        self,
        settings: Settings,
        directories: Mapping[str, RunDirectory],
        policy: str,
        packed: PackedChoice | None = None,
    ) -> None:
        self.packed = packed
        # Offline and without a key, so that no read sends a request.
        self.client = Client(replace(settings, api_key=None, offline=True))
        self.lacking: dict[str, str] = {}
        self._directories = directories
        self._policy = policy
        self._clients: dict[str, Client] = {}

    def open(
        self,
        runs: Sequence[ListedRun],
        question: Question,
        progress: Progress | None = None,
    ) -> list[Reading]:
        """Return a planned read of each run's rows on disk, in the order of ``runs``.

        Raises
        ------
        Lacking
            If a run lacks keys or steps, and the policy is "skip".
        NotCached
            If a run lacks keys or steps, and the policy is "raise".
        """
        readings, lacking = [], {}
        with Count(progress).shown(counted(len(runs), "run"), len(runs), "runs") as count:
            for run in runs:
                directory = self._directories[run.run_id]
                client = self.client_of(directory)
                part = read_held_part(client.settings, directory, question)
                pulled = part.pulled
                if part.lacking is not None and self.packed is not None:
                    # Its exports may have been dropped when it was packed.
                    pulled = self.packed.restored(run.path, directory.relative, pulled) or pulled
                if part.lacking is not None and pulled is part.pulled:
                    lacking[run.run_id] = part.lacking
                readings.append(open_reading(client, run.path, question, pulled=pulled))
                count.add()
        self._note(lacking)
        return readings

    def open_any(
        self,
        runs: Sequence[ListedRun],
        question: Question,
        progress: Progress | None = None,
    ) -> list[AnyReading]:
        """Return a planned read of each run, in the order of ``runs``.

        A run that has not changed since it was packed is read from packed tables, and any other run
        as in `open`. The errors are those of `open`.
        """
        chosen = {} if self.packed is None else self.packed.readings(runs, question)
        others = [run for run in runs if run.run_id not in chosen]
        opened = iter(self.open(others, question, progress))
        return [chosen[run.run_id] if run.run_id in chosen else next(opened) for run in runs]

    def _note(self, lacking: Mapping[str, str]) -> None:
        if lacking and self._policy == SKIP:
            raise Lacking(frozenset(lacking))
        if lacking and self._policy == RAISE:
            raise NotCached(
                f"{describe_lacking(lacking)} Pull them, or read with incomplete='warn'.",
                path=str(self.client.settings.cache_dir),
            )
        self.lacking |= lacking

    def open_parent(self, fork: Reading, run: RunPath, question: Question) -> tuple[Reading, Any]:
        """Return a planned read of the rows of a fork's parent, and the parent's config.

        Only the rows on disk are read.

        Parameters
        ----------
        fork : Reading
            The planned read of the fork.
        run : RunPath
            The parent.
        question : Question
            Keys and steps to read from the parent.

        Raises
        ------
        NotCached
            If the parent was not pulled; or if it lacks keys or steps, and the policy is "raise".
        """
        client, path = fork.client, self.client.settings.cache_dir
        directory = RunDirectory(path, client.settings.base_url, run)
        stored = read_manifest(directory)
        part = read_held_part(client.settings, directory, question)
        lacking = part.lacking
        if stored.offer is None:
            lacking = "it was not published" if is_published_root(path) else "it was not pulled"
        pulled = part.pulled
        if lacking is not None and self.packed is not None:
            # The parent's exports may have been dropped when it was packed. A published lake has
            # packed rows only.
            restored = self.packed.restored(run, directory.relative, pulled)
            lacking, pulled = (lacking, pulled) if restored is None else (None, restored)
        if lacking is not None and (stored.offer is None or self._policy == RAISE):
            remedy = "Publish it too" if is_published_root(path) else "Pull it"
            raise NotCached(
                f"'{fork.plan.run}' was forked from '{run}', whose rows are needed: {lacking}. "
                f"{remedy}, or read without lineage.",
                path=str(path),
            )
        if lacking is not None:
            self.lacking[str(run)] = lacking
        reading = open_reading(client, run, question, pulled=pulled)
        if stored.attrs is None:
            from runlake.lake.query.run_fields import read_internal_config

            return reading, read_internal_config(path, directory.relative)
        return reading, stored.attrs.get("config")

    def client_of(self, directory: RunDirectory) -> Client:
        """Return an offline client for the backend of a run."""
        backend = directory.base_url
        if backend not in self._clients:
            self._clients[backend] = Client(settings_of(backend, self.client.settings.cache_dir))
        return self._clients[backend]

    def system_rows(self, run: ListedRun, n_rows: int) -> list[Row]:
        """Return at most ``n_rows`` evenly spaced rows of a run's system metrics.

        If the system metrics are not on disk, the policy "warn" returns no rows, and the policies
        "raise" and "skip" raise an error as `open` does.
        """
        directory = self._directories[run.run_id]
        if read_system_rows(directory) is None:
            self._note({run.run_id: "its system metrics are not on disk"})
            return []
        return fetch_system_rows(self.client_of(directory), directory.run, n_rows)

    def warn_of_lacking(self) -> None:
        """Issue one `IncompleteWarning` about all runs that lacked keys or steps so far, if any."""
        if self.lacking:
            warn(
                f"{describe_lacking(self.lacking)} The answer has what is on disk; with "
                "incomplete='skip' it leaves these runs out.",
                IncompleteWarning,
            )


def describe_lacking(lacking: Mapping[str, str]) -> str:
    """Return a sentence with the number of incomplete runs, and what the first three lack."""
    shown = ", ".join(f"{run!r} ({why})" for run, why in list(lacking.items())[:SHOWN_RUNS])
    more = f" and {len(lacking) - SHOWN_RUNS:,} more" if len(lacking) > SHOWN_RUNS else ""
    n_runs = len(lacking)
    return f"{counted(n_runs, 'run')} {is_or_are(n_runs)} incomplete on disk: {shown}{more}."
