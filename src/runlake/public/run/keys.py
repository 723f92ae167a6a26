"""Methods of a run that describe its keys, and find the best value of a key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, InvalidType, NoRowsWarning
from runlake.errors.user_line import warn
from runlake.history.reader import open_reading
from runlake.public.run.fields import RunFields
from runlake.values import KEY_KINDS, Projection, Question, check_word

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.best import Best


class RunKeys(RunFields):
    """Methods of a run that describe its keys."""

    def keys(self, pattern: str | None = None, kind: str | None = None) -> pl.DataFrame:
        """Return a table of the run's keys, with counts and bounds; no history is read.

        Parameters
        ----------
        pattern : str, optional
            A regular expression that must match the whole key: ``"val/.*"``.
        kind : {"number", "string", "bool", "time", "list", "struct", "media", "mixed"}, optional
            Return only keys of this kind.

        Returns
        -------
        polars.DataFrame
            A row per key except ``_step``, in alphabetical order, with the columns ``key``,
            ``kind``, ``count`` (rows that have the key), ``first_step``, ``last_step``, ``min`` and
            ``max``. The key was not logged before ``first_step`` or after ``last_step``. It may
            begin later or end earlier, because these are the first and last step of the exports
            that have the key. ``min`` and ``max`` are the lowest and highest number of the key,
            which may be infinite; NaN is ignored. ``min`` and ``max`` are null while there are live
            rows with the key. Unknown values are null.
            If no key matches, a `NoRowsWarning` names existing keys.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.

        Notes
        -----
        Kinds and counts are taken from the W&B protocol's ``historyKeys``; for keys that are
        missing there, from the exports. Live rows are read only if the backend names no key at all.
        """
        from runlake.history.frames.key_table import key_table

        expression = checked_pattern(pattern)
        if kind is not None:
            check_word(kind, "kind", KEY_KINDS)
        reading = open_reading(self._client, self._path, Question(Projection(())))
        every = reading.logged_keys()
        found = [
            facts
            for key, facts in every.items()
            if (expression is None or expression.fullmatch(key)) and kind in (None, facts.kind)
        ]
        if every and not found:
            from runlake.history.plan.reasons import explain_no_keys

            warn(explain_no_keys(self._path, every, pattern, kind), NoRowsWarning)
        return key_table(found)

    def best(self, key: str, mode: str = "min") -> Best:
        """Return the best value of a key, and the first step with this value.

        Parameters
        ----------
        key : str
            A key whose values are numbers.
        mode : {"min", "max"}
            Which value is best: "min" means the lowest, "max" the highest.

        Returns
        -------
        Best
            ``value`` and ``step``, the first step that has the value. NaN is ignored.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request. Also if the run has no such
            key, or the values of the key are not numbers.

        Notes
        -----
        Every value of the key is read. The minimum and maximum in Parquet statistics may be wrong,
        so they are not used.
        """
        check_word(mode, "mode", ("min", "max"))
        question = Question.from_arguments([key])
        if not question.keys:
            raise InvalidArgument("key must name a logged key, not '_step'.")
        from runlake.history.best import find_best

        reading = open_reading(self._client, self._path, question, attrs=self._sent)
        # The condition narrows the string to the two literals for the type checker.
        return find_best(reading, "min" if mode == "min" else "max")


def checked_pattern(pattern: str | None) -> re.Pattern[str] | None:
    """Compile a pattern; raise `InvalidArgument` if it is not a regular expression."""
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"pattern must be a regular expression: {pattern!r} ({error})."
        ) from error
    if not isinstance(compiled.pattern, str):
        raise InvalidType(f"pattern must be a regular expression of text, not {pattern!r}.")
    return compiled
