"""The keys of a run: what was logged under them, and the best of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, NoRowsWarning
from runlake.errors.user_line import warn
from runlake.history.plan.key_facts import KINDS
from runlake.history.plan.reasons import explain_no_keys
from runlake.history.reader import open_reading
from runlake.public.run.fields import RunFields
from runlake.values import Projection, Question, check_word

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.best import Best


class RunKeys(RunFields):
    """What describes the keys of a run, from statistics as far as they go."""

    def keys(self, pattern: str | None = None, kind: str | None = None) -> pl.DataFrame:
        """Return what was logged, from statistics; no history is read.

        Parameters
        ----------
        pattern : str, optional
            A regular expression that the whole key matches: ``"val/.*"``.
        kind : {"number", "string", "bool", "time", "list", "struct", "media", "mixed"}, optional
            Only keys of this kind.

        Returns
        -------
        polars.DataFrame
            A row per key but ``_step``, in alphabetical order: ``key``, ``kind``, ``count`` (rows
            that have it), ``first_step`` and ``last_step`` (it was logged at no step before or
            behind; the bounds of the exports that have it), and ``min`` and ``max`` of its finite
            numbers. Null where it is not known; ``min`` and ``max`` are null while rows of the key
            are live. A `NoRowsWarning` says which keys there are if none matches.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.

        Notes
        -----
        Kinds and counts are those of the W&B protocol's ``historyKeys``, and of the exports where
        it does not name the key. Live rows are read where the backend names no key at all.
        """
        from runlake.history.frames.key_table import key_table

        expression = _checked_pattern(pattern)
        if kind is not None:
            check_word(kind, "kind", KINDS)
        reading = open_reading(self._client, self._path, Question(Projection(())))
        every = reading.logged_keys()
        found = [
            facts
            for key, facts in every.items()
            if (expression is None or expression.fullmatch(key)) and kind in (None, facts.kind)
        ]
        if every and not found:
            warn(explain_no_keys(self._path, every, pattern, kind), NoRowsWarning)
        return key_table(found)

    def best(self, key: str, mode: str = "min") -> Best:
        """Return the best value of a key, and the step that has it.

        Parameters
        ----------
        key : str
            A key whose cells are numbers.
        mode : {"min", "max"}
            Which value is best.

        Returns
        -------
        Best
            ``value`` and ``step``: the first step that has the value. NaN is no value.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then. Or if the run has no such key,
            or its cells are no numbers.

        Notes
        -----
        Every cell of the key is read: the bounds in Parquet statistics are not believed.
        """
        check_word(mode, "mode", ("min", "max"))
        question = Question.from_arguments([key])
        if not question.keys:
            raise InvalidArgument("key must name a logged key, not '_step'.")
        from runlake.history.best import find_best

        reading = open_reading(self._client, self._path, question, attrs=self._sent)
        return find_best(reading, "min" if mode == "min" else "max")


def _checked_pattern(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InvalidArgument(
            f"pattern must be a regular expression: {pattern!r} ({error})."
        ) from error
