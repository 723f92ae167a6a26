"""Which engine could not decode which file, although its bytes are right; kept in memory."""

from __future__ import annotations

import threading
from pathlib import Path

from cachetools import LRUCache

FILES_IN_MEMORY = 1 << 14
POLARS, PYARROW, DUCKDB = "polars", "pyarrow", "duckdb"
# The first part of the name of the module whose exceptions an engine raises.
MODULES = {
    "polars": POLARS,
    "pyo3_runtime": POLARS,
    "pyarrow": PYARROW,
    "duckdb": DUCKDB,
    "_duckdb": DUCKDB,
}
# Any of them reads rows and frames; DuckDB stands in for none.
READERS = (POLARS, PYARROW)

_guard = threading.Lock()
_refused: LRUCache[Path, frozenset[str]] = LRUCache(FILES_IN_MEMORY)


def engine_of(error: BaseException) -> str | None:
    """Return the engine that raised an error of its own; None for errors of Python's own types."""
    return MODULES.get(type(error).__module__.split(".")[0])


def note_refusal(file: Path, engine: str) -> None:
    """Keep in mind that an engine cannot decode a file: the others are to be asked."""
    with _guard:
        _refused[file] = _refused.get(file, frozenset()) | {engine}


def has_refused(file: Path, engine: str) -> bool:
    """Tell whether an engine could not decode a file."""
    # Mostly nothing is refused, and every plan of every read asks.
    if not _refused:
        return False
    with _guard:
        return engine in _refused.get(file, ())


def is_undecodable(file: Path) -> bool:
    """Tell whether no engine is left that could read rows of a file."""
    return all(has_refused(file, engine) for engine in READERS)
