"""Find the packed tables of a lake that are not in the lake's own directory.

A published lake is read through a local directory, which has the catalog of the lake's runs and a
file that names the tables. A snapshot of a lake reads the lake's tables as they were when the
snapshot was taken.
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
    """The location of packed tables that are outside of the lake's own directory.

    Parameters
    ----------
    root : Path or None
        The root of the lake that has the tables; None if they are published.
    tag : str or None
        The tag of the state of the tables to read; None means the newest state.
    files : mapping of str to list
        For a published lake, the data files of each table. A file is a list of the values of
        `runlake.lake.packed.moment.PackedFile`, whose path may be a URL.
    place : str or None
        Directory or URL of a published lake, which messages name.
    options : mapping of str to str
        Options of the object storage.
    """

    root: Path | None = None
    tag: str | None = None
    files: Mapping[str, list[list[Any]]] = field(default_factory=dict)
    place: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def write(self, root: Path) -> None:
        """Write this location to a file in ``root``, the root of the lake that reads the tables.

        The options of the object storage are left out, because they can have credentials.
        """
        document = {
            "root": None if self.root is None else str(self.root),
            "tag": self.tag,
            "files": dict(self.files),
            "place": self.place,
        }
        (root / ELSEWHERE).write_text(json.dumps(document))


def find_elsewhere(root: Path) -> Elsewhere | None:
    """Return where a lake's packed tables are; None if no file in its root names another place."""
    try:
        found = json.loads((root / ELSEWHERE).read_bytes())
        there = None if found["root"] is None else (root / found["root"]).resolve()
        options = _options.get(root, {})
        return Elsewhere(there, found["tag"], found["files"], found.get("place"), options)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def is_published(root: Path) -> bool:
    """Return whether a root is the local directory through which a published lake is read.

    The manifests of such a lake's runs are not on this machine.
    """
    there = find_elsewhere(root)
    return there is not None and there.root is None


def shown_place(root: Path) -> str:
    """Return what messages call a lake: the directory or URL if it is published, else the root."""
    there = find_elsewhere(root)
    return str(root) if there is None or there.place is None else there.place


def use_storage(root: Path, options: Mapping[str, str]) -> None:
    """Set the storage options with which this process reads the published lake at a root."""
    _options[root] = dict(options)
