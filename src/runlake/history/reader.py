"""`Reading`: the opened history of one run, with a method for each output format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar, Unpack

from runlake.backend.http.client import Client
from runlake.cache.catalog import Catalog
from runlake.cache.layout import RunDirectory
from runlake.cache.memory import recall_columns
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import StoredExport
from runlake.errors import CacheCorrupt, InvalidArgument, NoRowsWarning, UnsupportedByBackend
from runlake.errors.user_line import warn
from runlake.exports.footers.facts import ExportFacts
from runlake.history.decode.corruption import telling_corruption
from runlake.history.live.source import BackendRows, LiveSource
from runlake.history.mending import Mending
from runlake.history.opening import PullOptions, open_plan
from runlake.history.plan.plan import Plan, plan_read
from runlake.history.sample.sample import Sample
from runlake.values import STEP, Question, Row, RunPath

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

    from runlake.history.frames.answer_types import Types
    from runlake.history.frames.scan import Scanned
    from runlake.history.frames.stream import Stream
    from runlake.history.head_start import HeadStart
    from runlake.history.live.spool import LiveRows
    from runlake.history.plan.key_facts import KeyFacts
    from runlake.history.rows.build_rows import Rows
    from runlake.history.sql.mentions import Mentions


# More rows than a month of system metrics has at the SDK's rate of one sample in 15 seconds.
SYSTEM_ROWS = 200_000

# Round trips to the backend shorter than this are not worth a head start, which slows the request
# down because both need the processor.
FAR_SECONDS = 0.015

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """A planned read of one run's history, with a method for each output format.

    Parameters
    ----------
    client : Client
        The client of the backend.
    plan : Plan
        What to read.
    live : LiveSource
        Fetches the plan's rows that are in no export yet.
    head_start : HeadStart or None
        Contains the first rows if they are decoded in advance; else None.
    """

    client: Client
    plan: Plan
    live: LiveSource
    head_start: HeadStart | None = None

    @property
    def pulled(self) -> PullResult:
        """The result of the pull: the run's manifest and its cached exports."""
        return self.plan.pulled

    @property
    def step_bounds(self) -> tuple[int, int]:
        """The first and the last step that the read can return, both inclusive."""
        steps, last = self.plan.steps, self.pulled.manifest.last_step
        return steps.start, last if steps.stop is None else min(last, steps.stop - 1)

    def iter_rows(self, page_size: int) -> Iterator[Row]:
        """Return an iterator over rows as dicts; warn if it is empty although the run has rows."""
        # Not a generator, because it would be resumed for each row.
        return chain.from_iterable(self._warned_batches(page_size))

    def _warned_batches(self, page_size: int) -> Iterator[Rows]:
        has_rows = False
        for batch in self._healed_rows(page_size):
            has_rows = True
            yield batch
        if not has_rows:
            self.warn_no_rows()

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame.

        The rows that are in no export yet are fetched before the call returns.
        """
        from runlake.history.frames.scan import warn_of_json

        scanned = self.tried().healing(lambda reading: reading._scanned())  # noqa: SLF001
        warn_of_json(self.plan.run, scanned.json_keys, self.plan.exports)
        frame = scanned.frame
        # Without a writable cache the exports are temporary files, deleted with this reading: they
        # would be gone when the caller collects the frame.
        return frame if self.pulled.keeper is None else frame.collect().lazy()

    def frame(self) -> pl.DataFrame:
        """Return the rows as a frame; warn if there are no rows although the run has rows."""
        from runlake.history.frames.scan import warn_of_json

        collected, json_keys = self.healing(lambda reading: reading.collected())
        warn_of_json(self.plan.run, json_keys, self.plan.exports)
        if collected.is_empty():
            self.warn_no_rows()
        return collected

    def tried(self) -> Reading:
        """Mend the exports that cannot be decoded, and return a reading of the mended exports.

        To find such exports, each export that was not checked against a digest from its storage
        host is decoded once.
        """
        if all(read.is_promised for read in self.plan.exports):
            return self
        return self.healing(lambda reading: reading._try_exports())  # noqa: SLF001

    def _try_exports(self) -> Reading:
        from runlake.history.decode.engines import POLARS
        from runlake.history.frames.trial import decode_frame, try_once

        for read in self.plan.exports:
            try_once(read, POLARS, decode_frame)
        return self

    def arrow(self) -> pa.RecordBatchReader:
        """Return the rows as a stream of Arrow batches; only a few are in memory at once."""
        import pyarrow as pa

        from runlake.history.frames.scan import warn_of_json

        stream = self.stream()
        warn_of_json(self.plan.run, tuple(stream.json_keys), self.plan.exports)
        return pa.RecordBatchReader.from_batches(stream.schema, stream.batches)

    def stream(self) -> Stream:
        """Return the rows as Arrow batches; if a file is broken, mend it and continue.

        Unlike `arrow`, this method does not warn about columns of JSON text.
        """
        from runlake.history.frames.arrow import answer_schema
        from runlake.history.frames.scan import json_keys, plan_types
        from runlake.history.frames.stream import Stream

        live = self.live_rows()
        types = plan_types(self.plan, live)
        with telling_corruption(*(export.file for export in self.plan.exports)):
            schema = answer_schema(types)
        texts = frozenset(json_keys(types))
        return Stream(schema, self._healed_batches(types, live, schema), texts)

    def _healed_batches(
        self, types: Types, live: LiveRows, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        from runlake.history.frames.arrow import record_batches

        reading, start = self, self.plan.steps.start
        mending = Mending(self.client)
        has_rows, is_over = False, False
        while not is_over:
            try:
                for batch in record_batches(reading.plan, types, live, schema):
                    start = batch.column(0)[-1].as_py() + 1
                    has_rows = True
                    yield batch
                is_over = True
            except CacheCorrupt as corrupt:
                reading = reading.healed(mending, corrupt, start)
                live = reading.live_rows()
        if not has_rows:
            self.warn_no_rows()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Return a SQL query over the views ``history`` and ``system`` as a DuckDB relation."""
        from runlake.history.sql.mentions import find_mentions

        mentions = find_mentions(query)
        live = self.live_rows()
        if mentions.names is not None:
            # DuckDB's error for a wrong name suggests similar names, which needs all columns.
            with suppress(InvalidArgument):
                return self._query(query, mentions, live)
        return self._query(query, replace(mentions, names=None), live)

    def _query(self, query: str, mentions: Mentions, live: LiveRows) -> duckdb.DuckDBPyRelation:
        from runlake.history.frames.scan import json_keys, warn_of_json
        from runlake.history.sample.by_server import fetch_system_rows
        from runlake.history.sql.query import run_query
        from runlake.history.sql.view import Columns, open_history

        run = self.plan.run
        columns = Columns.of(self.plan, live, mentions.names)
        history = self.healing(
            lambda reading: open_history(
                reading.plan,
                columns,
                live,
                is_lasting=reading.pulled.keeper is None,
                is_alone=not mentions.is_select,
                is_one_query=mentions.names is not None,
            )
        )
        relation = run_query(
            history, query, lambda: fetch_system_rows(self.client, run, SYSTEM_ROWS)
        )
        warn_of_json(run, json_keys(columns.types), self.plan.exports)
        return relation

    def last(self, n_rows: int) -> Reading:
        """Return a reading of only the last ``n_rows`` rows."""
        start = self.healing(lambda reading: reading._tail_start(n_rows))  # noqa: SLF001
        if start is None:
            return self
        return replace(self, plan=plan_read(self.pulled, self.plan.question.from_step(start)))

    def _tail_start(self, n_rows: int) -> int | None:
        from runlake.history.frames.tail import tail_start

        return tail_start(
            self.plan,
            n_rows,
            self.pulled.manifest.last_step,
            lambda page: self.live.read_page(self.plan, page),
            lambda steps: self.live.walk(self.plan, steps),
        )

    def sample(
        self, n_rows: int, keys: Sequence[str] | None = None, *, is_silent: bool = False
    ) -> Sample:
        """Return a sample of the rows that shows the shape of each key's curve.

        Parameters
        ----------
        n_rows : int
            Maximum number of rows.
        keys : sequence of str, optional
            Keys of the returned rows, the x axis first. Each one is a key of the plan or ``_step``.
            If omitted, ``_step`` and all keys of the plan.
        is_silent : bool
            True suppresses the warning that no rows were found.

        Returns
        -------
        Sample
            The backend's own sample, if the run has no exports, the backend does not list the steps
            of the run's rows, and the read is of all steps and of the rows that have all keys. In
            all other cases runlake chooses among the planned rows.
        """
        from runlake.history.sample.downsample import rows_of

        if self._is_backends_choice(keys):
            # An older backend cannot sample by keys: then read all rows.
            with suppress(UnsupportedByBackend):
                return self._backends_sample(n_rows, keys)
        picked, n_found, json_keys = self.healing(lambda reading: reading.picked(n_rows, keys))
        if not n_found and not is_silent:
            self.warn_no_rows()
        return Sample(rows_of(picked, json_keys), n_found)

    def sampled_frame(
        self, n_rows: int, keys: Sequence[str] | None = None
    ) -> tuple[pl.DataFrame, int, tuple[str, ...]]:
        """Return sampled rows, the number of rows before sampling, and keys with JSON text.

        The rows are those of `sample`, as a frame. If there are no rows, this method does not warn.
        """
        if self._is_backends_choice(keys):
            from runlake.history.frames.json_columns import frame_of, json_columns_of

            with suppress(UnsupportedByBackend):
                sample = self._backends_sample(n_rows, keys)
                frame = frame_of(sample.rows)
                return frame, sample.n_rows, json_columns_of(frame, sample.rows)
        return self.healing(lambda reading: reading.picked(n_rows, keys))

    def frame_or_sample(
        self, n_rows: int, keys: Sequence[str], *, needs_all: bool = False
    ) -> tuple[pl.DataFrame, int]:
        """Return all rows as a frame, or a sample of them.

        A sample is returned if there are too many rows for one frame, or if the backend itself
        would choose the sample (see `sample`).

        Parameters
        ----------
        n_rows, keys
            As for `sample`.
        needs_all : bool
            Return all rows, however many there are.

        Returns
        -------
        tuple of DataFrame and int
            The rows, and the number of rows before sampling. If there are no rows, this method does
            not warn.
        """
        from runlake.history.sample.candidates import is_divided

        is_sampled = self._is_backends_choice(keys) or is_divided(self.plan, n_rows)
        if is_sampled and not needs_all:
            sampled, n_found, _ = self.sampled_frame(n_rows, keys)
            return sampled, n_found
        frame, _ = self.healing(Reading.collected)
        return frame, frame.height

    def picked(
        self, n_rows: int, keys: Sequence[str] | None
    ) -> tuple[pl.DataFrame, int, tuple[str, ...]]:
        """Return a sample that runlake chooses, not the backend, in the form of `sampled_frame`."""
        from runlake.history.sample.candidates import is_divided, pick_in_parts
        from runlake.history.sample.downsample import pick_rows

        if is_divided(self.plan, n_rows):
            return pick_in_parts(self.plan, self.live_rows(), n_rows, keys)
        frame, json_keys = self.collected()
        return pick_rows(frame, n_rows, keys or frame.columns), frame.height, json_keys

    def _is_backends_choice(self, keys: Sequence[str] | None) -> bool:
        """Return whether the backend samples, of the planned rows, those that `sample` returns.

        The backend samples all steps, and only rows that have all of the keys.
        """
        plan = self.plan
        if self.pulled.exports or not (plan.is_walk and plan.steps.is_unbounded):
            return False
        wanted = set(keys or ()) - {STEP}
        # For a single key, "any" and "all" mean the same rows.
        needs_all_keys = plan.projection.how == "all" or len(wanted) <= 1
        return needs_all_keys and wanted == set(plan.projection.keys or ())

    def _backends_sample(self, n_rows: int, keys: Sequence[str] | None) -> Sample:
        from runlake.history.sample.by_server import fetch_sampled_rows

        rows = fetch_sampled_rows(self.client, self.plan.run, keys, n_rows)
        return Sample(rows, max(len(rows), self.pulled.manifest.line_count or 0))

    def live_rows(self) -> LiveRows:
        """Return the plan's rows that are in no export yet; they are fetched at their first use."""
        from runlake.history.live.spool import LiveRows

        return LiveRows(self.live.iter_pages(self.plan))

    def _scanned(self) -> Scanned:
        from runlake.history.frames.scan import scan_plan

        return scan_plan(self.plan, self.live_rows())

    def collected(self) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """Return the rows as a frame, and the names of the columns that are JSON text."""
        scanned = self._scanned()
        return scanned.frame.collect(), scanned.json_keys

    def healing(self, read: Callable[[Reading], T]) -> T:
        """Return the result of ``read``; if a file is broken, mend it and call ``read`` again."""
        reading, mending = self, Mending(self.client)
        while True:
            files = (export.file for export in reading.plan.exports)
            try:
                with telling_corruption(*files):
                    return read(reading)
            except CacheCorrupt as corrupt:
                reading = reading.healed(mending, corrupt, self.plan.steps.start)

    def healed(self, mending: Mending, corrupt: CacheCorrupt, start: int) -> Reading:
        """Mend broken files, and return a planned read of the rows from step ``start`` on.

        Parameters
        ----------
        mending : Mending
            Mends the files, and limits how often this read downloads a file again.
        corrupt : CacheCorrupt
            Names the files that may be broken.
        start : int
            First step to read, inclusive.
        """
        return replace(self, plan=mending.mend(self.plan, corrupt, start))

    def warn_no_rows(self) -> None:
        """Warn why a read returned no rows, unless the run or the range of steps is empty."""
        from runlake.history.plan.reasons import explain_no_rows

        reason = explain_no_rows(self.pulled.manifest, self.plan.question, self._every_column())
        if reason is not None:
            warn(reason, NoRowsWarning)

    def explain(self) -> Plan:
        """Return the plan, with notes about the requested keys."""
        from runlake.history.plan.reasons import describe_keys

        known = describe_keys(self.pulled.manifest, self.plan.question, self._every_column())
        return replace(self.plan, notes=(*self.plan.notes, *known))

    def key_facts(self) -> dict[str, KeyFacts]:
        """Return each key's kind, count, steps, minimum and maximum, without reading values."""
        from runlake.history.plan.key_facts import find_key_facts

        return find_key_facts(self.pulled.manifest, self._every_column())

    def logged_keys(self) -> dict[str, KeyFacts]:
        """Return the kind, count, steps and bounds of all logged keys.

        In contrast to `key_facts`, this method also reads the rows that are in no export yet, if
        the backend does not list the keys.
        """
        facts = self.key_facts()
        if self.pulled.manifest.key_counts or not (self.plan.live_pages or self.plan.is_walk):
            return facts
        from runlake.history.plan.key_facts import with_live_rows

        return with_live_rows(facts, self.live_rows())

    def _every_column(self) -> list[ExportFacts]:
        return [self._whole_facts(export) for export in self.pulled.exports]

    def _whole_facts(self, export: StoredExport) -> ExportFacts:
        if len(export.facts.columns) == export.facts.n_columns:
            return export.facts
        return recall_columns(Catalog(self.client.settings.cache_dir), export, None).facts

    def iter_batches(self, page_size: int) -> Iterator[list[Row]]:
        """Yield the rows as dicts in non-empty lists; do not warn if there are no rows."""
        from runlake.history.rows.build_rows import lists_of

        return chain.from_iterable(map(lists_of, self._healed_rows(page_size)))

    def _healed_rows(self, page_size: int) -> Iterator[Rows]:
        """Yield the rows in batches; if a file is broken, mend it and continue."""
        from runlake.history.rows.build_rows import last_step
        from runlake.history.rows.rows import read_rows

        reading, start = self, self.plan.steps.start
        mending = Mending(self.client)
        begun = None if self.head_start is None else self.head_start.take
        files = [export.file for export in self.plan.exports]
        # Some values decode, but Python cannot represent them. Their errors are raised outside of
        # the decoder, so the names of the files are added here.
        with telling_corruption(*files):
            while True:
                plan = reading.plan
                try:
                    for batch in read_rows(plan, self.live.iter_pages(plan), page_size, begun):
                        start = last_step(batch) + 1
                        yield batch
                except CacheCorrupt as corrupt:
                    reading = reading.healed(mending, corrupt, start)
                else:
                    return


