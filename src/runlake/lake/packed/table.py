"""The packed tables as Iceberg tables; the only module that imports pyiceberg.

`runlake.lake.packed.segments` writes data files; this module registers them without a copy. Each
snapshot of ``runs`` names a snapshot of every other table. So a snapshot of ``runs`` describes one
state of all packed tables.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runlake.errors import CacheError, MissingExtra, RunlakeError
from runlake.lake.packed.metadata_files import newest_metadata
from runlake.lake.packed.moment import NOTHING, Moment, PackedFile
from runlake.lake.packed.place import (
    METRICS,
    NAMESPACE,
    RUNS,
    STATS,
    TABLES,
    PackedPlace,
)
from runlake.lake.packed.schemas import KEY_ID, RUN_ID_FIELD, SCHEMAS

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

PREFIX = "runlake.snapshot."
BUSY_SECONDS = 60
CREATE_ATTEMPTS = 5
COMMON = {
    "format-version": "2",
    # By default pyiceberg never merges manifests: each append would add one, and `files_of` reads
    # all of them.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "10",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # Files are chosen by key and run, so only the bounds of these columns are needed.
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.key": "full",
    "write.metadata.metrics.column.run": "full",
    # Appends of several processes do not contradict each other, so pyiceberg repeats a commit
    # that was too late, with a pause of at most 2 s instead of its default of 60 s.
    "commit.retry.num-retries": "20",
    "commit.retry.max-wait-ms": "2000",
}
# New rows of `runs` are computed from one of its snapshots. A retry by pyiceberg would commit them
# onto another snapshot; `commit_state` computes them again instead.
OF_RUNS = {"commit.retry.num-retries": "0"}


class Outdated(Exception):
    """Another process changed a table meanwhile; the caller reads the table again and retries."""


class Tables:
    """The packed tables of a lake, opened by `open_tables` or `open_tables_at`.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    catalog : Catalog
        The catalog of pyiceberg.
    """

    def __init__(self, place: PackedPlace, catalog: Catalog) -> None:
        self.place = place
        self._catalog = catalog
        self._loaded: dict[str, Table] = {}
        self._files: dict[tuple[str, int], tuple[PackedFile, ...]] = {}

    def close(self) -> None:
        """Close the connections to the catalog."""
        self._catalog.close()

    def reload(self) -> None:
        """Forget the loaded tables. The next use sees what other processes have changed."""
        self._loaded.clear()

    def metadata(self) -> dict[str, str]:
        """Return the path or URL of the current metadata file of each table."""
        return {name: self._table(name).metadata_location for name in TABLES}

    def heads(self) -> dict[str, int | None]:
        """Return the id of each table's newest snapshot, which ``runs`` may not name yet."""
        return {name: _head(self._table(name)) for name in TABLES}

    def snapshot_ids(self, tag: str | None = None) -> Moment:
        """Return the newest `Moment`, or the one that a tag names.

        Raises
        ------
        KeyError
            If there is no such tag.
        """
        if tag is None:
            found = _head(self._table(RUNS))
        else:
            found = self._table(RUNS).refs()[tag].snapshot_id
        return NOTHING if found is None else self.moment_of(found)

    def moment_of(self, runs: int) -> Moment:
        """Return the `Moment` that a snapshot of ``runs`` describes."""
        snapshot = self._table(RUNS).snapshot_by_id(runs)
        if snapshot is None:
            raise KeyError(runs)
        named: Mapping[str, str] = (
            snapshot.summary.additional_properties if snapshot.summary else {}
        )
        ids = {name: named.get(PREFIX + name) for name in (*METRICS, STATS)}
        known = {name: None if one is None else int(one) for name, one in ids.items()}
        return Moment({**known, RUNS: runs})

    def moments(self) -> list[tuple[Moment, float]]:
        """Return every stored `Moment`, oldest first, with its time in seconds since 1970."""
        found = sorted(self._table(RUNS).snapshots(), key=lambda one: one.sequence_number or 0)
        return [(self.moment_of(one.snapshot_id), one.timestamp_ms / 1000) for one in found]

    def load_at(self, moment: Moment, key: str | None = None) -> dict[str, tuple[PackedFile, ...]]:
        """Return the data files of each table at a moment; see `files_of`."""
        return {name: self.files_of(name, moment.ids[name], key) for name in TABLES}

    def files_of(
        self, table: str, snapshot_id: int | None, key: str | None = None
    ) -> tuple[PackedFile, ...]:
        """Return the data files of a table in a snapshot.

        Parameters
        ----------
        table : str
            The table.
        snapshot_id : int or None
            The id of the snapshot; None means no files.
        key : str, optional
            Leave out files that cannot have rows of this key.
        """
        if snapshot_id is None:
            return ()
        known = self._files.get((table, snapshot_id))
        if known is None:
            found = self._data_files(table, snapshot_id).values()
            known = tuple(sorted(map(_packed_file, found), key=_order))
            self._files[table, snapshot_id] = known
        return tuple(one for one in known if one.may_hold(key))

    def append(self, table: str, files: Sequence[str]) -> int | None:
        """Register data files in a table; return the id of the table's newest snapshot."""
        if files:
            # pyiceberg would read all manifests to find a path that is registered already. Each
            # path has a random part (`segments`), so no path is registered twice.
            self._table(table).add_files(list(files), check_duplicate_files=False)
        return _head(self._table(table))

    def replace(
        self,
        table: str,
        removed: Iterable[str],
        files: Sequence[str],
        properties: Mapping[str, str] | None = None,
    ) -> int | None:
        """Replace data files of a table in one commit; return the id of the newest snapshot.

        Raises
        ------
        Outdated
            If another process changed the table meanwhile, and the commit conflicts with this
            change.
        """
        from pyiceberg.exceptions import CommitFailedException, ValidationException
        from pyiceberg.io.pyarrow import parquet_files_to_data_files

        loaded = self._table(table)
        gone = set(removed)
        head = _head(loaded)
        present = {} if head is None else self._data_files(table, head)
        if not gone <= present.keys():
            raise Outdated(table)
        try:
            with (
                loaded.transaction() as transaction,
                transaction.update_snapshot(dict(properties or {})).overwrite() as change,
            ):
                for path in gone:
                    change.delete_data_file(present[path])
                for one in parquet_files_to_data_files(
                    loaded.io, transaction.table_metadata, iter(files)
                ):
                    change.append_data_file(one)
        except (CommitFailedException, ValidationException) as error:
            self.reload()
            raise Outdated(table) from error
        self.reload()
        return _head(self._table(table))

    def commit_runs(
        self,
        base: int | None,
        removed: Iterable[str],
        files: Sequence[str],
        ids: Mapping[str, int | None],
    ) -> Moment:
        """Commit a new state of ``runs``, which names snapshots of all other tables.

        Parameters
        ----------
        base : int or None
            The id of the snapshot of ``runs`` from which the new state was computed.
        removed, files : iterable of str
            Data files to remove from ``runs``, and data files to add.
        ids : mapping
            The snapshot id of each other table.

        Raises
        ------
        Outdated
            If ``runs`` has another snapshot than ``base`` by now; nothing has been changed then.
        """
        self.reload()
        if _head(self._table(RUNS)) != base:
            raise Outdated(RUNS)
        named = {PREFIX + name: str(one) for name, one in ids.items() if one is not None}
        self.replace(RUNS, removed, files, named)
        return self.snapshot_ids()

    def tag(self, name: str, moment: Moment | None = None) -> Moment:
        """Give the snapshots of a `Moment` a tag in all tables; return the moment.

        Tagged snapshots, and all files that they name, are kept until the tag is removed.

        Parameters
        ----------
        name : str
            Name of the tag, which no other tag has.
        moment : Moment, optional
            The moment; if omitted, the newest.
        """
        found = self.snapshot_ids() if moment is None else moment
        for table in TABLES:  # `runs` last: who finds the tag there can read all tables
            snapshot_id = found.ids[table]
            if snapshot_id is not None and name not in self._table(table).refs():
                self._table(table).manage_snapshots().create_tag(snapshot_id, name).commit()
        self.reload()
        return found

    def untag(self, name: str) -> None:
        """Remove a tag from all tables."""
        for table in reversed(TABLES):  # `runs` first: who finds the tag there can read all tables
            if name in self._table(table).refs():
                self._table(table).manage_snapshots().remove_tag(name).commit()
        self.reload()

    def tags(self) -> dict[str, Moment]:
        """Return, for each tag, the state of all tables (`Moment`) that was tagged."""
        refs = self._table(RUNS).refs()
        return {
            name: self.moment_of(ref.snapshot_id)
            for name, ref in refs.items()
            if ref.snapshot_ref_type == "tag"
        }

    def expire(self, table: str, kept: Iterable[int], before: float) -> int:
        """Drop old snapshots of a table. Tagged snapshots and the newest one always stay.

        Parameters
        ----------
        table : str
            The table.
        kept : iterable of int
            Ids of snapshots that stay.
        before : float
            Time in seconds since 1970. In all tables but ``runs``, snapshots that were made later
            stay too, because another process may be about to name them in ``runs``.

        Returns
        -------
        int
            Number of snapshots that were dropped.
        """
        loaded = self._table(table)
        stay = {*kept, *(ref.snapshot_id for ref in loaded.refs().values())}
        is_runs = table == RUNS
        gone = [
            one.snapshot_id
            for one in loaded.snapshots()
            if one.snapshot_id not in stay and (is_runs or one.timestamp_ms / 1000 < before)
        ]
        if gone:
            loaded.maintenance.expire_snapshots().by_ids(gone).commit()
            self.reload()
        return len(gone)

    def named_files(self, table: str) -> set[str]:
        """Return the path of each file that a table's metadata names: data, manifests, metadata."""
        loaded = self._table(table)
        named = {loaded.metadata_location}
        named |= {entry.metadata_file for entry in loaded.metadata.metadata_log}
        for snapshot in loaded.snapshots():
            named.add(snapshot.manifest_list)
            named |= {one.manifest_path for one in snapshot.manifests(loaded.io)}
            named |= self._data_files(table, snapshot.snapshot_id).keys()
        return named

    def _table(self, name: str) -> Table:
        found = self._loaded.get(name)
        if found is None:
            found = self._loaded[name] = self._catalog.load_table((NAMESPACE, name))
        return found

    def _data_files(self, table: str, snapshot_id: int) -> dict[str, DataFile]:
        loaded = self._table(table)
        snapshot = loaded.snapshot_by_id(snapshot_id)
        if snapshot is None:
            raise KeyError(snapshot_id)
        return {
            entry.data_file.file_path: entry.data_file
            for manifest in snapshot.manifests(loaded.io)
            for entry in manifest.fetch_manifest_entry(loaded.io, discard_deleted=True)
        }


