"""Finds the files of objects in the data directory of an embedded backend."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any


def select(data_dir: Path, query: str, *values: Any) -> list[Any]:
    """Return the rows of a query; single values if the rows have one column."""
    with contextlib.closing(sqlite3.connect(data_dir / "runlake.sqlite", timeout=30)) as database:
        rows = database.execute(query, values).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def object_files(data_dir: Path, pattern: str) -> list[Path]:
    """Return the files of the objects whose names match a GLOB pattern, oldest first."""
    found = select(
        data_dir,
        "SELECT file FROM objects WHERE name GLOB ? AND file IS NOT NULL ORDER BY id",
        pattern,
    )
    return [data_dir / "storage" / path for path in found]


def manifest_file(data_dir: Path, version: int) -> Path:
    """Return the file of the one manifest of an artifact's version."""
    (path,) = select(
        data_dir,
        "SELECT file FROM objects JOIN artifact_manifests ON name = object WHERE version_id = ?",
        version,
    )
    return data_dir / "storage" / str(path)
