"""`Lake`: all runs in a cache directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from runlake.cache.catalog import DATABASE, Catalog
from runlake.cache.layout import LAYOUT_VERSION
from runlake.cache.upkeep.catch_up import catch_up
from runlake.errors import InvalidArgument, InvalidType, SettingsError
from runlake.errors.screen import line_for_screen
from runlake.lake.disk_source import POLICIES, RAISE, WARN
from runlake.lake.lake_runs import LakeRuns
from runlake.lake.one_run import find_one
from runlake.lake.publishing.opening import published_place, published_settings
from runlake.lake.pulling.request import Since, Subject, check_pull, listed_once, settings_for
from runlake.lake.query.selection import Selection
from runlake.lake.report import PullReport
from runlake.lake.snapshots.methods import Snapshots, snapshot_settings
from runlake.public.run.run import Run
from runlake.settings import Settings, load_settings
from runlake.values import ProgressOption, Projection, check_flag, check_word

if TYPE_CHECKING:
    import polars as pl

    from runlake.lake.chosen_runs import PackSubject
    from runlake.lake.diff import RunDiff
    from runlake.lake.packed.report import PackReport
    from runlake.lake.pushing.report import PushReport
    from runlake.public.api import Api

PathLike: TypeAlias = Union[str, "os.PathLike[str]"]
Pushable: TypeAlias = str | Run | LakeRuns | Mapping[str, Any] | Sequence[str | Run] | None


class Lake(Snapshots, LakeRuns):
    """All runs in a cache directory: runs that were pulled, and runs that a read has cached.

    It has the methods of `Runs` over many runs, which `LakeRuns` describes. No read makes a request
    to a backend.

    Parameters
    ----------
    path : path or str, optional
        The cache directory, as ``WANDB_CACHE_DIR`` names it, or the folder ``runlake`` in it; or a
        published lake: its directory, or its URL in object storage, such as ``s3://bucket/prefix``.
        If omitted, the settings name the cache directory. A published lake is read in the state
        that it has now.
    at : str, optional
        Read the snapshot of this name, which `snapshot` has taken. The bytes of a snapshot stay the
        same until the snapshot is deleted. A lake that is opened at a snapshot cannot be changed.
    offline : bool, optional
        Refuse `pull` and `push`. If omitted, the setting ``RUNLAKE_OFFLINE`` decides. Reads never
        need a network, except those of a lake in object storage.
    storage_options : dict, optional
        Options of the object storage; see `publish`.

    Raises
    ------
    InvalidType
        If ``path`` is not a path.
    InvalidArgument
        If a URL does not name object storage, or ``at`` is given for a published lake.
    NotCached
        If there is no snapshot of the name ``at``, or nothing is published at a URL.
    OfflineError
        If offline mode is on, and the published lake is in object storage.
    FileTransferError
        If the object storage cannot be read.
    SettingsError
        If a setting has an invalid value.
    """

    def __init__(
        self,
        path: PathLike | None = None,
        *,
        at: str | None = None,
        offline: bool | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        self._at = at
        self._published = published_place(path, storage_options)
        if self._published is None:
            settings = _settings(path, offline)
        else:
            settings = published_settings(self._published, at, offline=offline)
        self._lake_dir = settings.cache_dir
        # Reads of a snapshot are always offline, but a push of its runs sends requests.
        self._is_offline = settings.offline
        if at is not None:
            settings = snapshot_settings(settings, at)
        super().__init__(settings, Selection(settings.cache_dir))

    def pull(
        self,
        path_or_runs: Subject,
        filters: Mapping[str, Any] | None = None,
        keys: list[str] | None = None,
        since: Since = None,
        files: bool | str | Sequence[str] = False,
        dry_run: bool = False,
        workers: int | None = None,
        executor: Executor | None = None,
        progress: ProgressOption = None,
        *,
        artifacts: bool | str | Sequence[str] = False,
    ) -> PullReport:
        """Download runs with all that belongs to them; runs that have not changed are skipped.

        Each run is stored with its history, config, summary, system metrics and metadata, and
        pinned: it is never evicted from the cache. Runs that are gone at the backend stay in the
        lake. A run that fails does not stop the others. A pull that was interrupted in any way is
        continued by the next one.

        Parameters
        ----------
        path_or_runs : str, Run, Runs, or iterable
            A project (``entity/project``), a run (``entity/project/run_id``), a list from
            `Api.runs`, or a list or another iterable of run paths and `Run` objects. `Run` objects
            are pulled from their own backend.
        filters : dict, optional
            Pull only runs that match, in the language of `Api.runs`.
        keys : list of str, optional
            Download only these keys of the history. From large exports, only the column chunks of
            these keys are downloaded.
        since : str, datetime, date or timedelta, optional
            Pull only runs that were active after this time: ``"7d"``, ``"2026-01-31"``.
        files : bool, str or list of str
            The files of the runs to pull: True for all, media and tables included; or file names,
            and patterns such as ``"media/*"``.
        dry_run : bool
            Download and store nothing; report the runs, bytes and requests of a real pull.
        workers : int, optional
            Maximum number of runs that are pulled at the same time. With ``executor``, it has no
            effect.
        executor : concurrent.futures.Executor, optional
            Pulls the runs in place of threads of this process, for example on several machines. It
            is a pool of threads, a client of Dask, or the client's ``get_executor()``. All workers
            need the lake's directory under the same path, and an API key of their own, because keys
            are never sent to workers. A `ProcessPoolExecutor` is refused: if one of its processes
            is killed, it loses all tasks.
        progress : bool, callable or None
            As for `Run.pull`; the bytes of all runs are counted together.
        artifacts : bool, str or list of str
            The artifacts whose files to pull, among those that the runs logged or used: True for
            all; or names of collections, names with versions such as ``"model:v3"``, and patterns
            such as ``"model-*"``. A content that several artifacts share is downloaded once.
            References to files elsewhere stay references.

        Returns
        -------
        PullReport
            What was done, or with ``dry_run``, what would be done. `print` shows it as text.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        OfflineError
            If offline mode is on.
        BackendError
            If the runs cannot be listed.
        CacheFull
            If the disk, or the size limit of the cache, has no room for a run. The attribute
            ``report`` of the error says what was pulled before. To stay below the size limit, a
            pull evicts runs that are not pinned, such as runs that only a read has cached.
        CacheError
            If the cache directory cannot be written.
        """
        from runlake.lake.pulling.pull import pull

        self._refuse_if_fixed("pull")
        path_or_runs = listed_once(path_or_runs)
        settings = settings_for(self._settings, path_or_runs)
        request = check_pull(
            settings,
            path_or_runs,
            filters,
            keys,
            since,
            files,
            artifacts,
            dry_run,
            workers,
            executor,
            progress,
        )
        report = pull(settings, request)
        if not dry_run:
            from runlake.lake.packed.after_pull import pack_after_pull

            pack_after_pull(self._settings)
        return report

    def add(self, path: PathLike) -> PullReport:
        """Add runs to the lake from the files that the W&B SDK has written on this machine.

        This needs no account, server or network. Each run becomes a run of the lake, with history,
        config, summary, system metrics and files, whether it was logged online or offline. Nothing
        in the directory is changed. Runs whose files have not changed are skipped. To get the new
        rows of a running run, add the run again.

        Parameters
        ----------
        path : path
            A directory ``wandb`` of the SDK, the parent of this directory, the directory of one run
            in it, or a ``.wandb`` file.

        Returns
        -------
        PullReport
            What was done. A run whose file is damaged or cut off is "incomplete": it has all rows
            before the damage. Files without a run, such as those of 0 bytes, are "failed". If the
            cache directory cannot be written, all runs are "failed".

        Raises
        ------
        InvalidArgument
            If ``path`` has no runs; `LocalFileNotFoundError` if it does not exist.
        MissingExtra
            If the package wandb is not installed; the extra ``local`` has it.
        """
        from runlake.lake.local.adding import add

        self._refuse_if_fixed("add")
        return add(self._settings, path)

    def pack(
        self,
        runs: PackSubject = None,
        *,
        drop_exports: bool = False,
        executor: Executor | None = None,
    ) -> PackReport:
        """Write the histories of runs into packed tables, sorted by key, then by run.

        A read of few keys of many packed runs then reads little more than the bytes of these keys.
        Reads return the same rows as before. Runs that have not changed since they were packed are
        skipped; runs that are not complete on disk are not packed. `pull` packs the lake by itself
        if enough runs were pulled since the last pack, as the setting ``RUNLAKE_PACK_RUNS`` says.

        Parameters
        ----------
        runs : str, Run, LakeRuns, or list, optional
            A project, a run, runs of the lake from `where`, or a list of these; all runs if
            omitted.
        drop_exports : bool
            Delete the exports of packed runs, after comparing the packed rows with the exports.
            `Lake` then reads the rows of these runs from the packed tables, while `Run` downloads
            the exports again.
        executor : concurrent.futures.Executor, optional
            Reads the runs and writes the files of the tables; `pull` describes the executors that
            are accepted. Then this process makes the files visible to readers. A run whose worker
            ends at every attempt is left out, and reported.

        Returns
        -------
        PackReport
            What was done. `print` shows it as text.

        Raises
        ------
        InvalidArgument
            If an argument is wrong.
        NotCached
            If a named run or project is not in the lake.
        MissingExtra
            If pyiceberg is not installed; the extra ``lake`` has it.
        CacheError
            If the tables cannot be written.
        """
        from runlake.lake.chosen_runs import chosen_directories
        from runlake.lake.clusters.executors import checked_executor
        from runlake.lake.clusters.packing import writer_of
        from runlake.lake.packed.pack import pack

        self._refuse_if_fixed("pack")
        check_flag(drop_exports, "drop_exports")
        write = writer_of(checked_executor(executor), self.path)
        chosen = chosen_directories(self._settings, runs)
        return pack(self._settings, chosen, drop_exports=drop_exports, write=write)

    def verify(self, against: Api | str | None = None) -> pl.DataFrame:
        """Compare the runs of the lake with the runs of a backend.

        Use it before you delete runs at the backend. With the name of a snapshot, compare the files
        of the snapshot with their recorded digests instead.

        Parameters
        ----------
        against : Api or str, optional
            The backend, or the name of a snapshot. If omitted, a lake that was opened at a snapshot
            is compared with this snapshot, and any other lake with the backend of the settings.

        Returns
        -------
        polars.DataFrame
            A row per run: ``entity``, ``project``, ``run_id``, ``status``, ``reason``,
            ``has_all_files`` (whether all files of the run were requested), ``pulled_at``,
            ``n_artifacts`` (how many artifacts the run has logged at the backend) and
            ``n_missing_artifacts`` (how many of these have files that are missing or damaged in the
            lake; pull with ``artifacts=True``). The status is "complete" (the lake has all rows and
            fields as the backend has them), "incomplete" (rows, keys or files are missing in the
            lake), "changed" (at the backend, since the pull), "gone" (deleted at the backend),
            "only here" (the run is from another backend) or "only there" (the run was not pulled,
            but other runs of its project were). Exports that may have been changed on disk are
            compared with their checksums. For a snapshot, the status is "intact" (no byte has
            changed since the snapshot was taken) or "damaged", and there are no columns
            ``n_artifacts`` and ``n_missing_artifacts``.

        Raises
        ------
        InvalidArgument
            If the lake is a published lake.
        InvalidType
            If ``against`` is neither an `Api` nor a string.
        NotCached
            If there is no snapshot of this name.
        BackendError
            If the runs cannot be listed.
        """
        if self._published is not None:
            self._refuse_if_fixed("verify")
        name = self._at if against is None else against
        if isinstance(name, str):
            from runlake.lake.snapshots.check import verify_snapshot

            return verify_snapshot(self._lake_dir, name)
        from runlake.lake.verify import verify
        from runlake.public.api import Api
        from runlake.public.lists.attributes import client_of

        client = client_of(Api() if against is None else against)
        return verify(self._settings.cache_dir, client)

    def push(
        self,
        base_url: str | Api,
        runs: Pushable = None,
        *,
        entity: str | None = None,
        project: str | None = None,
        api_key: str | None = None,
        dry_run: bool = False,
        incomplete: str = WARN,
        artifacts: bool = True,
    ) -> PushReport:
        """Copy runs of the lake to a W&B backend, and check each copy by reading it back.

        A run keeps its id, name, config, summary, tags, notes, group, job type, state, history with
        steps and times, system metrics, and all of its files that are in the lake, media and tables
        included. Artifacts that the run logged are sent with the W&B SDK, version by version;
        artifacts that the run used are linked. The report lists for each run what cannot be sent to
        a backend. A run is refused if the backend already has a run with its id. A run that fails
        does not stop the others. If only a part of a run was sent, the push tries to delete this
        part on the backend.

        Parameters
        ----------
        base_url : str or Api
            The backend: the root URL of its API, or an `Api`, whose API key is then used.
        runs : str, Run, LakeRuns, mapping or list, optional
            Paths of runs or projects, `Run` objects, the result of `where`, or a filter; all runs
            if omitted.
        entity, project : str, optional
            Owner and project of the copies. If ``project`` is omitted, each copy gets the project
            of its run in the lake. If ``entity`` is omitted, each copy gets its run's entity, if
            this is the name of the API key's user or of a team of this user; otherwise it gets the
            user's default entity.
        api_key : str, optional
            The API key for the backend. If omitted, the settings name the key.
        dry_run : bool
            Send nothing, and report what would be done.
        incomplete : {"warn", "raise", "skip"}
            What to do with runs that lack keys or steps on disk; see the class.
        artifacts : bool
            Also send artifacts that were pulled with their files. If there are such artifacts, the
            extra ``local`` must be installed.

        Returns
        -------
        PushReport
            What was done. `print` shows it as text.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        NotCached
            If a named run is not in the lake; or if ``incomplete`` is "raise", and a run lacks
            rows.
        MissingExtra
            If there are artifacts to send, and the SDK is not installed; nothing was sent then.
        OfflineError
            If offline mode is on.
        Unreachable, AuthenticationError
            If the backend cannot be reached, or refuses the API key; nothing was sent then.
        """
        from runlake.lake.pushing.push import check_names, choose, push
        from runlake.public.api import Api
        from runlake.public.lists.attributes import client_of

        check_names(entity, project)
        check_flag(dry_run, "dry_run")
        check_flag(artifacts, "artifacts")
        check_word(incomplete, "incomplete", POLICIES)
        if isinstance(base_url, str):
            # None instead of False, so that the environment can still turn offline mode on.
            is_offline = self._is_offline or None
            try:
                base_url = Api({"base_url": base_url}, api_key=api_key, offline=is_offline)
            except SettingsError as error:
                # Other settings are from files and the environment, and are no argument of `push`.
                if error.facts.get("setting") != "base_url":
                    raise
                raise InvalidArgument(str(error)) from error
        if self._published is not None:
            raise InvalidArgument(
                f"The published lake at {self._published.place!r} cannot be pushed: it has neither "
                "exports nor files of its runs. Push the lake that was published."
            )
        client = client_of(base_url)
        if runs is None or isinstance(runs, LakeRuns):
            fixed = (self if runs is None else runs)._fixed(incomplete)  # noqa: SLF001 - its own
        elif isinstance(runs, Mapping):
            fixed = self.where(runs)._fixed(incomplete)  # noqa: SLF001 - of this class
        else:
            fixed = choose(self._fixed(incomplete), runs)
        return push(client, fixed, entity, project, artifacts=artifacts, dry_run=dry_run)

    @property
    def path(self) -> Path:
        """The directory with the catalog and the runs."""
        return self._settings.cache_dir

    @property
    def settings(self) -> Settings:
        """The settings in use: arguments, environment and settings files combined."""
        return self._settings

    @property
    def _catalog(self) -> Catalog:
        """The catalog of the runs; runs on disk that it lacks are added first."""
        catch_up(self._settings.cache_dir)
        return Catalog(self._settings.cache_dir)

    def run(self, path: str) -> Run:
        """Return a run as it was when it was last pulled.

        Parameters
        ----------
        path : str
            ``entity/project/run_id``, ``run_id`` if only one run has it, or the URL of its page.

        Returns
        -------
        Run
            The run. Its history is read from disk. A read of something that is not on disk raises
            `OfflineError` or `NotCached`.

        Raises
        ------
        InvalidArgument
            If several runs have this id.
        NotCached
            If the run is not in the lake.
        """
        runs = self._fixed(WARN)
        return runs.open(find_one(runs.runs, path, self.path))

    def diff(
        self,
        a: str | Run,
        b: str | Run,
        keys: list[str] | None = None,
        *,
        incomplete: str = WARN,
    ) -> RunDiff:
        """Compare two runs: config, summary, and the first step at which their curves differ.

        Parameters
        ----------
        a, b : str or Run
            The runs, named as for `run`.
        keys : list of str, optional
            Keys whose curves to compare; all keys if omitted.
        incomplete : {"warn", "raise", "skip"}
            What to do if a run lacks keys or steps on disk. Both "skip" and "raise" raise
            `NotCached`.

        Returns
        -------
        RunDiff
            The differences. `print` shows them as text.
        """
        from runlake.lake.diff import diff_runs

        check_word(incomplete, "incomplete", POLICIES)
        # Wrong keys are refused before anything is read.
        Projection.from_arguments(keys)
        pair = self._fixed(WARN if incomplete == WARN else RAISE).chosen(
            [str(one._path) if isinstance(one, Run) else one for one in (a, b)]  # noqa: SLF001
        )
        found = diff_runs(pair, keys)
        pair.source.warn_of_lacking()
        return found

    def __repr__(self) -> str:
        at = "" if self._at is None else f" at {self._at!r}"
        place = str(self._lake_dir) if self._published is None else self._published.place
        return line_for_screen(f"<Lake {place!r}{at}>")


def _settings(path: Any, offline: bool | None) -> Settings:
    if path is None:
        return load_settings(offline=offline)
    named: object = path
    if not isinstance(named, (str, os.PathLike)) or not str(named):
        raise InvalidType(f"path must be a directory, not {path!r}.")
    settings = load_settings({"cache_dir": path}, offline=offline)
    # `path` may be the folder `runlake` itself, to which the settings append another `runlake`.
    root = settings.cache_dir.parent
    is_root = any((root / name).exists() for name in (DATABASE, LAYOUT_VERSION))
    return replace(settings, cache_dir=root) if is_root else settings
