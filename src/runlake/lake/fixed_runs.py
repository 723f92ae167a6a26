"""`FixedRuns`: a list of runs of a lake that stays the same during one read."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runlake.backend.http.client import Client
from runlake.cache.layout import RunDirectory, is_published_root
from runlake.cache.store import read_manifest
from runlake.errors import IncompleteWarning, NotCached, OfflineError
from runlake.errors.user_line import warn
from runlake.exports.progress import Progress
from runlake.history.runs.open import ListedRun, side_by_side
from runlake.lake.disk_source import DiskSource, describe_lacking
from runlake.lake.one_run import find_one
from runlake.lake.packed.elsewhere import shown_place
from runlake.lake.query.selection import FoundRow, LakeRun, Selection
from runlake.public.run.run import Run
from runlake.public.runs.attachments import RunAttachments
from runlake.public.runs.histories import RunHistories
from runlake.public.runs.plots import RunsPlots
from runlake.settings import Settings
from runlake.values import Question

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.runs.scan import AnyReading
    from runlake.history.runs.values import Choice
    from runlake.lake.packed.choice import PackedChoice
    from runlake.public.files import File
    from runlake.public.runs.scans import RowRequest


class FixedRuns(RunHistories, RunsPlots, RunAttachments):
    """A list of runs of a lake that stays the same during one read.

    The catalog is queried for the runs once, at their first use.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    selection : Selection
        Which runs to list, and in which order.
    policy : {"warn", "raise", "skip"}
        What to do with a run that lacks keys or steps on disk.
    skipped : collection of str
        Runs to leave out, by their names in the column ``run_id``.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        policy: str,
        skipped: Collection[str] = frozenset(),
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._policy = policy
        self._skipped = frozenset(skipped)

    @cached_property
    def runs(self) -> list[LakeRun]:
        """The runs, in the order of the selection, or in the order that `only` was given."""
        return [self._selection.run_of(row) for row in self._rows]

    @cached_property
    def relative(self) -> dict[str, str]:
        """The directory of each run, relative to the cache root.

        The keys are the runs' names in the column ``run_id``.
        """
        return {label: row[-1] for label, row in self._rows}

    @cached_property
    def _rows(self) -> list[FoundRow]:
        # A value per run from statistics needs no objects of 100,000 runs.
        return [row for row in self._selection.find_rows() if row[0] not in self._skipped]

    @cached_property
    def source(self) -> DiskSource:
        """The source that opens the histories of the runs on disk."""
        directories = {run.run_id: run.directory for run in self.runs}
        return DiskSource(self._settings, directories, self._policy, self.packed)

    @cached_property
    def packed(self) -> PackedChoice | None:
        """The runs that can be read from packed tables; None if there are no packed tables."""
        from runlake.lake.packed.choice import choose_packed

        return choose_packed(self._settings.cache_dir, self.relative)

    def _known_per_run(self, key: str, choice: Choice) -> pl.DataFrame | None:
        packed = self.packed
        if packed is None or choice.name is None or len(packed.numbers) < len(self.relative):
            return None
        return packed.known_per_run(key, choice.name)

    def _opened(
        self,
        listed: Sequence[ListedRun],
        question: Question,
        progress: Progress,
        *,
        with_parents: bool = False,
    ) -> Sequence[AnyReading]:
        # The code for lineages takes `Reading` objects only, and ignores packed readings.
        source = self.source
        read = source.open if with_parents else source.open_any
        return read(listed, question, progress)

    def without(self, run_ids: Collection[str]) -> FixedRuns:
        """Return a `FixedRuns` without the runs that have these names in the column ``run_id``."""
        skipped = self._skipped.union(run_ids)
        # Not listed again: with fewer runs, ``run_id`` could become the id alone.
        return self._of([run for run in self.runs if run.run_id not in skipped], skipped)

    def chosen(self, paths: Sequence[str]) -> FixedRuns:
        """Return the runs that the paths name, in the order of the paths."""
        return self.only([find_one(self.runs, path, self._settings.cache_dir) for path in paths])

    def only(self, runs: list[LakeRun]) -> FixedRuns:
        """Return a `FixedRuns` of only the given runs, in the given order."""
        return self._of(runs)

    def _of(self, runs: list[LakeRun], skipped: Collection[str] = frozenset()) -> FixedRuns:
        some = FixedRuns(self._settings, self._selection, self._policy, skipped)
        some.runs = runs
        some.relative = {run.run_id: run.relative for run in runs}
        return some

    def warn_of_lacking(self) -> None:
        """Issue one `IncompleteWarning` about all runs that lacked keys or steps so far, if any."""
        # An answer from statistics alone has opened no run.
        if "source" in vars(self):
            self.source.warn_of_lacking()

    @property
    def _client(self) -> Client:  # type: ignore[override]
        return self.source.client

    @property
    def place(self) -> str:
        """The path or URL of the lake, for messages."""
        return shown_place(self._settings.cache_dir)

    @property
    def _place(self) -> str:
        return self.place

    @property
    def _source(self) -> DiskSource:
        return self.source

    def listed(self) -> list[ListedRun]:
        """Return the runs as `ListedRun` objects, for the functions that read many runs."""
        return [ListedRun(run.path, None, run.run_id) for run in self.runs]

    def prepared(self, asked: RowRequest) -> tuple[list[ListedRun], RowRequest, pl.DataFrame]:
        """Return the runs, a request that names all of its keys, and a frame of columns.

        In the returned request, a pattern or kind of keys is replaced by the names of the keys that
        match. The frame has the requested columns of the runs, one row per run; its first column is
        ``run_id``.
        """
        import polars as pl

        from runlake.values import RUN_ID

        listed = self.listed()
        asked = self._with_keys(asked, listed)
        names = [name for name in asked.columns if name != RUN_ID]
        ids = pl.Series(RUN_ID, [run.run_id for run in listed], pl.String).to_frame()
        table = pl.concat([ids, self._columns(names)], how="horizontal") if names else ids
        return listed, asked, table

    def files(self, pattern: str | None = None) -> dict[str, list[File]]:
        """Return the stored files of the runs, by the runs' names in the column ``run_id``.

        One `IncompleteWarning` names the runs whose files are not on disk; they are left out.

        Parameters
        ----------
        pattern : str, optional
            Pattern of file names, as for `Run.files`.
        """
        from runlake.public.files import check_pattern

        check_pattern(pattern)

        def read(run: Run) -> list[File] | None:
            try:
                return list(run.files(pattern=pattern))
            except OfflineError:
                return None

        found = dict(zip(self._ids(), side_by_side(self._client, read, self._runs()), strict=True))
        lacking = [run_id for run_id, files in found.items() if files is None]
        if lacking:
            warn(
                f"{describe_lacking(dict.fromkeys(lacking, 'its files are not on disk'))} Pull "
                "them with Lake.pull(..., files=True).",
                IncompleteWarning,
            )
        return {run_id: files for run_id, files in found.items() if files is not None}

    def columns(self, names: Sequence[str]) -> pl.DataFrame:
        """Return the named columns of the runs as a frame, one row per run."""
        return self._columns(names)

    def flat_table(self) -> pl.DataFrame:
        """Return all fields, config and summary as scalar columns, one row per run."""
        from runlake.lake.query.table import flat_lake_table

        return flat_lake_table(self._all_fields(), self._place)

    def _listed(self, *, is_full: bool = False) -> list[ListedRun]:
        del is_full  # nothing is requested, so nothing can be requested together
        return self.listed()

    def _ids(self) -> list[str]:
        return list(self.relative)

    def _runs(self) -> list[Run]:
        return [self.open(run) for run in self.runs]

    def _full_runs(self) -> list[Run]:
        return self._runs()

    def open(self, run: LakeRun) -> Run:
        """Return a run as it was when it was last pulled, without a request."""
        client = self.source.client_of(run.directory)
        if not self.is_published:
            return open_run(client, run.directory)
        from runlake.lake.query.run_fields import read_internal_config

        (fields,) = self._fields_of((run.relative,), is_light=False)
        internal = read_internal_config(self._settings.cache_dir, run.relative)
        return published_run(client, run.directory, fields, internal)

    @cached_property
    def is_published(self) -> bool:
        """True if the lake is a published lake; its runs have no directories on this machine."""
        return is_published_root(self._settings.cache_dir)

    def refuse_if_published(self, what: str) -> None:
        """Raise `NotCached` if the runs are read from a published lake.

        Parameters
        ----------
        what : str
            What a published lake does not have, for the message, such as "files".
        """
        if self.is_published:
            raise NotCached(
                f"The published lake at {self.place!r} has no {what} of runs. Pull the runs from "
                "their backend, with files=True.",
                path=self.place,
            )

    def _light_fields(self) -> list[dict[str, Any]]:
        return self._fields(is_light=True)

    def _all_fields(self) -> list[dict[str, Any]]:
        return self._fields(is_light=False)

    def _fields(self, *, is_light: bool) -> list[dict[str, Any]]:
        from runlake.history.runs.run_table import LABEL

        directories = tuple(run.relative for run in self.runs)
        fields = self._fields_of(directories, is_light=is_light)
        found = {one["directory"]: one for one in fields}
        # A run that was deleted meanwhile has no fields.
        return [
            {**found.get(directory, {"name": run.path.run_id}), LABEL: run.run_id}
            for run, directory in zip(self.runs, directories, strict=True)
        ]

    def _fields_of(
        self, directories: tuple[str, ...], *, is_light: bool
    ) -> Sequence[dict[str, Any]]:
        from runlake.lake.query.run_fields import LIGHT, NAMES, read_fields

        chosen = Selection(self._selection.root, directories=directories)
        fields, _ = read_fields(chosen, LIGHT if is_light else tuple(NAMES))
        return fields

    def _table_of_sql(self) -> pl.DataFrame:
        import polars as pl

        from runlake.history.runs.run_table import PLACES

        return pl.concat([self._columns(list(PLACES)), self.frame()], how="horizontal")


