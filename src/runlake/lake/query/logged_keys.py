"""Find out which runs have logged a key, while SQLite runs a query over the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runlake.cache.layout import is_published_root
from runlake.cache.upkeep.tree import read_cached_run
from runlake.errors import FileTransferError


class LoggedKeys:
    """The keys that the runs of a lake have logged.

    In a published lake these are the published keys. In other lakes they are the keys in the last
    key list from the backend, which a run's manifest has.

    Parameters
    ----------
    root : Path
        Root of the cache.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._published: dict[str, frozenset[str]] | None = {} if is_published_root(root) else None
        self._error: Exception | None = None

    def has(self, directory: str, key: str) -> bool:
        """Return whether a run has logged a key; ``directory`` is relative to the root.

        SQLite calls this. An error inside a query would count as a damaged catalog, so errors are
        stored for `check`.
        """
        if self._published is None:
            return _is_listed(self._root, directory, key)
        if key not in self._published and self._error is None:
            try:
                self._published[key] = _published_runs(self._root, key)
            except Exception as error:  # noqa: BLE001 - `check` raises it
                self._error = error
        return directory in self._published.get(key, ())

    def check(self) -> None:
        """Raise an error if a call of `has` could not read the published keys.

        Raises
        ------
        FileTransferError
            If the data files of the published lake cannot be read.
        CacheCorrupt
            If the list of these files was lost.
        """
        if self._error is not None:
            raise self._error


def _is_listed(root: Path, directory: str, key: str) -> bool:
    run = read_cached_run(root, root / directory / "manifest.json")
    listed = ((run and run.manifest.attrs) or {}).get("historyKeys")
    keys = listed.get("keys") if isinstance(listed, Mapping) else None
    return isinstance(keys, Mapping) and key in keys


def _published_runs(root: Path, key: str) -> frozenset[str]:
    """Return the directories of the runs of a published lake that have a key."""
    # Imported late, because other lakes are listed without polars.
    import polars as pl

    from runlake.lake.packed.elsewhere import shown_place
    from runlake.lake.packed.view import open_view

    try:
        view = open_view(root)
        if view is None:
            return frozenset()
        directories = {number: directory for directory, number in view.current().items()}
        numbers = view.stats(("run",), [key], list(directories))["run"]
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileTransferError(
            f"The keys of the published lake at {shown_place(root)!r} cannot be read "
            f"({type(error).__name__}).",
            status=None,
        ) from error
    return frozenset(directories[number] for number in numbers)
