"""Find the newest metadata of the packed tables on disk, to rebuild a catalog that was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runlake.lake.packed.place import RUNS, TABLES, PackedPlace

SUFFIX = ".metadata.json"
PREFIX = "runlake.snapshot."


def newest_metadata(place: PackedPlace) -> dict[str, str]:
    """Return the newest metadata files, one per table, that together describe one `Moment`.

    A process that was killed, or was slower than another one, can leave metadata that the catalog
    never named. A metadata file of ``runs`` names a snapshot of each other table. So this function
    takes the newest one for which each of these snapshots is in a metadata file of its table.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.

    Returns
    -------
    dict of str to str
        The path of a metadata file, by table; empty if no file of ``runs`` can be used.
    """
    others = {name: list(_documents(place, name)) for name in TABLES if name != RUNS}
    for path, document in _documents(place, RUNS):
        named = _named(document)
        found = {name: _holding(others[name], named.get(name)) for name in others}
        if all(one is not None for one in found.values()):
            return {**{name: str(one) for name, one in found.items()}, RUNS: str(path)}
    return {}


def _holding(documents: list[tuple[Path, Mapping[str, Any]]], snapshot: int | None) -> Path | None:
    for path, document in documents:
        if snapshot is None or snapshot in _snapshots(document):
            return path
    return None


def _documents(place: PackedPlace, table: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield path and content of each readable metadata file of a table, newest first."""
    files = place.metadata(table).glob("*" + SUFFIX)
    for path in sorted(files, key=_age, reverse=True):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        # The metadata of a directory that was moved has the paths of its old place.
        if isinstance(document, dict) and document.get("location") == str(place.table(table)):
            yield path, document


def _age(path: Path) -> tuple[int, int]:
    """Return a sort key of a metadata file: the number in its name, then its time.

    The number is 7 if the name begins with ``00007-``, and -1 if the name has no number.
    """
    number = path.name.partition("-")[0]
    return (int(number) if number.isdecimal() else -1, path.stat().st_mtime_ns)


def _snapshots(document: Mapping[str, Any]) -> set[int]:
    return {one["snapshot-id"] for one in document.get("snapshots") or ()}


def _named(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the snapshots, by table, that the current snapshot of ``runs`` names."""
    current = document.get("current-snapshot-id")
    for one in document.get("snapshots") or ():
        if one["snapshot-id"] == current:
            summary = one.get("summary") or {}
            return {
                name.removeprefix(PREFIX): int(value)
                for name, value in summary.items()
                if name.startswith(PREFIX)
            }
    return {}
