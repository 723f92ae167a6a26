"""What a read asks of a run: which keys, of which steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from runlake.errors import InvalidArgument
from runlake.values.arguments import check_text, check_whole

How = Literal["all", "any"]
KeyKind = Literal["number", "string", "bool", "time", "list", "struct", "media", "mixed"]
Row = dict[str, Any]

STEP = "_step"
RUN_ID = "run_id"


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps from ``start``, inclusive, to ``stop``, exclusive; no ``stop`` means open.

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
        """Check the two arguments that every reader takes.

        Parameters
        ----------
        min_step : int or None
            First step, inclusive; None and negative values mean the first step of the run.
        max_step : int or None
            Step to stop before, exclusive; None means no limit.

        Returns
        -------
        StepRange
            Never negative; empty where ``max_step <= min_step``.

        Raises
        ------
        InvalidArgument
            If a step is not an integer.
        """
        start = 0 if min_step is None else check_whole(min_step, "min_step")
        stop = None if max_step is None else check_whole(max_step, "max_step")
        return cls(max(start, 0), stop)

    @property
    def is_empty(self) -> bool:
        """No step can be in the range."""
        return self.stop is not None and self.stop <= self.start

    def holds(self, step: int) -> bool:
        """Tell whether a step is in the range."""
        return step >= self.start and (self.stop is None or step < self.stop)

    def touches(self, first: int, last: int) -> bool:
        """Tell whether a step of ``first..last``, both inclusive, can be in the range."""
        return not self.is_empty and last >= self.start and (self.stop is None or first < self.stop)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether all steps of ``first..last``, both inclusive, are in the range."""
        return self.holds(first) and self.holds(last)

    def __str__(self) -> str:
        return f"[{self.start}, {'end' if self.stop is None else self.stop})"


@dataclass(frozen=True, slots=True)
class Projection:
    """The keys to read and what a row must have of them.

    Parameters
    ----------
    keys : tuple of str or None
        The keys besides ``_step``, in the order asked for, each once; None means every key.
    how : {"all", "any"}
        Keep rows that have all of the keys, or at least one. Without keys, every row.
    """

    keys: tuple[str, ...] | None = None
    how: How = "all"

    @classmethod
    def from_arguments(cls, keys: Sequence[str] | None, how: str = "all") -> Projection:
        """Check the two arguments that every reader takes.

        Parameters
        ----------
        keys : list of str or None
            Keys to read; None and an empty list mean every key, as in the SDK.
        how : str
            "all" or "any".

        Returns
        -------
        Projection
            With ``_step`` and doubles taken out of the keys.

        Raises
        ------
        InvalidArgument
            If the keys are not a list of strings, or ``how`` is neither word.
        """
        if how not in get_args(How):
            raise InvalidArgument(f"how must be 'all' or 'any', not {how!r}.")
        if keys is None:
            return cls(None, "all")
        if not isinstance(keys, (list, tuple)):
            raise InvalidArgument(f"keys must be specified in a list, not {keys!r}.")
        wrong = [key for key in keys if not isinstance(key, str)]
        if wrong:
            raise InvalidArgument(f"keys argument must be a list of strings, found {wrong[0]!r}.")
        for key in keys:
            check_text(key, "The key")
        if not keys:
            return cls(None, "all")
        named = tuple(key for key in dict.fromkeys(keys) if key != STEP)
        return cls(named, "any" if how == "any" else "all")

    @property
    def of_any_key(self) -> Projection:
        """The same keys, in rows that have at least one of them."""
        return replace(self, how="any") if self.keys else self


@dataclass(frozen=True, slots=True)
class Question:
    """What a read asks of a run; every key of every step, if it does not say otherwise.

    Parameters
    ----------
    projection : Projection
        Keys to read and what a row must have of them.
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
        """Check the arguments that every reader takes, as the classes of both members do."""
        projection = Projection.from_arguments(keys, how)
        return cls(projection, StepRange.from_arguments(min_step, max_step))

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys besides ``_step``; None means every key."""
        return self.projection.keys

    def within(self, steps: StepRange) -> Question:
        """Return the same question about other steps."""
        return replace(self, steps=steps)

    def from_step(self, start: int) -> Question:
        """Return the same question from a step on."""
        return self.within(StepRange(start, self.steps.stop))
