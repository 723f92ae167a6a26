"""Read the tables that a run logged with ``wandb.Table``, as polars frames.

A table's value in the history names a file of the run and an entry of an artifact. The artifact is
the better source: only the artifact has the file names of media cells, the types of columns, and
the earlier rows of an incremental table. The run's file is used if the artifact was deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from runlake.backend.graphql import artifact_documents, documents
from runlake.backend.graphql.query import query, query_run
from runlake.backend.graphql.run_files import promised_md5
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.backend.http.json_text import parse_json
from runlake.backend.http.transfer import download_bytes
from runlake.cache.artifacts.files import Fetcher
from runlake.cache.artifacts.held import LOGGED, place_of, read_list, read_manifest_of
from runlake.cache.artifacts.manifest import Manifest, fetch_manifest
from runlake.cache.artifacts.references import parse_artifact_reference
from runlake.cache.layout import RunDirectory
from runlake.cache.stored_files import list_stored_files, read_stored_file
from runlake.errors import (
    ArtifactNotFoundError,
    InvalidArgument,
    MissingExtra,
    NotCached,
    ProtocolError,
    RunFileNotFoundError,
)
from runlake.errors.user_line import warn
from runlake.history.logged_value import logged_value
from runlake.values import ArtifactPath, RunPath, check_text, check_whole

if TYPE_CHECKING:
    import polars as pl

INCREMENTAL = "incremental-table-file"
PARTITIONED = "partitioned-table"
# A tuple, because a cell may have anything as its type, also a list, which no set can look up.
TABLE_TYPES = ("table-file", INCREMENTAL, PARTITIONED)
CLIENT_SCHEME = "wandb-client-artifact"
TABLE_SUFFIX = ".table.json"
INCREMENT_NAME = re.compile(r"(?P<number>\d+)(?:-(?P<time>\d+))?\.")


def read_table(
    client: Client, run: RunPath, key: str, step: int | None, summary: Mapping[str, Any]
) -> pl.DataFrame:
    """Read a table that a run logged.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    key : str
        The key that the table was logged under.
    step : int or None
        The step that the table was logged at; None means the last step with this key, whose table
        is in the summary.
    summary : mapping
        The run's summary.

    Returns
    -------
    polars.DataFrame
        The columns of the table.

    Raises
    ------
    InvalidArgument
        If there is no such table, the key is not a string, or the step is not an integer.
    ArtifactNotFoundError, RunFileNotFoundError, FileTransferError
        If the table's file cannot be downloaded.
    """
    check_table(key, step)
    value = logged_value(client, run, key, step, summary)
    if not isinstance(value, dict) or value.get("_type") not in TABLE_TYPES:
        place = "" if step is None else f" at step {step}"
        known = ", ".join(sorted(_tables_in(summary))) or "none"
        raise InvalidArgument(
            f"Run '{run}' logged no table under {key!r}{place}. Tables in its summary: {known}."
        )
    return read_table_cell(client, run, value)


def read_table_cell(client: Client, run: RunPath, cell: Mapping[str, Any]) -> pl.DataFrame:
    """Read the table that a cell of a run's history describes; for errors see `read_table`."""
    held = _held_source(client, run, cell) if client.settings.offline else None
    if held is not None:
        return held.frame(cell)
    # If a run was pulled to the lake without artifacts, only the run's own files are on disk.
    is_in_lake = client.settings.offline and cell.get("_type") == "table-file" and cell.get("path")
    if is_in_lake and list_stored_files(client.settings, run, [cell["path"]]):
        return _frame([_run_file(client, run, cell)], {})
    source = open_reference(client, cell.get("artifact_path"))
    if source is None:
        return _frame([_run_file(client, run, cell)], {})
    return source.frame(cell)


