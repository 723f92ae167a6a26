"""Methods of a list of runs that return the runs' fields as a frame."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, MixedTypesWarning
from runlake.errors.user_line import warn
from runlake.public.pandas_frame import frame_to_pandas
from runlake.public.runs.run_set import RunSet
from runlake.values import RUN_ID

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

SHOWN_COLUMNS = 5


class RunTable(RunSet):
    """Methods of a list of runs that return the runs' fields as a frame."""

    def frame(self, *, flat: bool = False) -> pl.DataFrame:
        """Return the fields, config and summary of the runs as a frame, one row per run.

        Parameters
        ----------
        flat : bool
            Return a column per path of config and summary, such as ``config.net.depth``, instead of
            two structs. All columns are then scalars, so that the frame can be written to CSV.

        Returns
        -------
        polars.DataFrame
            One row per run, in the order of the list. The columns are ``id`` and ``run_id`` (the
            same id, under the name that `scan` uses), ``name``, ``state``, ``tags`` (list),
            ``group``, ``job_type``, ``user``, ``sweep``, ``notes``, ``url``, ``created_at`` and
            ``heartbeat_at`` (UTC), ``duration`` (seconds from ``created_at`` to ``heartbeat_at``),
            ``runtime`` (seconds that the run was running, from its summary),
            ``history_line_count``, then config and summary. A key whose values have no common type
            is JSON text. If ``flat`` is True, lists and media are JSON text too, and a
            `MixedTypesWarning` names the columns whose values have no common type.

        Notes
        -----
        No history is read. For runs of a backend, config and summary are requested for up to 1,000
        runs at once; for fewer runs if these fields are large.

        Examples
        --------
        ``api.runs("team/project").frame(flat=True).write_csv("runs.csv")``
        """
        from runlake.history.runs.run_table import run_table

        if flat:
            return self._flat_table()
        return run_table(self._all_fields())

    def pandas(self) -> pd.DataFrame:
        """Return the fields, config and summary of the runs as a pandas frame of scalar columns.

        Returns
        -------
        pandas.DataFrame
            The columns of ``frame(flat=True)``.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        return frame_to_pandas(self.frame(flat=True))

    def _flat_table(self, named: Collection[str] | None = None) -> pl.DataFrame:
        """Return ``frame(flat=True)``; warn about columns whose values have no common type.

        If ``named`` is given, warn only about the columns that it names.
        """
        from runlake.history.runs.run_table import flat_run_table

        table, mixed = flat_run_table(self._all_fields())
        mixed = [name for name in mixed if named is None or name in named]
        if mixed:
            shown = ", ".join(map(repr, mixed[:SHOWN_COLUMNS]))
            more = f" and {len(mixed) - SHOWN_COLUMNS:,} more" if len(mixed) > SHOWN_COLUMNS else ""
            warn(
                f"Columns of '{self._place}' have values without a common type and are JSON text: "
                f"{shown}{more}.",
                MixedTypesWarning,
            )
        return table

    def _columns(self, names: Sequence[str]) -> pl.DataFrame:
        """Return the named columns, one row per run; config and summary are loaded if needed."""
        from runlake.history.runs.run_table import chosen_columns, needs_large_fields

        fields = self._all_fields() if needs_large_fields(names) else self._light_fields()
        return chosen_columns(fields, names)

    def _matching(self, condition: pl.Expr) -> list[str]:
        """Return the ids of the runs for which an expression is true."""
        import polars as pl

        from runlake.history.frames.sources import check_polars

        check_polars()
        # A column without a common type matters only if the expression names it.
        table = self._flat_table(condition.meta.root_names())
        if table.is_empty():
            return []
        try:
            chosen: list[str] = table.filter(condition)[RUN_ID].to_list()
        except pl.exceptions.PolarsError as error:
            raise InvalidArgument(
                f"The expression does not work over the runs of '{self._place}': {error}."
            ) from error
        return chosen
