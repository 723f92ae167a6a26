"""Runs whose rows are not read from exports, but from tables that hold many runs at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runlake.history.plan.key_columns import KeyColumns
from runlake.history.plan.key_facts import KeyFacts
from runlake.values import Question, RunPath

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.frames.answer_types import Types


class PackedRows(ABC):
    """The packed rows of the runs of one read."""

    @abstractmethod
    def scan(self, numbers: Sequence[int], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
        """Return the rows of runs.

        Parameters
        ----------
        numbers : sequence of int
            The number of each run.
        types : mapping
            The type of each key of the answer.
        runs : DataFrame
            One row per number; it is repeated in all rows of the run.

        Returns
        -------
        LazyFrame
            The columns of ``runs``, ``_step``, then the keys; run by run in the order of
            ``numbers``, ascending by step. Only rows that match the question are returned.
        """

    @abstractmethod
    def files(self) -> Mapping[str, int]:
        """Return the length in bytes of each file to open, by path."""

    @abstractmethod
    def key_facts(self, number: int) -> dict[str, KeyFacts]:
        """Return kind, count, steps, minimum and maximum of each key of a run."""

    @abstractmethod
    def known_values(self, key: str, choice: str) -> pl.DataFrame:
        """Return one row of a key per run, for the runs whose row is known without reading.

        Parameters
        ----------
        key : str
            The key; its values are numbers.
        choice : {"min", "max", "last"}
            Which row of the run: the one with the lowest or highest value, or the last one.

        Returns
        -------
        DataFrame
            ``run``, the number; ``_step`` and ``value``, a float that is equal to the value. Both
            are null if the run has no such row. Runs whose row is not known are left out.
        """


@dataclass(frozen=True, slots=True)
class PackedReading:
    """A planned read of one packed run; see `runlake.history.reader.Reading`.

    Parameters
    ----------
    run : RunPath
        The run.
    number : int
        Its number in the packed tables.
    n_rows : int
        Number of rows of the run.
    columns : KeyColumns
        The requested keys that the run has, and their types.
    question : Question
        Keys and steps to read.
    rows : PackedRows
        The packed rows of all runs of the read.
    """

    run: RunPath
    number: int
    n_rows: int
    columns: KeyColumns
    question: Question
    rows: PackedRows

    def key_facts(self) -> dict[str, KeyFacts]:
        """Return facts about each key, from statistics alone."""
        return self.rows.key_facts(self.number)

    def logged_keys(self) -> dict[str, KeyFacts]:
        """Return `key_facts`: all rows of a packed run are in its tables."""
        return self.key_facts()
