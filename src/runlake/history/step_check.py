"""Exports with rows that no read gives, because of their steps."""

from __future__ import annotations

from collections.abc import Sequence

from runlake.cache.pull_result import PullResult
from runlake.cache.store import StoredExport
from runlake.errors import ExportCorrupt, OddAnswerWarning
from runlake.errors.user_line import warn
from runlake.values import STEP


def check_steps(pulled: PullResult) -> None:
    """Refuse a run whose exports lack steps, and warn of rows that have no place.

    Parameters
    ----------
    pulled : PullResult
        The exports of a run, on disk.

    Raises
    ------
    ExportCorrupt
        If no export that has rows has a column ``_step``.

    Warns
    -----
    OddAnswerWarning
        If some exports with rows have no such column, or one has rows at steps below 0 or of more
        than 63 bits.
    """
    filled = [export for export in pulled.exports if export.facts.n_rows]
    stepless = [export for export in filled if STEP not in export.facts.columns]
    if stepless:
        problem = (
            f"In {_named(stepless, pulled)} the column {STEP!r} is missing, so that its rows have "
            f"no place in the history. The file is as its host sent it, in "
            f"{str(stepless[0].path)!r}; the backend has to export the run again."
        )
        if len(stepless) == len(filled):
            run, export = str(pulled.manifest.path), stepless[0].object
            raise ExportCorrupt(problem, run=run, export=export)
        warn(f"{problem} The rows of the other exports are read.", OddAnswerWarning)
    # Steps beyond 63 bits wrap around below 0.
    below = [export for export in filled if (export.facts.first_step or 0) < 0]
    if below:
        warn(
            f"In {_named(below, pulled)} there are rows at steps below 0, or beyond the integers "
            "of 64 bits. No read gives these rows, though the counts of keys include them.",
            OddAnswerWarning,
        )


def _named(exports: Sequence[StoredExport], pulled: PullResult) -> str:
    more = f" and {len(exports) - 1:,} more" if len(exports) > 1 else ""
    return f"the export {exports[0].object!r}{more} of '{pulled.manifest.path}'"
