"""Methods of a list of runs that read the runs' files and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument
from runlake.history.runs.open import side_by_side
from runlake.public.runs.run_set import RunSet
from runlake.values import RUN_ID

if TYPE_CHECKING:
    import polars as pl

    from runlake.public.files import File
    from runlake.public.run.run import Run


class RunAttachments(RunSet):
    """Methods of a list of runs that read the runs' files and tables."""

    def files(self, pattern: str | None = None) -> dict[str, list[File]]:
        """Return the files of all runs, listed in parallel.

        Parameters
        ----------
        pattern : str, optional
            As for `Run.files`: ``%.json`` matches every name that ends in ``.json``.

        Returns
        -------
        dict of str to list of File
            The files by run id, in the order of the list. They have not been downloaded yet.

        Raises
        ------
        InvalidArgument
            If the pattern is not a string; this is checked before any request.
        """
        from runlake.public.files import check_pattern

        check_pattern(pattern)
        runs = self._runs()
        listed = side_by_side(self._client, lambda run: list(run.files(pattern=pattern)), runs)
        return dict(zip(self._ids(), listed, strict=True))

    def tables(self, key: str, step: int | None = None) -> pl.DataFrame:
        """Read the tables that the runs logged with ``wandb.Table`` under one key, in parallel.

        Parameters
        ----------
        key, step
            As for `Run.table`.

        Returns
        -------
        polars.DataFrame
            ``run_id``, then the columns of the tables, run by run in the order of the list. Runs
            without the table have no rows. A column whose values have no common type is JSON text.

        Raises
        ------
        InvalidArgument
            If no run logged a table under this key, or at this step. Also if an argument is wrong;
            this is checked before any request.
        """
        import polars as pl

        from runlake.history.frames.json_columns import stack
        from runlake.history.frames.sources import check_polars
        from runlake.history.tables import check_table

        check_table(key, step)
        # Before any request: this raises an error in a forked process, where polars would hang.
        check_polars()
        runs = self._full_runs()

        def read(run: Run) -> pl.DataFrame | InvalidArgument:
            try:
                return run.table(key, step)
            except InvalidArgument as error:
                # Other runs may have the table; the error is raised only if no run has it.
                return error

        found = side_by_side(self._client, read, runs)
        tables = [
            (run_id, table)
            for run_id, table in zip(self._ids(), found, strict=True)
            if isinstance(table, pl.DataFrame)
        ]
        for run_id, table in tables:
            if RUN_ID in table.columns:
                raise InvalidArgument(
                    f"The table {key!r} of run '{run_id}' has a column {RUN_ID!r}, which would "
                    "replace the column that names the run. Read the tables with Run.table."
                )
        frames = [
            pl.DataFrame([pl.repeat(run_id, table.height, eager=True).alias(RUN_ID), *table])
            for run_id, table in tables
        ]
        if not frames:
            missing = [error for error in found if isinstance(error, InvalidArgument)]
            raise missing[0] if missing else InvalidArgument(f"'{self._place}' lists no runs.")
        return stack(frames)
