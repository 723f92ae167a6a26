"""Read packed runs, whose rows are in tables that hold many runs, instead of in exports."""

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
    """Interface for reading packed runs; the tables identify each run by a number."""

    @abstractmethod
    def scan(self, numbers: Sequence[int], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
        """Return the rows of some runs as a lazy frame.

        Parameters
        ----------
        numbers : sequence of int
            The wanted runs, as the numbers that the packed tables use for them.
        types : mapping
            The type of the result's column for each key.
        runs : DataFrame
            The columns of the runs, with a row per run in the order of ``numbers``. Each row of
            the result begins with the cells of its run.

        Returns
        -------
        LazyFrame
            The columns of ``runs``, ``_step``, then the keys; run by run in the order of
            ``numbers``, ascending by step. Only rows with the requested keys and steps are
            returned.
        """

    @abstractmethod
    def files(self) -> Mapping[str, int]:
        """Return the length in bytes of each file to open, by path."""

    @abstractmethod
    def key_facts(self, number: int) -> dict[str, KeyFacts]:
        """Return each key's kind, count, steps, minimum and maximum in one run."""

    @abstractmethod
    def known_values(self, key: str, choice: str) -> pl.DataFrame:
        """Return one value of a key per run, for runs whose value is known without reading rows.

        Parameters
        ----------
        key : str
            The key; its values are numbers.
        choice : {"min", "max", "last"}
            Which row of the run: the one with the lowest or highest value, or the last one.

        Returns
        -------
        DataFrame
            ``run`` is the number that the packed tables use for the run. ``_step`` and ``value``
            are those of the chosen row. ``value`` is a float that is exactly equal to the logged
            number. Both are null if the run has no such row. If the row is not known, the run is
            left out.
        """


@dataclass(frozen=True, slots=True)
class PackedReading:
    """A planned read of one packed run; see `runlake.history.reader.Reading`.

    Parameters
    ----------
    run : RunPath
        Path of the run.
    number : int
        The number that the packed tables use for the run.
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
        """Return each key's kind, count, steps, minimum and maximum, without reading rows."""
        return self.rows.key_facts(self.number)

    def logged_keys(self) -> dict[str, KeyFacts]:
        """Return the result of `key_facts`: for a packed run it has all keys that were logged."""
        return self.key_facts()
