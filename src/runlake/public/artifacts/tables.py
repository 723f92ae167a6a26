"""Open objects that were added to an artifact: tables are read, other objects are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query
from runlake.cache.artifacts.manifest import Manifest
from runlake.cache.artifacts.references import parse_artifact_reference
from runlake.errors import ArtifactNotFoundError, InvalidArgument
from runlake.errors.screen import line_for_screen
from runlake.history.tables import StoredTable, open_table
from runlake.public.artifacts.objects import object_name
from runlake.public.pandas_frame import table_to_pandas
from runlake.values.counted import counted

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from runlake.public.artifacts.artifacts import Artifact

TABLES = ("table", "eval-table", "partitioned-table")


class ArtifactTable:
    """A table that was added to an artifact; changed rows are not sent to the backend.

    Times are datetimes in UTC. A cell with an image or other media is a dict; its ``path`` is the
    name of a file of the artifact.

    Parameters
    ----------
    stored : StoredTable
        The decoded table.
    name : str
        The name under which the table was added.
    """

    def __init__(self, stored: StoredTable, name: str) -> None:
        self._stored = stored
        self._name = name
        self.columns: list[Any] = stored.columns
        self.data: list[list[Any]] = stored.rows()

    def frame(self) -> pl.DataFrame:
        """Return the table as a polars frame, as `Run.table` does."""
        return self._stored.frame()

    def get_dataframe(self) -> pd.DataFrame:
        """Return the table as a pandas frame.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        return table_to_pandas(self.data, self.columns)

    def get_column(self, name: Any, convert_to: str | None = None) -> Any:
        """Return the cells of a column.

        Parameters
        ----------
        name : str or int
            Name of the column.
        convert_to : {"numpy"}, optional
            Return a numpy array instead of a list.

        Raises
        ------
        InvalidArgument
            If there is no such column, or ``convert_to`` is another word.
        """
        if name not in self.columns or convert_to not in {None, "numpy"}:
            raise InvalidArgument(
                f"The table {self._name!r} has no column {name!r}; its columns: {self.columns}."
                if convert_to in {None, "numpy"}
                else f"convert_to must be 'numpy' or None, not {convert_to!r}."
            )
        at = self.columns.index(name)
        cells = [row[at] for row in self.data]
        if convert_to is None:
            return cells
        import numpy as np

        return np.array(cells)

    def get_index(self) -> list[int]:
        """Return the numbers of all rows: 0, 1, 2, ..."""
        return list(range(len(self.data)))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the rows as pairs of row number and list of cells."""
        return iter(enumerate(self.data))

    def __repr__(self) -> str:
        size = f"{counted(len(self.data), 'row')}, {counted(len(self.columns), 'column')}"
        return line_for_screen(f"<ArtifactTable {self._name} ({size})>")


def open_object(artifact: Artifact, manifest: Manifest, name: str) -> ArtifactTable | None:
    """Return the object that was added to an artifact under a name; None for an unknown name."""
    found = object_name(manifest.entries, name)
    if found is None:
        return None
    entry, type_name = found
    target = parse_artifact_reference(manifest.entries[entry].ref)
    if target is not None:
        return _open_elsewhere(artifact, *target)
    if type_name not in TABLES:
        raise InvalidArgument(
            f"{name!r} of artifact {artifact.qualified_name!r} is of type {type_name!r}, "
            f"and runlake reads only tables. Download its JSON, which names its file, with "
            f"artifact.get_entry({entry!r}).download(), or use wandb.Api() for the object."
        )
    stored = open_table(artifact.client, artifact.place, manifest, entry)
    return ArtifactTable(stored, name)


def _open_elsewhere(artifact: Artifact, artifact_id: str, name: str) -> ArtifactTable | None:
    client = artifact.client
    found = query(client, documents.ARTIFACT_BY_ID, {"id": artifact_id}).get("artifact")
    if not found:
        raise ArtifactNotFoundError(
            f"Artifact {artifact.qualified_name!r} refers to {name!r} of another artifact, which "
            f"{client.origin} does not have or does not show to this API key.",
            operation="ArtifactByID",
            origin=client.origin,
        )
    return type(artifact).from_attrs(client, found).get(name)
