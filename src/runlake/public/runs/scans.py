"""Methods of a list of runs that read the runs' rows as one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, InvalidType, NoRowsWarning
from runlake.errors.user_line import warn
from runlake.exports.progress import Progress
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.plan.reasons import explain_no_keys
from runlake.history.reader import SYSTEM_ROWS, Reading
from runlake.history.runs.axes import AUTO, common_axis
from runlake.history.runs.key_choice import KeyChoice
from runlake.history.runs.open import ListedRun, side_by_side
from runlake.history.runs.packed import PackedReading
from runlake.history.runs.samples import Sampling, sample_runs
from runlake.public.progress import progress_of
from runlake.public.run.keys import checked_pattern
from runlake.public.runs.table import RunTable
from runlake.values import (
    RUN_ID,
    STEP,
    ProgressOption,
    Projection,
    Question,
    Row,
    check_count,
    check_flag,
    check_text,
)

if TYPE_CHECKING:
    import re

    import duckdb
    import polars as pl

    from runlake.history.runs.scan import AnyReading


@dataclass(frozen=True, slots=True)
class RowRequest:
    """The checked arguments of a scan of runs.

    Parameters
    ----------
    question : Question
        Keys and steps to read; the x axis is read too, even if it is not among the keys.
    choice : KeyChoice or None
        Chooses the keys by pattern or kind; None if ``question`` names the keys.
    x : str
        The key of the x axis, ``_step``, or "auto".
    columns : tuple of str
        Columns of `frame`; a run's values are repeated in each of its rows.
    tail : int or None
        Number of last rows to read of each run; None means all rows.
    lineage : bool
        True to begin with the rows of the runs from which a run was forked.
    progress : Progress or None
        Reports the progress, counted in runs; None means to report it as the settings say.
    """

    question: Question
    choice: KeyChoice | None
    x: str
    columns: tuple[str, ...]
    tail: int | None
    lineage: bool = False
    progress: Progress | None = None


class RunScans(RunTable):
    """Methods of a list of runs that read the runs' rows as one frame."""

    def scan(
        self,
        keys: list[str] | None = None,
        *,
        like: str | re.Pattern[str] | None = None,
        kind: str | None = None,
        x: str | None = None,
        columns: Sequence[str] = (),
        how: str | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        tail: int | None = None,
        lineage: bool = False,
        progress: ProgressOption = None,
    ) -> pl.LazyFrame:
        """Read the histories of all runs as one lazy frame; live rows are fetched immediately.

        A run without live rows costs no request if it has not changed since its exports were
        downloaded. A run that was resumed or has live rows costs one request, and one more for each
        page of live rows.

        Parameters
        ----------
        keys : list of str or None
            Return only these keys, and only rows that have all of them. None means every row and
            key.
        like : str or re.Pattern, optional
            Choose keys by name, in place of ``keys``: a glob such as ``"val/*"``, or a compiled
            regular expression that matches whole keys.
        kind : str, optional
            Choose keys by kind, in place of ``keys`` or together with ``like``: a kind of
            `Run.keys` such as "number", or "not media".
        x : str, optional
            A key whose values replace ``_step``; only rows that have it are returned. "auto" means
            the axis that ``define_metric`` declared for the keys.
        columns : list of str
            Columns of `frame`: fields such as ``name``, and paths such as ``config.lr`` and
            ``summary.loss``. A run's values are repeated in each of its rows.
        how : {"all", "any"}, optional
            "any" returns rows that have at least one of the keys, "all" rows that have all of them.
            The default is "any" with ``like`` and ``kind``, and "all" with ``keys``.
        min_step, max_step : int or None
            First step, inclusive, and the step to stop before, exclusive; None means no limit.
        tail : int, optional
            Return only the last ``tail`` rows of each run, of the rows that the other arguments
            select.
        lineage : bool
            For each run that was forked, begin with the rows of the runs from which it was forked,
            as `Run.scan` does. The configs of the runs are loaded for this.
        progress : bool, callable or None
            How to show progress; see `Run.pull`. Only the runs that were not in the cache are
            counted.

        Returns
        -------
        polars.LazyFrame
            ``run_id``, the columns, ``_step`` or the x axis, then one column per key. The rows are
            in the order of the list of runs, and within a run ascending by step. Predicates and
            projections are pushed down to the cached files.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request. Also if ``x`` is "auto" and
            the keys have several axes, or if every key is read and the name of a key is also the
            name of a column, such as ``run_id``.
        ExportError, CacheError
            If the exports of a run cannot be downloaded.

        Notes
        -----
        Each key has one type for all runs. If its values have no common type, they become JSON
        text, and a `MixedTypesWarning` names the key. A `NoRowsWarning` names keys that no run has.
        """
        asked = check_request(
            keys,
            like=like,
            kind=kind,
            x=x,
            columns=columns,
            how=how,
            min_step=min_step,
            max_step=max_step,
            tail=tail,
            lineage=lineage,
        )
        shown = progress_of(self._client.settings, progress)
        return self._scanned(replace(asked, progress=shown))[0]

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Query the runs and their histories with SQL.

        Parameters
        ----------
        query : str
            SQL in DuckDB's dialect over four views, which can be joined by ``run_id``. ``runs`` has
            the rows of `frame`, one per run; ``config`` and ``summary`` are structs, so that
            ``config.lr`` is a value. ``history`` has the rows that `scan` returns without
            arguments: one per run and step, with a column per key. ``metrics`` has the numbers of
            ``history`` in long form, with the columns ``run_id``, ``_step``, ``key`` and ``value``.
            ``system`` has the rows that `system` returns without arguments.

        Returns
        -------
        duckdb.DuckDBPyRelation
            The query, which has not run yet; ``.pl()``, ``.df()``, ``.fetchall()`` and ``.show()``
            run it. The order of rows is undefined unless the query has an ORDER BY.

        Raises
        ------
        InvalidArgument
            If the query is invalid or returns no result set.

        Examples
        --------
        ``runs.sql("SELECT config.lr, min(loss) FROM runs JOIN history USING (run_id) GROUP BY 1")``
        """
        if not isinstance(query, str):
            raise InvalidType(f"query must be SQL as text, not {query!r}.")
        check_text(query, "The SQL")
        from runlake.history.runs.sql import query_runs

        # The query gets functions, so that only the views that it names are read.
        every = check_request(None)
        return query_runs(
            query,
            self._table_of_sql,
            lambda: self._scanned(every, leaves_out=True)[0],
            lambda: self._system_rows(SYSTEM_ROWS),
        )

    def keys(self, pattern: str | None = None, kind: str | None = None) -> pl.DataFrame:
        """Return a table of the keys of each run, with counts and bounds; no history is read.

        Parameters
        ----------
        pattern, kind
            As for `Run.keys`.

        Returns
        -------
        polars.DataFrame
            ``run_id`` and the columns of `Run.keys`. There is a row for each key of each run, run
            by run. If no key matches, a `NoRowsWarning` names existing keys.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.

        Examples
        --------
        Rows and runs of each key: ``runs.keys().group_by("key").agg(pl.sum("count"), pl.len())``
        """
        from runlake.history.frames.key_table import key_table_of_runs

        expression = checked_pattern(pattern)
        choice = KeyChoice.from_arguments(expression, kind) or KeyChoice()
        listed = self._listed()
        facts = self._key_facts(listed)
        found = [choice.matching(of_run.values()) for of_run in facts]
        known = {key: one for of_run in facts for key, one in of_run.items()}
        if known and not any(found):
            warn(explain_no_keys(self._place, known, pattern, kind), NoRowsWarning)
        ids = [run.run_id for run in listed]
        return key_table_of_runs(zip(ids, found, strict=True))

    def system(self, keys: list[str] | None = None, *, samples: int = SYSTEM_ROWS) -> pl.DataFrame:
        """Return the system metrics of each run, as the backend samples them.

        Parameters
        ----------
        keys : list of str, optional
            Metrics to return besides ``run_id``, such as ``system.gpu.0.gpu``. If omitted, all
            metrics are returned.
        samples : int
            Maximum number of rows per run.

        Returns
        -------
        polars.DataFrame
            ``run_id``, then a column per metric, ascending in time within a run.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        """
        import polars as pl

        from runlake.history.frames.json_columns import frame_of

        check_count(samples, "samples")
        wanted = Projection.from_arguments(keys).keys
        if wanted is not None:
            wanted = tuple(key for key in wanted if key != RUN_ID)
        frame = frame_of(self._system_rows(samples))
        if not frame.columns:
            frame = pl.DataFrame(schema={RUN_ID: pl.String})
        if wanted is None:
            return frame
        missing = [key for key in wanted if key not in frame.columns]
        return frame.with_columns(pl.lit(None).alias(key) for key in missing)[[RUN_ID, *wanted]]

    def _table_of_sql(self) -> pl.DataFrame:
        """Return the rows of the SQL view ``runs``."""
        return self.frame()

    def _system_rows(self, samples: int) -> list[Row]:
        listed = self._listed()
        found = sample_runs(self._source, listed, Sampling(samples, None, is_system=True))
        return [
            {RUN_ID: run.run_id, **row}
            for run, one in zip(listed, found, strict=True)
            for row in one.rows
        ]

    def scan_histories(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> pl.LazyFrame:
        """Read the histories of all runs as one lazy frame. This is an alias of `scan`."""
        return self.scan(keys, min_step=min_step, max_step=max_step)

    def _scanned(self, asked: RowRequest, *, leaves_out: bool = False) -> tuple[pl.LazyFrame, str]:
        """Return the rows of the runs as a lazy frame, and the key of the x axis.

        If ``leaves_out`` is True, a key that has the same name as a column of the runs is left out.
        """
        from runlake.history.runs.run_table import needs_large_fields

        _, scanned = self._listed_and_read(
            _known_question(asked),
            lambda listed: self._scanned_of(listed, asked, leaves_out=leaves_out),
            is_full=needs_large_fields(asked.columns),
        )
        return scanned

    def _scanned_of(
        self, listed: Sequence[ListedRun], asked: RowRequest, *, leaves_out: bool
    ) -> tuple[pl.LazyFrame, str]:
        import polars as pl

        from runlake.history.runs.scan import scan_readings

        asked = self._with_keys(asked, listed)
        # Every result has the column `run_id` anyway.
        asked = replace(asked, columns=tuple(name for name in asked.columns if name != RUN_ID))
        table = self._columns(asked.columns) if asked.columns else None
        # No key matches. To the readings, no keys would mean every row.
        if asked.question.keys == () and asked.choice is not None:
            ids = pl.DataFrame(schema={RUN_ID: pl.String})
            axis = STEP if asked.x == AUTO else asked.x
            columns = [] if table is None else [table.clear()]
            steps = pl.DataFrame(schema={axis: pl.Int64})
            return pl.concat([ids, *columns, steps], how="horizontal").lazy(), axis
        axis = self._axis(asked, listed)
        if asked.choice is not None:
            asked = _without_key(asked, axis)
        question = _with_axis(asked.question, axis)
        projection = question.projection
        # Rows without the axis are removed only below, so the last rows can be counted only then.
        is_late = axis != STEP and (projection.keys is None or projection.how == "any")
        is_late = is_late or asked.lineage
        tail = None if is_late else asked.tail
        shown = asked.progress or progress_of(self._client.settings)
        readings = self._opened(listed, question, shown, with_parents=asked.lineage)
        # A packed run has no files whose last rows could be found alone.
        if tail is not None and any(isinstance(one, PackedReading) for one in readings):
            is_late = True
        elif tail is not None:
            readings = self._tails(readings, tail)
        run_ids = [run.run_id for run in listed]
        if asked.lineage:
            readings, places = self._with_parents(readings, question)
            run_ids = [run_ids[place] for place in places]
            table = None if table is None else table.select(pl.all().gather(places))
        frame = scan_readings(
            self._client,
            readings,
            run_ids,
            self._place,
            projection,
            table,
            leaves_out=leaves_out,
        )
        if axis != STEP:
            frame = _on_axis(frame, axis, asked, projection)
        if is_late and asked.tail is not None:
            frame = frame.group_by(RUN_ID, maintain_order=True).tail(asked.tail)
        return frame, axis

    def _planned(self, asked: RowRequest) -> tuple[Sequence[AnyReading], Question, str]:
        """Plan a read of named keys of all runs.

        Return a planned read per run, the keys and steps to read, and the key of the x axis.
        """
        _, planned = self._listed_and_read(
            _known_question(asked), lambda listed: self._planned_of(listed, asked)
        )
        return planned

    def _planned_of(
        self, listed: Sequence[ListedRun], asked: RowRequest
    ) -> tuple[Sequence[AnyReading], Question, str]:
        axis = self._axis(asked, listed)
        question = _with_axis(asked.question, axis)
        shown = progress_of(self._client.settings)
        readings = self._opened(listed, question, shown, with_parents=asked.lineage)
        return readings, question, axis

    def _opened(
        self,
        listed: Sequence[ListedRun],
        question: Question,
        progress: Progress,
        *,
        with_parents: bool = False,
    ) -> Sequence[AnyReading]:
        """Plan a read of each run; ``with_parents`` is True if their ancestors will be read too."""
        del with_parents
        return self._source.open(listed, question, progress)

    def _tails(self, readings: Sequence[AnyReading], n_rows: int) -> list[Reading]:
        exported = [one for one in readings if isinstance(one, Reading)]
        return side_by_side(self._client, lambda reading: reading.last(n_rows), exported)

    def _with_parents(
        self, opened: Sequence[AnyReading], question: Question
    ) -> tuple[list[Reading], list[int]]:
        """For each run, add planned reads of the ancestors from which it was forked.

        Return all planned reads, in the order of the list of runs. For each read, also return the
        index of the run in this list.
        """
        from runlake.history.runs.lineage import open_lineages

        readings = [one for one in opened if isinstance(one, Reading)]
        # The branch point is in the config of a fork, so configs are needed.
        points = [run.forked_from for run in self._full_runs()]
        chains = open_lineages(self._source, readings, points, question)
        places = [place for place, chain in enumerate(chains) for _ in chain]
        return [reading for chain in chains for reading in chain], places

    def _with_keys(self, asked: RowRequest, listed: Sequence[ListedRun]) -> RowRequest:
        """Return ``asked`` with the names of the keys to read.

        If ``asked`` chooses keys by pattern or kind, these are the runs' keys that match.
        """
        if asked.choice is None:
            return asked
        facts = self._key_facts(listed, lineage=asked.lineage)
        every = asked.choice.matching(one for of_run in facts for one in of_run.values())
        keys = dict.fromkeys(one.key for one in every)
        # A pattern may match keys that are named like columns of the result; these are left out.
        taken = {RUN_ID, *asked.columns}
        found = [key for key in keys if key not in taken and key != asked.x]
        known = {key: one for of_run in facts for key, one in of_run.items()}
        if not found and known:
            said = explain_no_keys(self._place, known, asked.choice.text, asked.choice.kind)
            warn(said, NoRowsWarning)
        projection = replace(asked.question.projection, keys=tuple(found))
        return replace(asked, question=replace(asked.question, projection=projection))

    def _key_facts(
        self, listed: Sequence[ListedRun], *, lineage: bool = False
    ) -> list[dict[str, KeyFacts]]:
        """Return kind, count, steps and bounds of each key, in one dict per run.

        If ``lineage`` is True, there is also a dict for each ancestor of a run.
        """
        question = Question(Projection(()))
        shown = progress_of(self._client.settings)
        readings = self._opened(listed, question, shown, with_parents=lineage)
        if lineage:
            readings, _ = self._with_parents(readings, question)
        return side_by_side(self._client, lambda reading: reading.logged_keys(), readings)

    def _axis(self, asked: RowRequest, listed: Sequence[ListedRun]) -> str:
        if asked.x != AUTO:
            return asked.x
        keys = asked.question.keys or ()
        facts = self._key_facts(listed)
        # Only the keys that a run has count for its axis.
        return common_axis(
            ([key for key in keys if key in known], run.metrics())
            for run, known in zip(self._full_runs(), facts, strict=False)
        )


def check_request(
    keys: list[str] | None,
    *,
    like: str | re.Pattern[str] | None = None,
    kind: str | None = None,
    x: str | None = None,
    columns: Sequence[str] = (),
    how: str | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
    tail: int | None = None,
    lineage: bool = False,
) -> RowRequest:
    """Check the arguments of `RunScans.scan`, and return them as a `RowRequest`."""
    from runlake.history.runs.run_table import checked_columns

    choice = KeyChoice.from_arguments(like, kind)
    if choice is not None and keys is not None:
        raise InvalidArgument("keys cannot be combined with like or kind: name the keys, or these.")
    # A pattern may match keys that were never logged together.
    default = "all" if choice is None else "any"
    question = Question.from_arguments(keys, default if how is None else how, min_step, max_step)
    axis = STEP if x is None else x
    if not isinstance(axis, str):
        raise InvalidArgument(f"x must be a key, not {x!r}.")
    check_text(axis, "x")
    if axis == AUTO and question.keys is None and choice is None:
        raise InvalidArgument("x='auto' needs keys: name the keys whose axis to use.")
    names = checked_columns(columns)
    if tail is not None:
        check_count(tail, "tail")
    check_flag(lineage, "lineage")
    for key in (*(question.keys or ()), axis):
        if key == RUN_ID or key in names:
            raise InvalidArgument(f"keys must not name {key!r}: that is a column of the run.")
    if choice is not None:
        projection = replace(question.projection, keys=(), how="all" if how == "all" else "any")
        question = replace(question, projection=projection)
    return RowRequest(question, choice, axis, names, tail, lineage)


def _known_question(asked: RowRequest) -> Question | None:
    """Return the keys and steps to read; None if the keys to read depend on the runs."""
    is_known = asked.choice is None and asked.x != AUTO
    return _with_axis(asked.question, asked.x) if is_known else None


def _without_key(asked: RowRequest, key: str) -> RowRequest:
    """Return ``asked`` without the key of the x axis, which has a column of its own anyway.

    If this is the only key, return ``asked`` unchanged.
    """
    projection = asked.question.projection
    kept = tuple(one for one in projection.keys or () if one != key)
    if not kept:
        return asked
    projection = replace(projection, keys=kept)
    return replace(asked, question=replace(asked.question, projection=projection))


def _with_axis(question: Question, axis: str) -> Question:
    """Return ``question`` with the key of the x axis added to the keys to read."""
    keys = question.keys
    if axis == STEP or keys is None or axis in keys:
        return question
    return replace(question, projection=replace(question.projection, keys=(*keys, axis)))


def _on_axis(
    frame: pl.LazyFrame, axis: str, asked: RowRequest, projection: Projection
) -> pl.LazyFrame:
    """Replace the column ``_step`` by the key of the x axis; drop rows without this key."""
    import polars as pl

    from runlake.history.decode.expressions import are_present, in_order, named

    keys = asked.question.keys
    if keys is None:
        names = frame.collect_schema().names()
        # No run has the key: then no row is left.
        if axis not in names:
            frame = frame.with_columns(pl.lit(None).alias(axis))
        names = [name for name in names if name not in (STEP, axis)]
        n_fixed = 1 + len(asked.columns)
        ordered = [*names[:n_fixed], axis, *names[n_fixed:]]
    else:
        ordered = [RUN_ID, *asked.columns, axis, *(key for key in keys if key != axis)]
    kept = frame.filter(named(axis).is_not_null())
    if keys and projection.how == "any":
        kept = kept.filter(are_present(keys, "any"))
    return kept.select(in_order(ordered))
