"""Copy runs of a lake and their artifacts to a backend, and read the copies back to check them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import fetch_run, query
from runlake.backend.http.client import Client
from runlake.cache.companions import FILES, read_rows
from runlake.cache.store import read_manifest
from runlake.errors import (
    AuthenticationError,
    BackendError,
    InvalidArgument,
    InvalidType,
    OfflineError,
    ProjectNotFoundError,
    RunlakeError,
    RunNotFoundError,
    Unreachable,
)
from runlake.history.runs.open import ListedRun
from runlake.lake.disk_source import Lacking
from runlake.lake.fixed_runs import FixedRuns
from runlake.lake.pulling.artifacts import Damages
from runlake.lake.pulling.request import names_run
from runlake.lake.pushing.artifacts import (
    RunArtifacts,
    VersionKey,
    artifacts_to_send,
    check_contents,
    logs_artifacts,
    send_artifacts,
)
from runlake.lake.pushing.artifacts_read_back import artifact_differences
from runlake.lake.pushing.losses import losses_of
from runlake.lake.pushing.read_back import differences, reading_client
from runlake.lake.pushing.report import PushReport
from runlake.lake.pushing.sdk import has_sdk, missing_sdk
from runlake.lake.pushing.sending import Sent, remove, send, send_rows
from runlake.lake.query.selection import LakeRun
from runlake.public.run.run import Run
from runlake.values import ProjectPath, Question, Row, RunPath

PAGE_SIZE = 1000


def push(
    client: Client,
    runs: FixedRuns,
    entity: str | None,
    project: str | None,
    *,
    artifacts: bool,
    dry_run: bool,
) -> PushReport:
    """Copy runs to a backend; see `Lake.push`.

    Parameters
    ----------
    client : Client
        The backend.
    runs : FixedRuns
        The runs to copy.
    entity, project : str or None
        Owner and project of the copies; None keeps the owner and project in the lake. If the API
        key may not write for the owner in the lake, the key's default entity becomes the owner.
    artifacts : bool
        Send the artifacts that the runs logged, and link the artifacts that the runs used.
    dry_run : bool
        Only check and count what a push would send.

    Raises
    ------
    MissingExtra
        If there are artifacts to send, and the SDK is not installed; nothing was sent then.
    NotCached
        If a run lacks data on disk, and the policy of ``runs`` is "raise"; nothing was sent then.
    OfflineError
        If offline mode is on.
    Unreachable, AuthenticationError
        If the backend cannot be reached, or refuses the API key; nothing was sent then.
    """
    if client.settings.offline:
        raise OfflineError(
            f"A push needs {client.origin}, and offline mode is on. To go online, unset "
            "RUNLAKE_OFFLINE, or open the lake without offline=True.",
            operation="UpsertBucket",
            origin=client.origin,
        )
    started = time.monotonic()
    runs = _without_lacking(runs)
    if artifacts and not has_sdk() and any(logs_artifacts(run.directory) for run in runs.runs):
        raise missing_sdk()
    with reading_client(client) as reader:
        pushing = _Pushing(client, reader, runs, entity, project, artifacts, dry_run)
        for run, listed in zip(runs.runs, runs.listed(), strict=True):
            pushing.send_one(run, listed)
        pushing.send_artifacts()
        pushing.read_back()
    runs.source.warn_of_lacking()
    return PushReport(
        pushing.pushed,
        pushing.differing,
        pushing.failed,
        pushing.lost,
        pushing.n_rows,
        pushing.n_files,
        pushing.n_bytes,
        client.n_requests,
        time.monotonic() - started,
        is_dry_run=dry_run,
        n_artifacts=pushing.n_artifacts,
    )


def _without_lacking(runs: FixedRuns) -> FixedRuns:
    """If the policy of ``runs`` is "skip", leave out the runs that lack data on disk.

    If the policy is "raise" and a run lacks data, raise `NotCached`.
    """
    try:
        runs.source.open(runs.listed(), Question())
    except Lacking as lacking:
        return runs.without(lacking.run_ids)
    return runs


@dataclass(slots=True)
class _Sent:
    """A run that was sent and is not compared yet; in a dry run, a run that would be sent."""

    run: LakeRun
    listed: ListedRun
    there: RunPath
    artifacts: RunArtifacts
    sent: Sent | None


@dataclass(slots=True)
class _Pushing:
    """Sends runs, and collects the fields of the `PushReport`."""

    client: Client
    reader: Client
    runs: FixedRuns
    entity: str | None
    project: str | None
    has_artifacts: bool
    is_dry_run: bool
    pushed: dict[str, str] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    lost: dict[str, tuple[str, ...]] = field(default_factory=dict)
    n_rows: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_artifacts: int = 0
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _taken: set[RunPath] = field(default_factory=set)
    _counted: set[VersionKey] = field(default_factory=set)
    _damages: Damages = field(default_factory=Damages)
    _own: tuple[str | None, frozenset[str]] | None = None

    def send_one(self, run: LakeRun, listed: ListedRun) -> None:
        """Copy one run without its artifacts; record a failure, and let the push go on.

        If artifacts of the run are to be sent, `send_artifacts` sends the rows of the run after
        them. In a dry run, what would be sent is only counted.

        If the backend is unreachable, or refuses the API key, and no other run was handled before,
        the error is raised.
        """
        name = str(run.path)
        # Runs of two backends can have the same path; then `run_id` names the backend too.
        name = name if name not in self._done() else run.run_id
        try:
            there = RunPath(*self._place_for(run.path.entity, run.path.project), run.path.run_id)
            self._refuse_known(there)
            self._taken.add(there)
            artifacts = self._artifacts_of(run)
            sent = None
            if self.is_dry_run:
                self._estimate(run, listed)
            else:
                # Before the run is created: the artifacts are sent only after all runs.
                check_contents(artifacts, self._damages)
                # A backend may begin the history again when the SDK opens the run.
                rows = None if artifacts.logged else self._rows(listed)
                sent = send(self.client, run.directory, there, rows)
                self.n_rows += sent.n_rows
                self.n_files += sent.n_files
                self.n_bytes += sent.n_bytes
                there = sent.path
            self._count(artifacts)
        except (RunlakeError, OSError) as error:
            if isinstance(error, (Unreachable, AuthenticationError)) and not self._done():
                # The other runs would fail in the same way.
                raise
            self.failed[name] = str(error)
            return
        self._sent[name] = _Sent(run, listed, there, artifacts, sent)

    def send_artifacts(self) -> None:
        """Send the artifacts of all runs, then the rows of the runs that logged artifacts.

        All artifacts are sent together, because a collection may have versions of several runs.
        """
        if self.is_dry_run:
            return
        runs = {sent.there: sent.artifacts for sent in self._sent.values()}
        waiting = {name: one for name, one in self._sent.items() if one.artifacts.logged}
        try:
            send_artifacts(self.client, runs, self._place_for)
            for name in list(waiting):
                self._send_rows(name, waiting[name])
                del waiting[name]
        except BaseException:  # also after Ctrl-C: no run may stay without its rows
            for one in waiting.values():
                if one.sent is not None:
                    remove(self.client, one.sent)
            raise

    def _send_rows(self, name: str, one: _Sent) -> None:
        if one.sent is None:
            return
        try:
            send_rows(self.client, one.run.directory, one.sent, self._rows(one.listed))
        except (RunlakeError, OSError) as error:
            self.failed[name] = str(error)
            del self._sent[name]
        else:
            self.n_rows += one.sent.n_rows

    def read_back(self) -> None:
        """Read each sent run back from the backend, and compare it with the lake.

        In a dry run, nothing is read, and each run that would be sent counts as pushed.
        """
        for name, sent in self._sent.items():
            found = [] if self.is_dry_run else [*sent.artifacts.problems, *self._differing(sent)]
            stored = read_manifest(sent.run.directory)
            self.lost[name] = (*losses_of(sent.run.directory, stored), *sent.artifacts.lost)
            if found:
                self.differing[name] = "; ".join(found)
            else:
                self.pushed[name] = str(sent.there)

    def _differing(self, sent: _Sent) -> list[str]:
        rows = self._rows(sent.listed)
        try:
            return [
                *differences(self.reader, sent.run.directory, sent.there, rows),
                *artifact_differences(self.reader, sent.artifacts, sent.there),
            ]
        except (RunlakeError, OSError) as error:
            return [f"it was sent, and could not be read back: {error}"]

    def _artifacts_of(self, run: LakeRun) -> RunArtifacts:
        if self.has_artifacts:
            return artifacts_to_send(run.directory)
        return RunArtifacts(run.directory, lost=["its artifacts (artifacts=False)"])

    def _count(self, artifacts: RunArtifacts) -> None:
        for held in artifacts.logged:
            key = artifacts.key(held.id)
            if key not in self._counted:
                self._counted.add(key)
                self.n_artifacts += 1
                self.n_bytes += artifacts.n_bytes_of(held)

    def _done(self) -> set[str]:
        return {*self._sent, *self.failed}

    def _rows(self, listed: ListedRun) -> Iterable[Row]:
        (reading,) = self.runs.source.open([listed], Question())
        return (row for batch in reading.iter_batches(PAGE_SIZE) for row in batch)

    def _estimate(self, run: LakeRun, listed: ListedRun) -> None:
        (reading,) = self.runs.source.open([listed], Question())
        files = read_rows(run.directory, FILES) or []
        exported = sum(export.facts.n_rows for export in reading.pulled.exports)
        self.n_rows += exported + len(reading.pulled.manifest.live_steps or ())
        self.n_files += len(files)
        self.n_bytes += sum(int(file["sizeBytes"] or 0) for file in files)

    def _refuse_known(self, there: RunPath) -> None:
        exists = there in self._taken
        if not exists:
            try:
                fetch_run(self.client, there, is_light=True)
                exists = True
            except (RunNotFoundError, ProjectNotFoundError):
                exists = False
        if exists:
            raise BackendError(
                f"{self.client.origin} has a run '{there}' already, and a push changes no run. "
                "Delete it there, or pass project= to copy the run to another project.",
                operation="UpsertBucket",
                origin=self.client.origin,
            )

    def _place_for(self, entity: str, project: str) -> tuple[str, str]:
        """Return the owner and project at the backend for an owner and project in the lake."""
        return self._entity_for(entity), self.project or project

    def _entity_for(self, entity: str) -> str:
        """Return the owner of a run's copy: the given name, or else the owner in the lake.

        If the API key may not write for the owner in the lake, return the key's default entity.
        """
        if self.entity is not None:
            return self.entity
        if self._own is None:
            viewer = query(self.client, documents.VIEWER, {}).get("viewer") or {}
            edges = (viewer.get("teams") or {}).get("edges") or []
            teams = [str(edge["node"]["name"]) for edge in edges]
            names = [viewer.get("entity"), viewer.get("username"), *teams]
            self._own = viewer.get("entity"), frozenset(name for name in names if name)
        default, own = self._own
        if entity in own or default is None:
            return entity
        return default


def choose(runs: FixedRuns, subject: object) -> FixedRuns:
    """Return the runs of a lake that the given paths name.

    Parameters
    ----------
    runs : FixedRuns
        All runs of the lake.
    subject : str, Run, or iterable of str and Run
        Paths of runs and projects, or ids or URLs of runs.

    Raises
    ------
    InvalidType
        If ``subject`` or one of its items is neither a path nor a run.
    InvalidArgument
        If several runs have a given id or path, or a text is empty.
    NotCached
        If the lake does not have a named run.
    """
    is_one = isinstance(subject, (str, Run))
    if not is_one and (isinstance(subject, (bytes, Mapping)) or not isinstance(subject, Iterable)):
        raise InvalidType(
            "Push a path 'entity/project' or 'entity/project/run_id', runs of the lake such as "
            f"lake.where(...), or a list of paths, not {subject!r}."
        )
    found: dict[str, LakeRun] = {}
    for one in [subject] if is_one else cast("Iterable[object]", subject):
        for run in _named(runs, one):
            found[run.relative] = run
    return runs.only(list(found.values()))


def _named(runs: FixedRuns, one: object) -> Sequence[LakeRun]:
    if isinstance(one, Run):
        return runs.chosen([str(RunPath(one.entity, one.project, one.id))]).runs
    if not isinstance(one, str):
        raise InvalidType(f"A run is named by a path 'entity/project/run_id', not {one!r}.")
    if not names_run(one) and "/" in one.strip("/ "):
        project = ProjectPath.parse(one, entity=None, project=None)
        of_project = [
            run
            for run in runs.runs
            if (run.path.entity, run.path.project) == (project.entity, project.project)
        ]
        if of_project:
            return of_project
    return runs.chosen([one]).runs


def check_names(entity: object, project: object) -> None:
    """Raise `InvalidArgument` if a given name is empty or not a string."""
    for what, name in (("entity", entity), ("project", project)):
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise InvalidArgument(f"{what} must be a name, not {name!r}.")
