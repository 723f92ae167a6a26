"""Reads the columns that the charts of a run draw, and keeps them in memory for zooming."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

import polars as pl
from cachetools import LRUCache

from runlake.exports.manifest import LAST_STEP_UNKNOWN, Manifest
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.reader import Reading
from runlake.pages.run.shared import Identity, Shared, identity_of, open_run_reading
from runlake.public.run.run import Run
from runlake.values import STEP, Projection, Question, StepRange

# Maximum number of cells of one read: 64 MiB of numbers.
MAX_CELLS = 1 << 23
# If a run has more rows, its charts show samples, and each zoom reads a sample of its own part.
MAX_ROWS = 1 << 22
SAMPLED_ROWS = 50_000
MAX_BYTES = 256 << 20
# Several pages of one run ask for its keys at the same time; they share an answer this old.
SECONDS = 3.0
N_FACTS = 16

# How the protocol writes NaN and infinities.
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Moment: TypeAlias = tuple[int | None, int, tuple[int, ...] | None, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Contents:
    """The keys of a run at one time, with the number of rows and the list of exports.

    Parameters
    ----------
    facts : mapping of str to KeyFacts
        By key: kind and number of the values, first and last step, minimum and maximum.
    manifest : Manifest
        The list of the run's exports.
    n_rows : int
        The approximate number of rows of the run.
    lacking : str or None
        Which data of a pulled run are not on disk; None if nothing is missing.
    """

    facts: dict[str, KeyFacts]
    manifest: Manifest
    n_rows: int
    lacking: str | None = None

    @property
    def end(self) -> int:
        """The step after the last step of the run."""
        return end_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the requested keys of a run, ascending by ``_step``.

    Parameters
    ----------
    frame : polars.DataFrame
        ``_step`` and a column per key that was found.
    n_rows : int
        Number of rows from which these rows were sampled.
    end : int
        The step after the last step of the run.
    n_others : mapping of str to int
        For each key with values of several types, how many values are not numbers. These values
        are null in the frame.
    """

    frame: pl.DataFrame
    n_rows: int
    end: int
    n_others: Mapping[str, int]

    @property
    def is_whole(self) -> bool:
        """True if the frame has all rows, and not only a sample."""
        return self.n_rows <= self.frame.height


@dataclass(slots=True)
class _Kept:
    """Rows in memory, and what `moment_of` returned when the rows were read."""

    rows: Rows
    moment: Moment
    names: list[tuple[Identity, str, str]] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        return int(self.rows.frame.estimated_size())


class Columns:
    """Reads columns of runs, and keeps the most recently used columns in memory.

    Parameters
    ----------
    max_bytes : int
        Maximum size in bytes of the rows that stay in memory.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[Identity, str, str], _Kept] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()
        self._contents = Shared(SECONDS)
        self._facts: LRUCache[Identity, tuple[Moment, dict[str, KeyFacts]]] = LRUCache(N_FACTS)

    def contents(self, run: Run, end: int = 0) -> Contents:
        """Return the keys of a run; the result may be up to `SECONDS` old.

        Parameters
        ----------
        run : Run
            The run.
        end : int
            The page already shows the rows before this step. A result from a time when the run did
            not have all of these rows is not used again.
        """
        identity = identity_of(run)

        def read() -> Contents:
            reading, lacking = open_run_reading(run, Question(Projection(())))
            manifest = reading.pulled.manifest
            facts = self._facts_of(identity, reading)
            n_rows = max(manifest.line_count or 0, reading.pulled.n_rows)
            return Contents(facts, manifest, n_rows, lacking)

        found = self._contents.get(identity, read)
        if found.end < end:
            self._contents.drop(identity)
            found = self._contents.get(identity, read)
        return found

    def _facts_of(self, identity: Identity, reading: Reading) -> dict[str, KeyFacts]:
        """Return the kind, count and bounds of each key; an unchanged run is not read again."""
        moment = moment_of(reading.pulled.manifest)
        with self._lock:
            known = self._facts.get(identity)
        if known is not None and known[0] == moment:
            return known[1]
        # Not under the lock, so that pages of other runs do not wait for this read.
        facts = reading.healing(Reading.logged_keys)
        with self._lock:
            self._facts[identity] = moment, facts
        return facts

    def read(
        self,
        run: Run,
        keys: Sequence[str],
        axis: str,
        contents: Contents,
        high: float | None = None,
    ) -> dict[str, Rows]:
        """Return the `Rows` of each key with the x axis, from memory if possible.

        Keys that are read together have the same rows: all rows with one of these keys or with the
        x axis. A cell is null if its row does not have the key.

        Parameters
        ----------
        run : Run
            The run.
        keys : sequence of str
            The keys to read.
        axis : str
            The key of the x axis.
        contents : Contents
            The keys and exports of the run now. If the run has changed since rows in memory were
            read, the rows are read again.
        high : float, optional
            The highest x that is needed. Rows in memory that reach this x are used, even if the run
            has newer rows.
        """
        identity, moment = identity_of(run), moment_of(contents.manifest)
        found: dict[str, Rows] = {}
        for key in keys:
            # Each key is kept alone, although keys are read together: the next page may show
            # other keys.
            kept = self._find((identity, key, axis))
            if kept is not None and _is_usable(kept, moment, contents.end, axis, high):
                found[key] = kept.rows
        left = [key for key in keys if key not in found]
        # Two columns of each read are the step and the axis.
        size = max(1, MAX_CELLS // max(1, contents.n_rows) - 2)
        for start in range(0, len(left), size):
            some = left[start : start + size]
            kept = _read(run, some, axis, is_long=contents.n_rows > MAX_ROWS)
            found |= dict.fromkeys(some, kept.rows)
            self._keep(kept, [(identity, key, axis) for key in some])
        return found

    def read_part(self, run: Run, key: str, axis: str, steps: StepRange) -> Rows:
        """Return a sample of a key's rows in a range of steps, for a run with very many rows."""
        return _read(run, [key], axis, steps, is_long=True).rows

    def _find(self, name: tuple[Identity, str, str]) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None:
                self._kept.move_to_end(name)
            return kept

    def _keep(self, kept: _Kept, names: list[tuple[Identity, str, str]]) -> None:
        with self._lock:
            # Another thread may have read the same keys meanwhile.
            for name in names:
                self._drop(name)
            kept.names = names
            self._kept |= dict.fromkeys(names, kept)
            self._n_bytes += kept.n_bytes
            while self._n_bytes > self._max_bytes and self._kept:
                # The columns of one read share memory, which is freed when all of them are dropped.
                for name in list(next(iter(self._kept.values())).names):
                    self._drop(name)

    def _drop(self, name: tuple[Identity, str, str]) -> None:
        old = self._kept.pop(name, None)
        if old is not None:
            old.names.remove(name)
            if not old.names:
                self._n_bytes -= old.n_bytes


