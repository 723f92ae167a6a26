"""Open connections to DuckDB, one for each view of a run; most connections share one instance."""

from __future__ import annotations

import os
import threading

import duckdb

from runlake.history.sql.process_limits import read_process_limits

# Settings of an instance, which all of its connections share.
SETTINGS = (
    # The bounds of pages may be wrong: only the bounds of steps in row groups are verified.
    "SET parquet_use_page_index = false",
    # The operating system keeps the files in memory already; DuckDB's copy would grow with each
    # read.
    "SET enable_external_file_cache = false",
)
# Above this number of columns DuckDB's propagation of statistics takes more than half of the time
# of a query, and grows faster than linearly. The columns' statistics are hidden from it anyway.
MANY_COLUMNS = 1_000

# Share of the memory that DuckDB itself would use on a machine.
MEMORY_SHARE = 0.8

_guard = threading.Lock()
_instances: dict[int, duckdb.DuckDBPyConnection] = {}


def open_connection(n_columns: int, *, is_alone: bool) -> duckdb.DuckDBPyConnection:
    """Return a new connection to DuckDB; its temporary views are hidden from other connections.

    Parameters
    ----------
    n_columns : int
        Number of columns that a query will read.
    is_alone : bool
        True if the connection needs its own instance of DuckDB, because the SQL may change settings
        or create tables. An instance costs some 10 ms.

    Returns
    -------
    duckdb.DuckDBPyConnection
        A connection that prints no progress bar.
    """
    # Connections of one instance share its settings and tables, and SQL that is no SELECT can
    # change both. `disabled_optimizers` is such a setting too.
    if not is_alone and n_columns <= MANY_COLUMNS:
        # A cursor has no progress bar; a statement that switches it off would take 0.4 ms.
        return _shared_instance().cursor()
    connection = _new_instance()
    if n_columns > MANY_COLUMNS:
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    # The bar would be printed among the rows if the output is a pipe.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _shared_instance() -> duckdb.DuckDBPyConnection:
    # A forked process has no threads of its parent's instance, so it makes its own. The parent's
    # stays in the dictionary, because closing it would wait for these threads.
    process = os.getpid()
    with _guard:
        if process not in _instances:
            _instances[process] = _new_instance()
        return _instances[process]


def _new_instance() -> duckdb.DuckDBPyConnection:
    # This takes 10 to 30 ms, so queries share an instance where they can.
    connection = duckdb.connect()
    _limit(connection)
    for setting in SETTINGS:
        connection.execute(setting)
    return connection


def _limit(connection: duckdb.DuckDBPyConnection) -> None:
    """Limit DuckDB's threads and memory to what this process may use."""
    # DuckDB 2.0 reads the quota and the limit of the process's own control group, and Slurm's
    # variables. It reads neither the groups that contain it, as in a job's step or a nested
    # container, nor the processors that the process is bound to.
    limits = read_process_limits()
    if limits.memory_bytes is None and limits.n_cpus == os.cpu_count():
        return
    n_threads, n_bytes = connection.execute(
        "SELECT current_setting('threads'), parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchall()[0]
    if limits.n_cpus < n_threads:
        connection.execute(f"SET threads = {limits.n_cpus}")
    if limits.memory_bytes is not None:
        share = int(limits.memory_bytes * MEMORY_SHARE)
        if share < n_bytes:
            connection.execute(f"SET memory_limit = '{share} bytes'")