def open_reading(
    client: Client,
    run: RunPath,
    question: Question,
    *,
    pulled: PullResult | None = None,
    as_rows: bool = False,
    **options: Unpack[PullOptions],
) -> Reading:
    """Download a run's exports and return a planned read of them.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read.
    pulled : PullResult, optional
        The result of an earlier pull. If it is given, its files are read, and the run is not pulled
        again.
    as_rows : bool
        True if the caller will read rows as dicts. If the run had ended at the last pull, its first
        rows may then be decoded before the backend's answer arrives.
    **options
        Passed on to `runlake.cache.pull.pull_run`.

    Returns
    -------
    Reading
        A read of the run at this moment, without rows that are logged later.
    """
    head_start = None
    is_far = client.round_trip >= FAR_SECONDS and not client.settings.offline
    if as_rows and options.get("use_cache", True) and is_far:
        from runlake.history.head_start import HeadStart

        head_start = HeadStart(client, run, question)
    plan = open_plan(client, run, question, pulled=pulled, **options)
    if plan.pulled.n_downloaded:
        head_start = None
    live: LiveSource = BackendRows(client)
    if client.settings.offline and plan.live_pages:
        from runlake.history.live.stored import StoredRows

        settings = client.settings
        live = StoredRows(RunDirectory(settings.cache_dir, settings.base_url, run))
    return Reading(client, plan, live, head_start)