def check_table(key: str, step: int | None) -> None:
    """Raise `InvalidArgument` unless ``key`` is a string and ``step`` an integer or None."""
    if not isinstance(key, str):
        raise InvalidArgument(f"The key of a table must be a string, not {key!r}.")
    check_text(key, "The key")
    if step is not None:
        check_whole(step, "step")


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table in the SDK's file format.

    Parameters
    ----------
    parts : list of dict
        The JSON documents of the table, in the order of their rows.
    arrays : mapping
        Columns that the SDK stores in numpy files, by name.
    """

    parts: list[dict[str, Any]]
    arrays: Mapping[str, list[Any]]

    @property
    def columns(self) -> list[Any]:
        """The names of the columns."""
        return next((list(part["columns"]) for part in self.parts if "columns" in part), [])

    def rows(self) -> list[list[Any]]:
        """Return the rows as lists of cells, with times and arrays decoded."""
        rows = [list(row) for part in self.parts for row in part.get("data", ())]
        types = _column_types(self.parts[0]) if self.parts else {}
        for at, column in enumerate(map(str, self.columns)):
            cells = self.arrays.get(column)
            if cells is None and types.get(column, {}).get("wb_type") == "timestamp":
                cells = _timestamps([row[at] for row in rows]).to_pylist()
            for row, cell in zip(rows, cells or (), strict=False):
                row[at] = cell
        return rows

    def frame(self) -> pl.DataFrame:
        """Return the table as a polars frame."""
        return _frame(self.parts, self.arrays)


def open_table(client: Client, path: ArtifactPath, manifest: Manifest, name: str) -> StoredTable:
    """Read a table from all of its files in an artifact.

    Parameters
    ----------
    client : Client
        The client of the backend.
    path : ArtifactPath
        The version of the artifact.
    manifest : Manifest
        The artifact's files.
    name : str
        Name of the table's file.

    Raises
    ------
    ProtocolError
        If the file is not a table.
    FileTransferError
        If a file cannot be downloaded.
    """
    return TableSource(client, path, manifest, name).read()


class TableSource:
    """A table or media file in an artifact, to which a cell of a run's history refers.

    Parameters
    ----------
    client : Client
        The client of the backend.
    path : ArtifactPath
        The version of the artifact.
    manifest : Manifest
        The artifact's files.
    name : str
        Name of the file.
    """

    def __init__(self, client: Client, path: ArtifactPath, manifest: Manifest, name: str) -> None:
        self._fetcher = Fetcher(client, path)
        self._path = path
        self._manifest = manifest
        self._name = name

    def own_file(self) -> Path:
        """Return the path of the file in the cache; download the file if it is not there."""
        return self._file(self._name)

    def frame(self, value: Mapping[str, Any]) -> pl.DataFrame:
        """Read the table from all of its files, and return it as a polars frame."""
        return self.read(is_incremental=value.get("_type") == INCREMENTAL).frame()

    def read(self, *, is_incremental: bool | None = None) -> StoredTable:
        """Read the table from all of its files.

        If ``is_incremental`` is None, the table's document says whether it is incremental.
        """
        first = self._document(self._name)
        names = [self._name]
        if is_incremental is None:
            is_incremental = first.get("log_mode") == "INCREMENTAL"
        if is_incremental:
            tables = (name for name in self._manifest.entries if name.endswith(TABLE_SUFFIX))
            names = sorted(tables, key=_increment_order)
        elif isinstance(first.get("parts_path"), str):
            folder = str(first["parts_path"]).rstrip("/") + "/"
            names = sorted(n for n in self._manifest.entries if n.startswith(folder))
            names = [name for name in names if name.endswith(TABLE_SUFFIX)]
        parts = [first if name == self._name else self._document(name) for name in names]
        return StoredTable(parts, self._arrays(first))

    def _arrays(self, document: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the columns that the SDK stores in numpy files, by column name."""
        arrays = {}
        for column, kind in _column_types(document).items():
            place = kind.get("params", {}).get("serialization_path")
            if place:
                file = self._file(str(place.get("path")))
                arrays[column] = _load_array(file, str(place.get("key")), self._name)
        return arrays

    def _document(self, name: str) -> dict[str, Any]:
        return _parse(self._file(name).read_bytes(), f"{name!r} of artifact '{self._path}'")

    def _file(self, name: str) -> Path:
        if name not in self._manifest.entries:
            raise ProtocolError(f"Artifact '{self._path}' lacks the file {name!r} of its table.")
        return self._fetcher.fetch(self._manifest.entries[name])


