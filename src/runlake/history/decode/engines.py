"""Remember which engine (polars, pyarrow or DuckDB) cannot decode which intact file.

The memory lasts as long as the process.
"""

from __future__ import annotations

import threading
from pathlib import Path

from cachetools import LRUCache

FILES_IN_MEMORY = 1 << 14
POLARS, PYARROW, DUCKDB = "polars", "pyarrow", "duckdb"
# Engines by the top-level module of their exception classes.
MODULES = {
    "polars": POLARS,
    "pyo3_runtime": POLARS,
    "pyarrow": PYARROW,
    "duckdb": DUCKDB,
    "_duckdb": DUCKDB,
}
# Engines that can read rows and frames in place of each other; DuckDB cannot.
READERS = (POLARS, PYARROW)

_guard = threading.Lock()
_refused: LRUCache[Path, frozenset[str]] = LRUCache(FILES_IN_MEMORY)


def engine_of(error: BaseException) -> str | None:
    """Return the engine whose library defines the class of an error; None for other errors."""
    return MODULES.get(type(error).__module__.split(".")[0])


def note_refusal(file: Path, engine: str) -> None:
    """Remember that an engine cannot decode a file, so that another engine reads it."""
    with _guard:
        _refused[file] = _refused.get(file, frozenset()) | {engine}


def has_refused(file: Path, engine: str) -> bool:
    """Return whether an engine is known to be unable to decode a file."""
    # Every read calls this function, and there are mostly no refusals: skip the lock then.
    if not _refused:
        return False
    with _guard:
        return engine in _refused.get(file, ())


def known_refusals() -> dict[Path, frozenset[str]]:
    """Return, by file, the engines (polars, pyarrow or DuckDB) that have failed to decode it."""
    with _guard:
        return dict(_refused)


def is_undecodable(file: Path) -> bool:
    """Return whether both polars and pyarrow are known to be unable to decode a file."""
    return all(has_refused(file, engine) for engine in READERS)
