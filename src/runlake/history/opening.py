"""Open a run for reading: download its exports, check them, and plan the read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from runlake.backend.http.client import Client
from runlake.cache.pull import pull_run
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.errors import ExportCorrupt, OddAnswerWarning
from runlake.errors.user_line import warn
from runlake.exports.manifest import Freshness, Manifest
from runlake.exports.progress import Progress
from runlake.history.plan.plan import Plan, plan_read
from runlake.values import STEP, Question, RunPath


class PullOptions(TypedDict, total=False):
    """Keyword arguments that are passed on to `runlake.cache.pull.pull_run`."""

    use_cache: bool
    distrusted: Collection[Path]
    attrs: Mapping[str, Any] | None
    known: Freshness | None
    progress: Progress | None
    fetch: Callable[[Client, RunPath], Manifest]


def open_plan(
    client: Client,
    run: RunPath,
    question: Question,
    *,
    pulled: PullResult | None = None,
    **options: Unpack[PullOptions],
) -> Plan:
    """Download a run's exports and plan a read of them.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read.
    pulled : PullResult, optional
        The result of an earlier pull. If it is given, its files are read, and the run is not pulled
        again.
    **options
        Passed on to `runlake.cache.pull.pull_run`.

    Returns
    -------
    Plan
        The plan at this moment; it does not contain rows that are logged later.

    Raises
    ------
    ExportCorrupt
        If there are exports with rows, and none of them has a column ``_step``.

    Warns
    -----
    OddAnswerWarning
        If some exports with rows have no column ``_step``, or have rows at steps below 0 or at
        steps of more than 63 bits.
    """
    if pulled is None:
        pulled = pull_run(client, run, question, **options)
        _check_steps(pulled)
        return plan_read(pulled, question)
    _check_steps(pulled)
    if pulled.keeper is not None:
        # A stored plan would keep the temporary files after their last reading.
        return plan_read(pulled, question)
    return pulled.exports.latest(_plan_again, pulled, question)


def _plan_again(_: LoadedExports, pulled: PullResult, question: Question) -> Plan:
    return plan_read(pulled, question)


def _check_steps(pulled: PullResult) -> None:
    """Raise `ExportCorrupt` if none of the exports with rows has a column ``_step``.

    If only some of them lack the column, or if steps are negative or too large, warn that no read
    returns these rows.
    """
    stepless, below, n_filled = pulled.exports.once(_find_unreadable)
    if stepless:
        problem = (
            f"In {_named(stepless, pulled)} the column {STEP!r} is missing, so its rows cannot be "
            f"placed in the history. The file is {str(stepless[0].path)!r}, unchanged since its "
            "download; the backend has to export the run again."
        )
        if len(stepless) == n_filled:
            run, export = str(pulled.manifest.path), stepless[0].object
            raise ExportCorrupt(problem, run=run, export=export)
        warn(f"{problem} The rows of the other exports are read.", OddAnswerWarning)
    if below:
        warn(
            f"In {_named(below, pulled)} there are rows at steps below 0, or too large for signed "
            "64-bit integers. No read gives these rows, but counts of keys include them.",
            OddAnswerWarning,
        )


def _find_unreadable(
    exports: LoadedExports,
) -> tuple[list[StoredExport], list[StoredExport], int]:
    """Find exports whose steps are missing or negative.

    Return the exports without steps, the exports with negative steps, and the number of exports
    that have rows.
    """
    filled = [export for export in exports if export.facts.n_rows]
    stepless = [export for export in filled if STEP not in export.facts.columns]
    # Steps of more than 63 bits wrap around to negative ones.
    below = [export for export in filled if (export.facts.first_step or 0) < 0]
    return stepless, below, len(filled)


def _named(exports: Sequence[StoredExport], pulled: PullResult) -> str:
    more = f" and {len(exports) - 1:,} more" if len(exports) > 1 else ""
    return f"the export {exports[0].object!r}{more} of '{pulled.manifest.path}'"
