"""`Runs`, the list that `Api.runs` returns: what its base classes do, in one class."""

from __future__ import annotations

from runlake.public.runs.answers import RunAnswers
from runlake.public.runs.histories import RunHistories


class Runs(RunHistories, RunAnswers):
    """The runs of a project that match a filter; returned by `Api.runs`.

    The parameters are those of `RunList`. Iterate over it, index it, or read all its runs at once:
    `frame` has their fields, `scan` their rows, `histories` a sample, `best`, `last` and `at` one
    value of each, and `align` brings their curves onto one axis.
    """
