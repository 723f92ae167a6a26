"""Runs whose exports were dropped; a pull does not download these exports again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

DROPPED = "dropped.json"
VERSION = "v1"


def packed_directory(root: Path) -> Path:
    """Return the directory of the packed tables of a cache."""
    return root / "lake" / VERSION


def read_dropped(root: Path) -> Mapping[str, str]:
    """Return the `Source.text` of each run whose exports were dropped, by its directory."""
    path = packed_directory(root) / DROPPED
    try:
        found = path.stat()
    except OSError:
        return {}
    return _read(path, found.st_ino, found.st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, inode: int, mtime_ns: int) -> Mapping[str, str]:
    del inode, mtime_ns
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_dropped(root: Path, dropped: Mapping[str, str]) -> None:
    """Note the runs whose exports are dropped; see `read_dropped`."""
    path = packed_directory(root) / DROPPED
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("w") as file:
        json.dump(dropped, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
