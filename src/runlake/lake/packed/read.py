"""Read rows of runs from the packed tables as a lazy frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from runlake.history.decode.expressions import polars_type
from runlake.history.frames.answer_types import Types
from runlake.history.frames.sources import check_polars
from runlake.history.plan.arrow_types import is_number, unify
from runlake.history.plan.key_columns import Column, KeyColumns
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.runs.packed import PackedReading, PackedRows
from runlake.lake.packed.kinds import table_of, type_of
from runlake.lake.packed.line_up import Values, line_up
from runlake.lake.packed.values import Numbered, read_values
from runlake.lake.packed.view import PackedView
from runlake.values import STEP, Question, RunPath

# Maximum number of cells in memory at once.
CHUNK_CELLS = 32_000_000
# Maximum number of rows in memory at once, if a filter may keep few of them. Row groups have up to
# a million rows, so smaller chunks would read many row groups twice.
CHUNK_ROWS = 2_000_000
# The results of a read of more keys than this are not cached.
MAX_KEYS = 32
# Smaller integers are exact as floats.
EXACT = 1 << 53
FACTS = ("key", "run", "kind", "count", "first_step", "last_step", "min", "max", "is_known")

T = TypeVar("T")
_guard = threading.Lock()


class PackedRead(PackedRows):
    """The rows of packed runs that have the requested keys and steps.

    Parameters
    ----------
    view : PackedView
        The tables at one moment.
    question : Question
        Keys and steps to read.
    numbers : mapping of str to int
        The run number of each run, by the name that the caller uses for the run.
    """

    def __init__(self, view: PackedView, question: Question, numbers: Mapping[str, int]) -> None:
        self._view = view
        self._question = question
        self._numbers = numbers
        self._n_rows = view.n_rows

    @property
    def view(self) -> PackedView:
        """The packed tables, in the state in which they are read."""
        return self._view

    @cached_property
    def types(self) -> pl.DataFrame:
        """The type of each requested key in each run, one row per key and run.

        The columns are ``key``, ``run`` (the run number), ``type`` (a string from `kinds.text_of`)
        and ``place`` (the key's position among the keys of the run).
        """
        return self._remembered("types", self._read_types)

    def _remembered(self, name: str, find: Callable[[], T]) -> T:
        """Return the result ``name`` of an earlier read of the same keys and runs, from the cache.

        If there is none, call ``find``, and cache what it returns. Nothing is cached for a read of
        all keys or of many keys.
        """
        keys = self._question.keys
        if keys is None or len(keys) > MAX_KEYS:
            return find()
        place = (name, keys, tuple(self._numbers.values()))
        with _guard:
            known: T | None = self._view.memory.get(place)
        if known is not None:
            return known
        found = find()
        with _guard:
            self._view.memory[place] = found
        return found

    def _read_types(self) -> pl.DataFrame:
        names = ("key", "run", "type", "place")
        rows = self._view.stats(names, self._question.keys, list(self._numbers.values()))
        return rows.filter(pl.col("key") != STEP)

    def readings(self, runs: Mapping[str, RunPath]) -> dict[str, PackedReading]:
        """Return a planned read of each run, by the name that the caller uses for the run.

        Parameters
        ----------
        runs : mapping of str to RunPath
            The path of each run, by the same names; runs without an entry are left out.
        """
        columns = self._remembered("columns", self._columns)
        touched = self._touched()
        return {
            directory: PackedReading(
                runs[directory],
                number,
                self._n_rows[number],
                columns.get(number, _NO_COLUMNS) if number in touched else _NO_COLUMNS,
                self._question,
                self,
            )
            for directory, number in self._numbers.items()
            if directory in runs
        }

    def _touched(self) -> Collection[int]:
        """Return the numbers of the runs that can have steps in the requested range.

        A run is left out if its first step is after the range, or its last step before it. The
        types of the returned columns depend only on the other runs.
        """
        steps = self._question.steps
        if steps.is_unbounded:
            return self._n_rows
        numbers = list(self._numbers.values())
        rows = self._view.stats(("run", "min_step", "max_step"), [STEP], numbers)
        return {
            run
            for run, first, last in rows.iter_rows()
            if first is not None and steps.touches(first, last)
        }

    def _columns(self) -> dict[int, KeyColumns]:
        """Return the requested keys that each run has, with their types, by run number.

        Runs with the same keys and types share one `KeyColumns`.
        """
        rows = self.types
        if rows.is_empty():
            return {}
        keys = self._question.keys
        if keys is not None:
            order = pl.Series(list(keys), dtype=pl.String)
            ranks = pl.DataFrame({"key": order, "place": np.arange(len(keys), dtype=np.int32)})
            rows = rows.drop("place").join(ranks, on="key", how="left")
        # Thousands of runs have equal keys, so each distinct set of columns is built once.
        signed = rows.with_columns(pl.struct("key", "type", "place").hash().alias("hash"))
        marks = signed.group_by("run").agg(pl.col("hash").sort().implode().hash().first())
        first = marks.group_by("hash").agg(pl.col("run").first())
        sample = rows.join(first, on="run").sort("place")
        found: dict[int, KeyColumns] = {}
        for (mark,), one in sample.group_by("hash", maintain_order=True):
            found[mark] = KeyColumns(
                Column.of(key, (key,), type_of(text))
                for key, text in zip(one["key"], one["type"], strict=True)
            )
        return {run: found[mark] for run, mark in marks.iter_rows()}

    def scan(self, numbers: Sequence[int], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
        """Return the rows of runs as a lazy frame; see `PackedRows.scan`."""
        schema = {
            **runs.schema,
            STEP: pl.Int64(),
            **{key: polars_type(dtype) for key, dtype in types.items()},
        }

        def produce(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            del batch_size
            names = list(schema) if with_columns is None else with_columns
            if n_rows == 0:
                return
            is_whole = predicate is None and n_rows is None
            for frame in self._frames(numbers, types, runs, names, is_whole=is_whole):
                kept = frame if predicate is None else frame.filter(predicate)
                # Otherwise, a chunk would stay in memory while the next one is read.
                del frame
                if n_rows is not None:
                    kept = kept.head(n_rows)
                    n_rows -= kept.height
                yield kept
                del kept
                if n_rows == 0:
                    return

        return register_io_source(produce, schema=schema, is_pure=True)

    def frame_of(self, number: int, types: Types) -> pl.DataFrame:
        """Return the rows of one run as a frame with ``_step`` and then the keys."""
        frames = self._frames([number], types, pl.DataFrame(), [STEP, *types], is_whole=True)
        return pl.concat(frames)

    def _frames(
        self,
        numbers: Sequence[int],
        types: Types,
        runs: pl.DataFrame,
        names: Sequence[str],
        *,
        is_whole: bool,
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows in chunks, which are smaller if the caller filters rows.

        ``is_whole`` says that the caller keeps every row.
        """
        if not names:
            return
        asked = self._question.keys
        needed = [key for key in types if key in names or asked]
        n_rows = CHUNK_CELLS // max(1, len(needed))
        for start, stop in self._chunks(numbers, n_rows if is_whole else min(n_rows, CHUNK_ROWS)):
            yield self._frame(numbers[start:stop], types, runs[start:stop], names, needed)

    def _frame(
        self,
        numbers: Sequence[int],
        types: Types,
        runs: pl.DataFrame,
        names: Sequence[str],
        needed: Sequence[str],
    ) -> pl.DataFrame:
        part = Numbered(numbers)
        found = {key: self._values(key, part, types) for key in needed}
        axis = None
        if not self._question.keys:
            axis = self._values(STEP, part, {STEP: type_of("int64")})
        places, steps, cells = line_up(found, axis, self._question.projection.how)
        columns = [places.of(one) for one in runs.get_columns() if one.name in names]
        if STEP in names:
            columns.append(steps.alias(STEP))
        columns += [cells[key].alias(key) for key in types if key in names]
        by_name = {one.name: one for one in columns}
        # A list of series would rename the one whose name is empty.
        return pl.DataFrame({name: by_name[name] for name in names})

    def _chunks(self, numbers: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
        start = n_rows = 0
        for place, number in enumerate(numbers):
            n_rows += self._n_rows[number]
            if n_rows >= limit:
                yield start, place + 1
                start, n_rows = place + 1, 0
        if start < len(numbers):
            yield start, len(numbers)

    def _values(self, key: str, part: Numbered, types: Types) -> Values:
        dtype = types[key]
        return read_values(
            self._view, key, self._kinds(key, part), part, dtype, self._question.steps
        )

    def _kinds(self, key: str, part: Numbered) -> dict[str, np.ndarray]:
        """Return the numbers of the runs in ``part`` that have a key, by type of the values."""
        if key == STEP:
            return {"int64": np.asarray(part.numbers, np.int32)}
        by_type = self._by_key.get(key, {})
        return {
            text: held
            for text, of_type in by_type.items()
            if table_of(text) is not None and len(held := of_type[part.holds(of_type)])
        }

    @cached_property
    def _by_key(self) -> dict[str, dict[str, np.ndarray]]:
        return self._remembered("runs", self._group_by_key)

    def _group_by_key(self) -> dict[str, dict[str, np.ndarray]]:
        rows = self.types
        found: dict[str, dict[str, np.ndarray]] = {}
        for (key, text), one in rows.group_by(["key", "type"], maintain_order=True):
            found.setdefault(str(key), {})[str(text)] = one["run"].to_numpy()
        return found

    def files(self) -> dict[str, int]:
        """Return the size in bytes of each file that can have requested rows, by path."""
        keys = set(self.types.select("key", "type").unique().iter_rows())
        if not self._question.keys:
            # A read of all keys has rows without values too, so it reads the steps.
            keys.add((STEP, "int64"))
        numbers = list(self._numbers.values())
        paths = {
            path
            for key, text in keys
            if (table := table_of(text)) is not None
            for path in self._view.files_of(table, key, numbers)
        }
        sizes = {one.path: one.n_bytes for of in self._view.files.values() for one in of}
        return {path: sizes[path] for path in sorted(paths)}

    def key_facts(self, number: int) -> dict[str, KeyFacts]:
        """Return a `KeyFacts` for each key of a run, by key, from the table ``stats``."""
        return self._facts.get(number, {})

    @cached_property
    def _facts(self) -> dict[int, dict[str, KeyFacts]]:
        numbers = list(self._numbers.values())
        rows = self._view.stats((*FACTS, "place"), None, numbers)
        rows = rows.filter(pl.col("kind").is_not_null()).sort("run", "place")
        found: dict[int, dict[str, KeyFacts]] = {}
        for key, run, kind, count, first, last, low, high, is_known, _ in rows.iter_rows():
            bounds = (low, high) if is_known else (None, None)
            found.setdefault(run, {})[key] = KeyFacts(key, kind, count, first, last, *bounds)
        return found

    def known_per_run(self, key: str, choice: str) -> pl.DataFrame | None:
        """Return, for each run, the row with a key's lowest, highest or last value.

        Return None if ``stats`` does not have all of these values; see
        `PackedChoice.known_per_run`.
        """
        check_polars()
        texts = self.types["type"].unique().to_list()
        dtype = unify([type_of(text) for text in texts]) if texts else None
        if dtype is None or not is_number(dtype):
            return None
        known = self.known_values(key, choice)
        if known.height < len(self._numbers):
            return None
        return known.select(STEP, pl.col("value").cast(polars_type(dtype)).alias(key))

    def known_values(self, key: str, choice: str) -> pl.DataFrame:
        """Return a key's lowest, highest or last number in each run, and the step of this number.

        The columns are ``run``, ``_step`` and ``value``. A run without such a number has nulls. A
        run is left out if the table ``stats`` does not have the number exactly, or if the values
        are booleans. For the last number, a run is also left out if it has other values, such as
        texts. The frame is empty if only a range of steps is read, because ``stats`` describes all
        steps of a run.
        """
        numbers = np.fromiter(self._numbers.values(), np.int32, len(self._numbers))
        # The statistics are over all steps of a run, so they say nothing about a range.
        if not self._question.steps.is_unbounded:
            numbers = numbers[:0]
        value, step = ("last", "at_step") if choice == "last" else (choice, f"{choice}_step")
        rows = self._view.stats(("run", "type", "n", value, step), [key], numbers)
        has_row = (pl.col("n") > 0) & pl.col(step).is_not_null()
        text = pl.col("type").cast(pl.String)
        is_integer = text.str.contains("^u?int") & (pl.col(value).abs() < EXACT)
        is_known = text.is_in(["float", "double"]) | is_integer
        marked = rows.filter(has_row).select(
            "run",
            pl.col(step).alias(STEP),
            pl.col(value).alias("value"),
            is_known.alias("is_known"),
        )
        every = pl.DataFrame({"run": numbers}).join(
            marked, on="run", how="left", maintain_order="left"
        )
        return every.filter(pl.col("is_known").fill_null(value=True)).drop("is_known")


_NO_COLUMNS = KeyColumns(())