def is_installed() -> bool:
    """Return whether pyiceberg can be imported. The extra ``lake`` installs it."""
    try:
        _import()
    except MissingExtra:
        return False
    return True


@contextmanager
def open_tables(place: PackedPlace, *, creates: bool = False) -> Iterator[Tables]:
    """Open the packed tables of a directory. A lost catalog is rebuilt from metadata files.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    creates : bool
        Create tables that do not exist.

    Raises
    ------
    MissingExtra
        If pyiceberg is not installed.
    CacheError
        If there are no tables, or they cannot be read.
    """
    pyiceberg = _import()
    if not creates and not place.is_there:
        raise CacheError(f"There are no packed tables in '{place.path}'.", path=str(place.path))
    uri = f"sqlite:///file:{quote(str(place.catalog))}?uri=true&timeout={BUSY_SECONDS}"
    tables: Tables | None = None
    try:
        place.path.mkdir(parents=True, exist_ok=True)
        catalog = pyiceberg("runlake", uri=uri, warehouse=str(place.path))
        tables = Tables(place, catalog)
        _complete(place, catalog, creates=creates)
        yield tables
    except RunlakeError:
        raise
    except _failures() as error:
        raise CacheError(
            f"The packed tables in '{place.path}' cannot be used: {_reason(error)}. Reads take the "
            f"runs from their exports; {_way_out(error)}.",
            path=str(place.path),
        ) from error
    finally:
        if tables is not None:
            tables.close()


