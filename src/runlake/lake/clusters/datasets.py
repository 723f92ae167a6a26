"""`LakeDatasets`: the method `dataset`, which reads histories as a Dask frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from runlake.lake.disk_source import WARN
from runlake.settings import Settings
from runlake.values import check_count

if TYPE_CHECKING:
    import re

    from runlake.lake.clusters.dask_frames import DaskFrame
    from runlake.lake.fixed_runs import FixedRuns

T = TypeVar("T")
PARTITION_ROWS = 1_000_000


class LakeDatasets(ABC):
    """The base class of `LakeRuns` with the method that reads histories as a Dask frame."""

    _settings: Settings

    @abstractmethod
    def _read(self, incomplete: str, read: Callable[[FixedRuns], T]) -> T:
        """Call ``read`` with the runs, and return its result.

        Parameters
        ----------
        incomplete : {"warn", "raise", "skip"}
            What to do with runs that lack keys or steps on disk.
        read : callable
            Takes the runs. If ``incomplete`` is "skip", it is called again without runs that lack
            data.
        """

    def dataset(
        self,
        keys: list[str] | None = None,
        *,
        like: str | re.Pattern[str] | None = None,
        kind: str | None = None,
        columns: Sequence[str] = (),
        how: str | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        partition_rows: int = PARTITION_ROWS,
        incomplete: str = WARN,
    ) -> DaskFrame:
        """Return the histories of the runs as a Dask frame, for workers on several machines.

        This call only plans the read. Later, workers read the partitions from the files of the
        lake, which all workers must see under the same path. On one machine, `scan` is faster.

        Parameters
        ----------
        keys, like, kind, columns, how, min_step, max_step
            As for `scan`.
        partition_rows : int
            Approximate number of rows of a partition. A run with more rows is divided into several
            partitions: at the boundaries of row groups if it is read from exports, and into even
            ranges of steps if it is read from packed tables.
        incomplete : {"warn", "raise", "skip"}
            What to do with runs that lack keys or steps on disk; see the class.

        Returns
        -------
        dask.dataframe.DataFrame
            The rows and columns of ``scan(...).collect()``, in the same order. The columns have
            Arrow's types, so a null is not NaN, and integers beside nulls stay integers.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; nothing has been read then.
        MissingExtra
            If Dask is not installed; the extra ``distributed`` has it.
        NotCached
            If ``incomplete`` is "raise", and a run lacks keys or steps.

        Notes
        -----
        If a new pull changes a run before its partition is read, the worker raises `CacheError`,
        because the frame would mix rows of two pulls.
        """
        from runlake.lake.clusters.dask_frames import dask_frame, import_dask
        from runlake.lake.clusters.parts import plan_parts
        from runlake.public.runs.scans import check_request

        asked = check_request(
            keys,
            like=like,
            kind=kind,
            columns=columns,
            how=how,
            min_step=min_step,
            max_step=max_step,
        )
        check_count(partition_rows, "partition_rows")
        # Before the runs are planned, which takes longer.
        import_dask()
        parts = self._read(
            incomplete, lambda runs: plan_parts(runs, asked, self._settings, partition_rows)
        )
        return dask_frame(parts)
