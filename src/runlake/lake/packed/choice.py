"""Choose the runs of a read whose packed rows are current: they are unchanged since the pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runlake.lake.packed.elsewhere import find_elsewhere
from runlake.lake.packed.place import PackedPlace
from runlake.values import Projection, Question

if TYPE_CHECKING:
    import polars as pl

    from runlake.cache.pull_result import PullResult
    from runlake.history.runs.open import ListedRun
    from runlake.history.runs.packed import PackedReading
    from runlake.lake.packed.view import PackedView
    from runlake.values import RunPath


class PackedChoice:
    """The runs of a read whose packed rows are current.

    Parameters
    ----------
    view : PackedView
        The packed tables.
    relative : mapping of str to str
        The directory of each run relative to the root, by its name in the column ``run_id``.
    """

    def __init__(self, view: PackedView, relative: Mapping[str, str]) -> None:
        self.view = view
        self._current = current = view.current()
        self.numbers = {
            run_id: current[directory]
            for run_id, directory in relative.items()
            if directory in current
        }

    def readings(self, runs: Sequence[ListedRun], question: Question) -> dict[str, PackedReading]:
        """Return planned reads by the names of the runs; runs that are not packed have none."""
        from runlake.lake.packed.read import PackedRead

        wanted = {run.run_id: run.path for run in runs if run.run_id in self.numbers}
        if not wanted:
            return {}
        numbers = {run_id: self.numbers[run_id] for run_id in wanted}
        return PackedRead(self.view, question, numbers).readings(wanted)

    def known_per_run(self, key: str, choice: str) -> pl.DataFrame | None:
        """Return the row of each packed run with a key's lowest, highest or last value.

        The rows are in the order of the runs, and come from statistics only.

        Parameters
        ----------
        key : str
            The key.
        choice : {"min", "max", "last"}
            Which value of the key the row has.

        Returns
        -------
        polars.DataFrame or None
            ``_step`` and the key, both null for a run without such a row. None if the values must
            be read, or are not numbers.
        """
        from runlake.lake.packed.read import PackedRead

        return PackedRead(self.view, Question(Projection((key,))), self.numbers).known_per_run(
            key, choice
        )

    def restored(self, run: RunPath, relative: str, pulled: PullResult) -> PullResult | None:
        """Return a temporary export of a run from its packed rows; None if it is not packed.

        Parameters
        ----------
        run : RunPath
            The run, which need not be one of those of the read.
        relative : str
            Its directory relative to the root.
        pulled : PullResult
            What is on disk of the run.
        """
        number = self._current.get(relative)
        if number is None:
            return None
        from runlake.lake.packed.restore import restored

        return restored(self.view, run, relative, number, pulled)


def choose_packed(root: Path, relative: Mapping[str, str]) -> PackedChoice | None:
    """Return the runs of a read that can be read from packed tables; None if there are no tables.

    Parameters
    ----------
    root : Path
        Root of the cache.
    relative : mapping of str to str
        See `PackedChoice`.
    """
    if not PackedPlace(root).is_there and find_elsewhere(root) is None:
        return None
    from runlake.lake.packed.view import open_view

    view = open_view(root)
    return None if view is None else PackedChoice(view, relative)