@contextmanager
def open_tables_at(
    place: PackedPlace,
    location: str,
    storage: Mapping[str, str],
    catalog: Mapping[str, str] | None,
    known: Mapping[str, str],
) -> Iterator[Tables]:
    """Open the tables of a published lake; tables that do not exist are created.

    Parameters
    ----------
    place : PackedPlace
        A directory on this machine, for files that are written before they are uploaded.
    location : str
        URL of the published lake.
    storage : mapping of str to str
        Properties with which pyiceberg opens the storage.
    catalog : mapping of str to str or None
        Properties with which pyiceberg opens the catalog that several writers share; None if there
        is no such catalog.
    known : mapping of str to str
        URL of the current metadata file of each table, if there is no shared catalog.

    Raises
    ------
    MissingExtra
        If pyiceberg is not installed.
    CacheError
        If the tables cannot be used.
    """
    _import()
    from pyiceberg.catalog import load_catalog
    from sqlalchemy.exc import SQLAlchemyError

    place.path.mkdir(parents=True, exist_ok=True)
    own = {"type": "sql", "uri": f"sqlite:///{place.catalog}", "init_catalog_tables": "false"}
    tables: Tables | None = None
    try:
        found = load_catalog("runlake", **(own if catalog is None else catalog), **storage)
        tables = Tables(place, found)
        for left in reversed(range(CREATE_ATTEMPTS)):
            try:
                _create_missing(found, location, known)
                break
            except SQLAlchemyError:  # another writer creates the same at this moment
                if not left:
                    raise
        yield tables
    except _failures() as error:
        raise CacheError(
            f"The tables of the published lake at {location!r} cannot be used "
            f"({type(error).__name__}). Check that the storage and the catalog can be reached.",
            path=location,
        ) from error
    finally:
        if tables is not None:
            tables.close()