def moment_of(manifest: Manifest) -> Moment:
    """Return a value that changes whenever rows are added to a run."""
    exports = frozenset(export.object for export in manifest.exports)
    return manifest.line_count, manifest.last_step, manifest.live_steps, exports


def end_of(manifest: Manifest) -> int:
    """Return the step after the last step of a run; 0 if the last step is unknown."""
    last = -1 if manifest.last_step == LAST_STEP_UNKNOWN else manifest.last_step
    return max(last, *(manifest.live_steps or (-1,))[-1:]) + 1


def _is_usable(kept: _Kept, moment: Moment, end: int, axis: str, high: float | None) -> bool:
    if kept.moment == moment:
        return True
    rows = kept.rows
    if high is None or rows.end > end or axis not in rows.frame.columns or not rows.frame.height:
        return False
    # A zoom into a part that is in memory needs no newer rows.
    last = rows.frame.get_column(axis).max()
    return isinstance(last, (int, float)) and high <= last


def _read(
    run: Run,
    keys: Sequence[str],
    axis: str,
    steps: StepRange = StepRange(),  # noqa: B008 - frozen
    *,
    is_long: bool,
) -> _Kept:
    names = list(dict.fromkeys([*keys, axis]))
    question = Question.from_arguments(names, "any").within(steps)
    # Only `_step` is asked for, so every row is read.
    if not question.keys:
        question = Question(steps=steps)
    reading, _ = open_run_reading(run, question)
    manifest = reading.pulled.manifest
    if is_long:
        wanted = list(dict.fromkeys([STEP, *names]))
        frame, n_rows, json_keys = reading.sampled_frame(SAMPLED_ROWS, wanted)
    else:
        frame, json_keys = reading.healing(Reading.collected)
        n_rows = frame.height
    n_others = {}
    for key in json_keys:
        numbers = pl.Series(key, map(_number_in, frame.get_column(key)), pl.Float64)
        n_others[key] = numbers.null_count() - frame.get_column(key).null_count()
        frame = frame.with_columns(numbers)
    return _Kept(Rows(frame, n_rows, end_of(manifest), n_others), moment_of(manifest))


def _number_in(cell: str | None) -> float | None:
    """Return the number in a cell of JSON text; None if the text is not a number."""
    value = None if cell is None else json.loads(cell)
    if isinstance(value, str):
        return NON_FINITE.get(value)
    if not isinstance(value, (bool, int, float)):
        return None
    try:
        # A whole number in JSON may be greater than any float.
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def read_frame(run: Run, question: Question) -> tuple[pl.DataFrame, frozenset[str]]:
    """Return the requested keys and steps as a frame, and the names of its JSON text columns."""
    reading, _ = open_run_reading(run, question)
    frame, json_keys = reading.healing(Reading.collected)
    return frame, frozenset(json_keys)