def open_run(client: Client, directory: RunDirectory) -> Run:
    """Return a run as it was when it was last pulled.

    Parameters
    ----------
    client : Client
        An offline client of the run's backend.
    directory : RunDirectory
        The run's directory.
    """
    stored = read_manifest(directory)
    path, offer = directory.run, stored.offer
    # The manifest is shared by all who read it, and a script may change the fields.
    attrs: dict[str, Any] = deepcopy(dict(stored.attrs or {}))
    attrs |= {"name": path.run_id, "config": attrs.get("config") or "{}"}
    attrs.setdefault("summaryMetrics", "{}")
    attrs.setdefault("systemMetrics", "{}")
    attrs.setdefault("tags", [])
    if offer is not None:
        attrs |= {
            "state": offer.state,
            "heartbeatAt": offer.heartbeat_at,
            "historyLineCount": offer.line_count,
        }
    return Run(client, path.entity, path.project, path.run_id, attrs, lazy=False)


# Fields of the catalog that a run object does not have under these names.
NOT_OF_RUN = ("backend", "directory", "entity", "project", "label", "url")


def published_run(
    client: Client, directory: RunDirectory, fields: dict[str, Any], internal: dict[str, Any]
) -> Run:
    """Return a run of a published lake, with its fields, config and summary.

    Parameters
    ----------
    client : Client
        An offline client of the run's backend.
    directory : RunDirectory
        The run's directory.
    fields : dict
        The run's fields by the backend's names, with config and summary as dicts.
    internal : dict
        The entries that W&B itself writes into the run's config.
    """
    path = directory.run
    # `Run` takes the fields as a backend sends them: JSON text, with an object around each entry of
    # the config.
    config = {name: {"value": value} for name, value in (fields["config"] | internal).items()}
    attrs = {
        **{name: value for name, value in fields.items() if name not in NOT_OF_RUN},
        "name": path.run_id,
        "config": json.dumps(config),
        "summaryMetrics": json.dumps(fields["summaryMetrics"]),
        "systemMetrics": "{}",
    }
    return Run(client, path.entity, path.project, path.run_id, attrs, lazy=False)
