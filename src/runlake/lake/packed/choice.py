"""Choose the runs that a read takes from packed tables: runs that are unchanged since the pack."""

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
    """The requested runs that have not changed since they were packed.

    Parameters
    ----------
    view : PackedView
        The packed tables.
    relative : mapping of str to str
        The directory of each requested run, relative to the cache root. The keys are the runs'
        names in the column ``run_id``.
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
        """Plan the reads of packed runs, and return each planned read by its run's ``run_id``.

        Runs that are not packed, or have changed since, are left out.
        """
        from runlake.lake.packed.read import PackedRead

        wanted = {run.run_id: run.path for run in runs if run.run_id in self.numbers}
        if not wanted:
            return {}
        numbers = {run_id: self.numbers[run_id] for run_id in wanted}
        return PackedRead(self.view, question, numbers).readings(wanted)

    def known_per_run(self, key: str, choice: str) -> pl.DataFrame | None:
        """Return, for each packed run, the row with a key's lowest, highest or last value.

        The rows are in the order of the runs. They come from the table ``stats``; the tables of
        values are not read.

        Parameters
        ----------
        key : str
            The key.
        choice : {"min", "max", "last"}
            Which value of the key the row has.

        Returns
        -------
        polars.DataFrame or None
            The column ``_step`` and a column with the key's name; both are null for a run without
            such a value. None if no run has the key, if its values are not numbers, or if ``stats``
            does not have the value of a run exactly, for example a large integer.
        """
        from runlake.lake.packed.read import PackedRead

        return PackedRead(self.view, Question(Projection((key,))), self.numbers).known_per_run(
            key, choice
        )

    def restored(self, run: RunPath, relative: str, pulled: PullResult) -> PullResult | None:
        """Write a run's packed rows to a temporary export; return a pull result with this export.

        Return None if the run is not packed, or has changed since.

        Parameters
        ----------
        run : RunPath
            The run. It need not be a requested run.
        relative : str
            The run's directory relative to the cache root.
        pulled : PullResult
            What the cache has of the run. Its exports are replaced in the result.
        """
        number = self._current.get(relative)
        if number is None:
            return None
        from runlake.lake.packed.restore import restored

        return restored(self.view, run, relative, number, pulled)


def choose_packed(root: Path, relative: Mapping[str, str]) -> PackedChoice | None:
    """Return the requested runs whose packed rows are current; None if no tables can be read.

    Parameters
    ----------
    root : Path
        Root of the cache.
    relative : mapping of str to str
        The directories of the requested runs, by ``run_id``; see `PackedChoice`.
    """
    if not PackedPlace(root).is_there and find_elsewhere(root) is None:
        return None
    from runlake.lake.packed.view import open_view

    view = open_view(root)
    return None if view is None else PackedChoice(view, relative)
