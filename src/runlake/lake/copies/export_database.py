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
from runlake.lake.bucket import Bucket, ObjectFile
from runlake.lake.copies.copied_files import TEMPORARY
from runlake.lake.copies.export import HISTORY, RUNS, ExportReport, Outline, export_runs
from runlake.lake.copies.file_formats import PARQUET
from runlake.lake.fixed_runs import FixedRuns

# An empty table that shows a later export that it may replace the file.
MARK = "runlake_export"
# A DuckDB database begins with a checksum of 8 bytes, then these bytes.
MAGIC = b"DUCK"
MAGIC_START = 8
DOWNLOAD_BYTES = 16 << 20


def export_database(runs: FixedRuns, dest: Path | Bucket, outline: Outline) -> ExportReport:
    """Write a database with the tables ``runs`` and ``history``.

    The rows are first copied to Parquet files beside the database, which are deleted when the
    database is complete. With these files, an interrupted export to a path can be continued.

    Parameters
    ----------
    runs : FixedRuns
        The runs.
    dest : Path or Bucket
        The path of the database, or the object in object storage. Only a database that an earlier
        export wrote is replaced. To find this out, the object is downloaded if it is a database.
    outline : Outline
        What to copy. Its format is Parquet, for the files beside the database.

    Raises
    ------
    InvalidArgument
        If there is a file or an object that no export wrote.
    FileTransferError
        If DuckDB cannot write the file, or the object storage cannot be read or written.
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
    url, _, name = dest.url.rpartition("/")
    bucket = Bucket(url, dest.options)
    n_bytes = bucket.size_of(name)
    if n_bytes is not None and not _is_our_object(bucket.open(name, n_bytes)):
        raise InvalidArgument(f"{dest.url!r} was not written by an export. Name a new object.")
    with tempfile.TemporaryDirectory(prefix="runlake-") as directory:
        file = Path(directory) / "lake.duckdb"
        report = export_database(runs, file, outline)
        bucket.write(name, file)
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


def _is_our_object(there: ObjectFile) -> bool:
    there.seek(MAGIC_START)
    # Objects of other kinds are not downloaded.
    if there.read(len(MAGIC)) != MAGIC:
        return False
    there.seek(0)
    with tempfile.TemporaryDirectory(prefix="runlake-") as directory:
        file = Path(directory) / "former.duckdb"
        with file.open("wb") as copy:
            shutil.copyfileobj(there, copy, DOWNLOAD_BYTES)
        return _is_ours(file)