def _tables_in(summary: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in summary.items():
        if isinstance(value, dict) and value.get("_type") in TABLE_TYPES:
            yield f"{prefix}{key}"
        elif isinstance(value, dict) and "_type" not in value:
            yield from _tables_in(value, f"{prefix}{key}.")


def _held_source(client: Client, run: RunPath, cell: Mapping[str, Any]) -> TableSource | None:
    """Find a cell's table in the artifacts that were pulled with the run, else return None.

    A cell refers to its artifact by an id that only a backend can look up. So the artifact is found
    by the name of the table's file, among the artifacts that the run logged. If several versions
    have a file of this name, the result is None, because they cannot be distinguished. An
    incremental table is an exception: each later version contains the file too, so the first
    version is returned.
    """
    try:
        name = urlsplit(cell.get("artifact_path") or "").path.removeprefix("/")
    except ValueError:
        return None
    settings = client.settings
    found = []
    with suppress(NotCached):
        directory = RunDirectory(settings.cache_dir, settings.base_url, run)
        for row in read_list(directory) or ():
            manifest = (
                read_manifest_of(place_of(directory), row.version) if row.mode == LOGGED else None
            )
            if manifest is not None and name in manifest.entries:
                found.append((row.version, manifest))
    found.sort(key=lambda one: int(one[0].node["versionIndex"]))
    if not found or (len(found) > 1 and cell.get("_type") != INCREMENTAL):
        return None
    version, manifest = found[0]
    return TableSource(client, version.path, manifest, name)


def open_reference(client: Client, reference: str | None) -> TableSource | None:
    """Return the artifact file to which ``reference`` refers; None if there is no such file."""
    try:
        parts = urlsplit(reference or "")
    except ValueError:
        return None
    # The SDK writes a table's value before the backend has assigned an id to its artifact: then the
    # reference has the client's own id.
    if parts.scheme == CLIENT_SCHEME:
        variables = {"clientID": parts.netloc}
        mapping = query(client, artifact_documents.CLIENT_ID_MAPPING, variables)
        artifact_id = (mapping.get("clientIDMapping") or {}).get("serverID")
        name = parts.path.removeprefix("/")
    else:
        artifact_id, name = parse_artifact_reference(reference) or (None, "")
    if not artifact_id:
        return None
    found = query(client, artifact_documents.ARTIFACT_BY_ID, {"id": artifact_id}).get("artifact")
    collection = (found or {}).get("artifactSequence") or {}
    project = collection.get("project")
    if not found or not project:
        return None
    with answer_to(client, "ArtifactByID", f"the artifact of table {name!r}"):
        if found["state"] != "COMMITTED":
            return None
        version = f"v{found['versionIndex']}"
        names = (project["entity"]["name"], project["name"], collection["name"], version)
        path = ArtifactPath(*names)
    try:
        manifest = fetch_manifest(client, artifact_id, f"'{path}'")
    except ArtifactNotFoundError:
        return None
    return TableSource(client, path, manifest, name) if name in manifest.entries else None


def _run_file(client: Client, run: RunPath, value: Mapping[str, Any]) -> dict[str, Any]:
    name = value.get("path")
    if not name or value.get("_type") != "table-file":
        raise ArtifactNotFoundError(
            f"The artifact with this table of run '{run}' was deleted, and the run has no copy of "
            "the table's rows.",
            operation="ClientIDMapping",
            origin=client.origin,
        )
    what = f"{name!r} of run '{run}'"
    stored = list_stored_files(client.settings, run, [name]) if client.settings.offline else None
    if stored:
        return _parse(read_stored_file(stored[0]["content"], what), what)
    found = query_run(client, documents.RUN_FILES, run, fileNames=[name], fileLimit=1, upload=False)
    with answer_to(client, "RunFiles", f"'{run}'"):
        edges = (found.get("files") or {}).get("edges") or []
    if not edges:
        raise RunFileNotFoundError(
            f"The file {name!r} of run '{run}' and the artifact with this table were deleted.",
            operation="RunFiles",
            origin=client.origin,
        )
    with answer_to(client, "RunFiles", f"'{run}'"):
        node = edges[0]["node"]
        url, md5 = node["url"], promised_md5(node)
    return _parse(download_bytes(client, url, what=what, md5=md5), what)


def _parse(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not _is_table(document):
        raise ProtocolError(f"{what} is not a table in the SDK's format.")
    return document


def _is_table(document: Mapping[str, Any]) -> bool:
    """Return whether a JSON document is a table: its columns and rows have the expected shapes."""
    if isinstance(document.get("parts_path"), str):
        return True
    columns, rows = document.get("columns"), document.get("data")
    return (
        isinstance(columns, list)
        and isinstance(rows, list)
        and all(isinstance(row, list) and len(row) == len(columns) for row in rows)
        and isinstance(document.get("column_types") or {}, dict)
    )


def _increment_order(name: str) -> tuple[int, int]:
    """Return the sort key of a file named ``NUMBER-MILLISECONDS.KEY.table.json``.

    The first file of a table has no number.
    """
    found = INCREMENT_NAME.match(name)
    return (int(found["number"]), int(found["time"] or 0)) if found else (-1, 0)


def _column_types(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the type of each column that allows exactly one type besides None."""
    types = {}
    try:
        declared = (document.get("column_types") or {}).get("params", {}).get("type_map", {})
        for column, kind in declared.items():
            allowed = kind.get("params", {}).get("allowed_types") or [kind]
            some = [one for one in allowed if one.get("wb_type") != "none"]
            if len(some) == 1:
                types[str(column)] = some[0]
    except (AttributeError, TypeError) as error:
        raise ProtocolError(
            "The types of a table's columns are not in the SDK's format."
        ) from error
    return types


def _frame(parts: list[dict[str, Any]], arrays: Mapping[str, list[Any]]) -> pl.DataFrame:
    import polars as pl

    parts = [part for part in parts if "columns" in part]
    # A table may have several columns of one name, but a frame may not.
    columns = _unique([str(column) for column in parts[0]["columns"]]) if parts else []
    types = _column_types(parts[0]) if parts else {}
    rows = [row for part in parts for row in part["data"]]
    series = []
    for at, column in enumerate(columns):
        cells = arrays.get(column) or [row[at] for row in rows]
        kind = types.get(column, {}).get("wb_type")
        array = _timestamps(cells) if kind == "timestamp" else _arrow(cells, column)
        series.append(pl.Series(column, array))
    return pl.DataFrame(series)


def _arrow(cells: list[Any], column: str) -> pa.Array:
    try:
        array = pa.array(cells)
        if not (pa.types.is_struct(array.type) and array.type.num_fields == 0):
            return array
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        warn(
            f"Column {column!r} of the table has values of several types, so it is JSON text.",
        )
    return pa.array([None if cell is None else json.dumps(cell) for cell in cells], pa.string())


def _timestamps(cells: list[Any]) -> pa.Array:
    """Convert times, milliseconds since 1970 or ISO 8601 text in the SDK's files, to timestamps."""
    return pa.array(map(_time, cells), pa.timestamp("ms", "UTC"))


def _time(cell: Any) -> datetime | None:
    try:
        if isinstance(cell, str):
            read = datetime.fromisoformat(cell)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
        return None if cell is None else datetime.fromtimestamp(cell / 1000, UTC)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise ProtocolError(f"A table's column of times has {cell!r:.100}, no time.") from error


def _unique(names: list[str]) -> list[str]:
    """Return the names, with a number appended to repeated names."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique


def _load_array(file: Path, key: str, name: str) -> list[Any]:
    try:
        import numpy as np
    except ImportError as error:
        raise MissingExtra(
            "A column of this table is stored as a numpy array, and numpy is not installed. "
            "Install it with 'pip install runlake[pandas]'.",
            extra="pandas",
        ) from error
    try:
        # numpy does not close a file that it opens itself and cannot read.
        with file.open("rb") as content, np.load(content, allow_pickle=False) as arrays:
            found: list[Any] = arrays[key].tolist()
    except Exception as error:  # numpy, zipfile and zlib raise a dozen classes, such as EOFError
        raise ProtocolError(
            f"A column of the table {name!r} cannot be read: its numpy file has no array {key!r}."
        ) from error
    return found
