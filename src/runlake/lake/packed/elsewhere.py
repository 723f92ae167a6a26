"""Find the packed tables of a lake that are not in the lake's own directory.

A published lake is read through a local directory, which has the catalog of the lake's runs and a
file that names the tables. A snapshot of a lake reads the lake's tables as they were when the
snapshot was taken.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlake.cache.disk.dropped import ELSEWHERE
from runlake.cache.layout import is_published_root
from runlake.errors import CacheCorrupt

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
    options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

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
        # Renamed, so that readers never see half of the file.
        partial = root / f"{ELSEWHERE}.{secrets.token_hex(8)}"
        partial.write_text(json.dumps(document))
        partial.replace(root / ELSEWHERE)


def find_elsewhere(root: Path) -> Elsewhere | None:
    """Return where a lake's packed tables are; None if no file in its root names another place.

    Raises
    ------
    CacheCorrupt
        If the lake is a published lake, whose tables are elsewhere in any case.
    """
    found = read_elsewhere(root)
    if found is None and is_published_root(root):
        path = str(root / ELSEWHERE)
        raise CacheCorrupt(
            f"The file {path!r}, which names the data files of the published lake, is lost or "
            "damaged. Open the lake again: runlake.Lake(...).",
            path=path,
        )
    return found


def read_elsewhere(root: Path) -> Elsewhere | None:
    """Return where a lake's packed tables are, as a file in its root says; None without the file.

    A damaged file counts as no file.
    """
    try:
        found = json.loads((root / ELSEWHERE).read_bytes())
        there = None if found["root"] is None else (root / found["root"]).resolve()
        options = _options.get(root, {})
        return Elsewhere(there, found["tag"], found["files"], found.get("place"), options)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def shown_place(root: Path) -> str:
    """Return what messages call a lake: the directory or URL if it is published, else the root."""
    there = read_elsewhere(root)
    return str(root) if there is None or there.place is None else there.place


def use_storage(root: Path, options: Mapping[str, str]) -> None:
    """Set the storage options with which this process reads the published lake at a root."""
    _options[root] = dict(options)
