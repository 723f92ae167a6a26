"""Describe a read of a run's history: which keys, which steps, and which rows (`Question`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from runlake.errors import InvalidArgument
from runlake.values.arguments import check_text, check_whole, check_word

How = Literal["all", "any"]
KeyKind = Literal["number", "string", "bool", "time", "list", "struct", "media", "mixed"]
KEY_KINDS: tuple[str, ...] = get_args(KeyKind)
Row = dict[str, Any]

STEP = "_step"
RUN_ID = "run_id"
DEFAULT_ORDER = "+created_at"  # of lists of runs


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps from ``start``, inclusive, to ``stop``, exclusive; ``stop=None`` means no limit.

    Examples
    --------
    >>> StepRange.from_arguments(100, 102)
    StepRange(start=100, stop=102)
    >>> StepRange.from_arguments(-5, None).start
    0
    """

    start: int = 0
    stop: int | None = None

    @classmethod
    def from_arguments(cls, min_step: int | None, max_step: int | None) -> StepRange:
        """Check the arguments ``min_step`` and ``max_step`` of a read, and return the range.

        Parameters
        ----------
        min_step : int or None
            First step, inclusive; None and negative values mean the first step of the run.
        max_step : int or None
            Step to stop before, exclusive; None means no limit.

        Returns
        -------
        StepRange
            The range, without negative steps. It is empty if ``max_step <= min_step``.

        Raises
        ------
        InvalidArgument
            If a step is not an integer.
        """
        start = 0 if min_step is None else check_whole(min_step, "min_step")
        stop = None if max_step is None else check_whole(max_step, "max_step")
        # As in the SDK, a negative first step is the start of the run.
        return cls(max(start, 0), stop)

    @property
    def is_empty(self) -> bool:
        """True if no step can be in the range."""
        return self.stop is not None and self.stop <= self.start

    @property
    def is_unbounded(self) -> bool:
        """True if all steps are in the range."""
        return self.start <= 0 and self.stop is None

    def holds(self, step: int) -> bool:
        """Return whether a step is in the range."""
        return step >= self.start and (self.stop is None or step < self.stop)

    def touches(self, first: int, last: int) -> bool:
        """Return whether any step of ``first..last``, both inclusive, is in the range."""
        return not self.is_empty and last >= self.start and (self.stop is None or first < self.stop)

    def covers(self, first: int, last: int) -> bool:
        """Return whether all steps of ``first..last``, both inclusive, are in the range."""
        return self.holds(first) and self.holds(last)

    def __str__(self) -> str:
        return f"[{self.start}, {'end' if self.stop is None else self.stop})"


@dataclass(frozen=True, slots=True)
class Projection:
    """The keys to read, and whether a row must have all of them or at least one.

    Parameters
    ----------
    keys : tuple of str or None
        The keys besides ``_step``, in the requested order, each once; None means every key.
    how : {"all", "any"}
        "all" means rows that have all of the keys, "any" rows that have at least one of them.
        Without keys, every row is read.
    """

    keys: tuple[str, ...] | None = None
    how: How = "all"

    @classmethod
    def from_arguments(cls, keys: Sequence[str] | None, how: str = "all") -> Projection:
        """Check the arguments ``keys`` and ``how`` of a read, and return the projection.

        Parameters
        ----------
        keys : list of str or None
            Keys to read; None and an empty list mean every key, as in the SDK.
        how : str
            "all" or "any".

        Returns
        -------
        Projection
            The checked arguments. The keys do not contain ``_step`` or duplicates.

        Raises
        ------
        InvalidArgument
            If the keys are not a list of strings, or ``how`` is neither "all" nor "any".
        """
        check_word(how, "how", get_args(How))
        if keys is None:
            return cls(None, "all")
        if not isinstance(keys, (list, tuple)):
            raise InvalidArgument(f"keys must be specified in a list, not {keys!r}.")
        wrong = [key for key in keys if not isinstance(key, str)]
        if wrong:
            raise InvalidArgument(f"keys argument must be a list of strings, found {wrong[0]!r}.")
        for key in keys:
            check_text(key, "The key")
        # As in the SDK, an empty list means every key.
        if not keys:
            return cls(None, "all")
        # Every row has `_step`, so it is no condition.
        named = tuple(key for key in dict.fromkeys(keys) if key != STEP)
        return cls(named, "any" if how == "any" else "all")

    @property
    def of_any_key(self) -> Projection:
        """The same projection with ``how="any"``: rows that have at least one of the keys."""
        return replace(self, how="any") if self.keys else self


@dataclass(frozen=True, slots=True)
class Question:
    """The keys and steps that a read of a run's history requests; by default all keys and steps.

    Parameters
    ----------
    projection : Projection
        Keys to read, and whether a row must have all of them or at least one of them.
    steps : StepRange
        Steps to read.
    """

    projection: Projection = Projection()
    steps: StepRange = StepRange()

    @classmethod
    def from_arguments(
        cls,
        keys: Sequence[str] | None,
        how: str = "all",
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Question:
        """Check the arguments of a read, and return them as a `Question`.

        See `Projection.from_arguments` and `StepRange.from_arguments`.
        """
        projection = Projection.from_arguments(keys, how)
        return cls(projection, StepRange.from_arguments(min_step, max_step))

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys besides ``_step``; None means every key."""
        return self.projection.keys

    def within(self, steps: StepRange) -> Question:
        """Return a copy with another range of steps; the keys stay the same."""
        return replace(self, steps=steps)

    def from_step(self, start: int) -> Question:
        """Return a copy with another first step, inclusive; all else stays the same."""
        return self.within(StepRange(start, self.steps.stop))
