"""Find the packed tables of a lake that are not in the lake's own directory.

A published lake is read through a directory of its own, which has the catalog of its runs and a
file that names the tables. A snapshot of a lake reads the tables of the lake as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlake.cache.disk.dropped import ELSEWHERE

# Options of object storage have credentials, so they are never written to disk.
_options: dict[Path, Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where the packed tables of a lake are.

    Parameters
    ----------
    root : Path or None
        The root of the lake that has the tables; None if they are published.
    tag : str or None
        The tag of the moment to read.
    files : mapping of str to list
        For a published lake, the data files of each table: URL or path, then the fields of
        `runlake.lake.packed.table.PackedFile`.
    place : str or None
        Of a published lake, its directory or URL, for messages.
    options : mapping of str to str
        Options of the object storage.
    """

    root: Path | None = None
    tag: str | None = None
    files: Mapping[str, list[list[Any]]] = field(default_factory=dict)
    place: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def write(self, root: Path) -> None:
        """Store this description in the directory of the lake that reads the tables."""
        document = {
            "root": None if self.root is None else str(self.root),
            "tag": self.tag,
            "files": dict(self.files),
            "place": self.place,
        }
        (root / ELSEWHERE).write_text(json.dumps(document))


def find_elsewhere(root: Path) -> Elsewhere | None:
    """Return where the tables of a lake are; None if they are below its root."""
    try:
        found = json.loads((root / ELSEWHERE).read_bytes())
        there = None if found["root"] is None else (root / found["root"]).resolve()
        options = _options.get(root, {})
        return Elsewhere(there, found["tag"], found["files"], found.get("place"), options)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def is_published(root: Path) -> bool:
    """Return whether the lake at a root is published: no manifest of it is on this machine."""
    there = find_elsewhere(root)
    return there is not None and there.root is None


def shown_place(root: Path) -> str:
    """Return how messages name the lake that is read at a root: a published lake by its place."""
    there = find_elsewhere(root)
    return str(root) if there is None or there.place is None else there.place


def use_storage(root: Path, options: Mapping[str, str]) -> None:
    """Set the options by which this process reads the tables of the published lake at a root."""
    _options[root] = dict(options)
