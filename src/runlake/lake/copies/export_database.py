"""Copy the runs of a lake into a DuckDB database."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import duckdb

from runlake.errors import FileTransferError, InvalidArgument
from runlake.lake.bucket import Bucket
from runlake.lake.copies.copied_files import TEMPORARY
from runlake.lake.copies.export import HISTORY, RUNS, ExportReport, Outline, export_runs
from runlake.lake.copies.file_formats import PARQUET
from runlake.lake.fixed_runs import FixedRuns

# An empty table that shows a later export that it may replace the file.
MARK = "runlake_export"


def export_database(runs: FixedRuns, dest: Path | Bucket, outline: Outline) -> ExportReport:
    """Write a database with the tables ``runs`` and ``history``.

    The rows are first copied to Parquet files beside the database, which are deleted when the
    database is complete. With these files, an interrupted export to a path can be continued.

    Parameters
    ----------
    runs : FixedRuns
        The runs.
    dest : Path or Bucket
        The path of the database, or the object in object storage. At a path, only a database that
        an earlier export wrote is replaced; in object storage, any object is replaced.
    outline : Outline
        What to copy. Its format is Parquet, for the files beside the database.

    Raises
    ------
    InvalidArgument
        If a file exists at the path and was not written by an export.
    FileTransferError
        If DuckDB cannot write the file.
    """
    if isinstance(dest, Bucket):
        return _export_to_bucket(runs, dest, outline)
    if dest.exists() and not _is_ours(dest):
        raise InvalidArgument(f"{str(dest)!r} was not written by an export. Name a new file.")
    dest.parent.mkdir(parents=True, exist_ok=True)
    parts = dest.with_name(f"{dest.name}.parts")
    report = export_runs(runs, parts, outline)
    temporary = dest.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
    try:
        with duckdb.connect(str(temporary)) as connection:
            _fill(connection, parts)
        temporary.replace(dest)
    except duckdb.Error as error:
        raise FileTransferError(f"{str(dest)!r} cannot be written ({error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    # Only after success: an export that failed is continued from these files.
    shutil.rmtree(parts, ignore_errors=True)
    return replace(report, path=dest, n_files=1, n_bytes=dest.stat().st_size)


def _export_to_bucket(runs: FixedRuns, dest: Bucket, outline: Outline) -> ExportReport:
    with tempfile.TemporaryDirectory(prefix="runlake-") as directory:
        file = Path(directory) / "lake.duckdb"
        report = export_database(runs, file, outline)
        url, _, name = dest.url.rpartition("/")
        Bucket(url, dest.options).write(name, file)
    return replace(report, path=dest.url)


def _fill(connection: duckdb.DuckDBPyConnection, parts: Path) -> None:
    files = sorted(str(file) for file in (parts / HISTORY).rglob(f"*.{PARQUET}"))
    connection.execute(f"CREATE TABLE {MARK} (version INTEGER)")
    connection.read_parquet(str(parts / f"{RUNS}.{PARQUET}")).create(RUNS)
    if files:
        # By name, because each file has only the keys of its run.
        rows = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
        rows.create(HISTORY)
    else:
        connection.execute(f"CREATE TABLE {HISTORY} (run_id VARCHAR, _step BIGINT)")


def _is_ours(file: Path) -> bool:
    # A file that DuckDB cannot open is not replaced: no export has written it.
    with suppress(duckdb.Error), duckdb.connect(str(file), read_only=True) as connection:
        query = "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?"
        found = connection.execute(query, [MARK]).fetchone()
        return found is not None and found[0] == 1
    return False