def _create_missing(catalog: Catalog, location: str, known: Mapping[str, str]) -> None:
    """Add the tables that the catalog lacks.

    If ``known`` has a metadata file of a table, the table is registered with this file. Otherwise
    it is created.
    """
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import TableAlreadyExistsError

    if isinstance(catalog, SqlCatalog):
        catalog.create_tables()
    catalog.create_namespace_if_not_exists(NAMESPACE)
    there = {name for _, name in catalog.list_tables(NAMESPACE)}
    for name in (one for one in TABLES if one not in there):
        try:
            if name in known:
                catalog.register_table((NAMESPACE, name), known[name])
            else:
                catalog.create_table(
                    (NAMESPACE, name),
                    _schema(name),
                    location=f"{location}/{name}",
                    properties=COMMON | (OF_RUNS if name == RUNS else {}),
                )
        except TableAlreadyExistsError:  # by another writer
            continue


def _import() -> Any:
    try:
        from pyiceberg.catalog.sql import SqlCatalog
    except ImportError as error:
        raise MissingExtra(
            "Packed tables need pyiceberg. Install it with 'pip install runlake[lake]'.",
            extra="lake",
        ) from error
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    return SqlCatalog


def _failures() -> tuple[type[Exception], ...]:
    from pyiceberg.exceptions import (
        CommitFailedException,
        NoSuchTableError,
        ValidationException,
    )
    from sqlalchemy.exc import SQLAlchemyError

    conflicts = (CommitFailedException, ValidationException)
    return (SQLAlchemyError, NoSuchTableError, OSError, *conflicts)


def _reason(error: Exception) -> str:
    """Return an error's message, without the SQL and the links that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error)


def _way_out(error: Exception) -> str:
    is_full = getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in _reason(error)
    if is_full:
        return "make room, and run Lake.pack() again"
    return "to pack them again, delete this directory and run Lake.pack()"


def _complete(place: PackedPlace, catalog: Catalog, *, creates: bool) -> None:
    """Register tables that the catalog has lost, and create tables that never existed."""
    from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError

    if not catalog.namespace_exists(NAMESPACE):
        try:
            catalog.create_namespace(NAMESPACE)
        except NamespaceAlreadyExistsError:
            logging.getLogger("runlake.lake").debug("Another process created the namespace")
    known = {name for _, name in catalog.list_tables(NAMESPACE)}
    missing = [name for name in TABLES if name not in known]
    if not missing:
        return
    # Only if the whole catalog was lost: otherwise the metadata could be of another moment than the
    # tables that the catalog still has.
    found = newest_metadata(place) if set(missing) == set(TABLES) else {}
    for name in missing:
        try:
            if name in found:
                catalog.register_table((NAMESPACE, name), found[name])
            elif creates:
                place.data(name).mkdir(parents=True, exist_ok=True)
                catalog.create_table(
                    (NAMESPACE, name),
                    _schema(name),
                    location=str(place.table(name)),
                    properties=COMMON | (OF_RUNS if name == RUNS else {}),
                )
        except TableAlreadyExistsError:
            continue


def _schema(name: str) -> Any:
    from pyiceberg.schema import Schema
    from pyiceberg.types import (
        BooleanType,
        DoubleType,
        IntegerType,
        LongType,
        NestedField,
        StringType,
    )

    types = {
        "string": StringType(),
        "int": IntegerType(),
        "long": LongType(),
        "double": DoubleType(),
        "boolean": BooleanType(),
    }
    return Schema(
        *(
            NestedField(number, column.name, types[column.kind], required=False)
            for number, column in enumerate(SCHEMAS[name], 1)
        )
    )


def _head(table: Table) -> int | None:
    snapshot = table.current_snapshot()
    return None if snapshot is None else snapshot.snapshot_id


def _packed_file(file: DataFile) -> PackedFile:
    lows, highs = file.lower_bounds or {}, file.upper_bounds or {}
    keys = [_text(bounds.get(KEY_ID)) for bounds in (lows, highs)]
    runs = [_number(bounds.get(RUN_ID_FIELD)) for bounds in (lows, highs)]
    return PackedFile(
        file.file_path, file.record_count, file.file_size_in_bytes, keys[0], keys[1], *runs
    )


def _text(bound: bytes | None) -> str | None:
    return None if bound is None else bound.decode()


def _number(bound: bytes | None) -> int | None:
    return None if bound is None else int.from_bytes(bound, "little", signed=True)


def _order(file: PackedFile) -> tuple[int, str]:
    return (file.first_run or 0, file.path)


def paths_of(files: Iterable[PackedFile]) -> list[Path]:
    """Return the paths of data files."""
    return [Path(one.path) for one in files]
