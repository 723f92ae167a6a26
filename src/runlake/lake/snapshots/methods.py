"""`Snapshots`: the methods of `Lake` that take, list, cite and delete snapshots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runlake.cache.layout import snapshot_root
from runlake.errors import InvalidArgument, NotCached
from runlake.lake.bucket import Bucket
from runlake.settings import Settings, load_settings

if TYPE_CHECKING:
    import polars as pl

    from runlake.lake.snapshots.citation import Citation


class Snapshots:
    """The base class of `Lake` with the methods that take, list, cite and delete snapshots."""

    # Directory of the lake; if the lake is opened at a snapshot, `Lake.path` is the snapshot's.
    _lake_dir: Path
    _settings: Settings
    _at: str | None
    _published: Bucket | None

    def snapshot(self, name: str) -> Citation:
        """Take a snapshot: give a name to the current state of all runs of the lake.

        ``Lake(at=name)`` reads exactly the bytes of this state until `delete_snapshot` is called,
        whatever is pulled, changed, evicted or packed meanwhile. A snapshot consists of hard links
        to the files of the lake, so it takes no extra space until the lake drops these files. On
        file systems without hard links, a snapshot is a copy.

        Parameters
        ----------
        name : str
            A printable string. No other snapshot of the lake may have this name.

        Returns
        -------
        Citation
            The text that `cite` returns.

        Raises
        ------
        InvalidArgument
            If the name is wrong or taken, or the lake has no runs.
        CacheError
            If the lake cannot be written.

        Notes
        -----
        Every file is read once, for its SHA-256. If a run is pulled meanwhile, its files are linked
        again. If the lake was packed, runs that were pulled since then are packed first.
        """
        from runlake.lake.snapshots.snapshots import take_snapshot

        self._refuse_if_fixed("snapshot")
        take_snapshot(self._settings, name)
        return self.cite(name)

    def snapshots(self) -> pl.DataFrame:
        """Return a table of the snapshots of the lake, the oldest first.

        Returns
        -------
        polars.DataFrame
            ``name``, ``created_at``, ``n_runs`` and ``digest``, one row per snapshot.
        """
        from runlake.lake.snapshots.snapshots import list_snapshots, snapshot_table

        return snapshot_table(list_snapshots(self._lake_dir))

    def delete_snapshot(self, name: str) -> None:
        """Delete a snapshot; files that the lake itself still uses are kept.

        Raises
        ------
        NotCached
            If the lake has no snapshot of this name.
        CacheError
            If the lake cannot be written.
        """
        from runlake.lake.snapshots.snapshots import delete_snapshot

        self._refuse_if_fixed("delete_snapshot")
        delete_snapshot(self._settings, name)

    def cite(self, name: str | None = None) -> Citation:
        """Return a text that cites a snapshot: its runs and digests, and a line that opens it.

        Parameters
        ----------
        name : str, optional
            The name of the snapshot. May be omitted if the lake was opened at a snapshot.

        Returns
        -------
        Citation
            The text, with its parts in the attributes ``name``, ``digest``, ``runs`` and
            ``recipe``. A digest is a SHA-256 over paths and bytes, so it is the same in every lake
            with the same runs.

        Raises
        ------
        InvalidArgument
            If ``name`` is omitted, and the lake was not opened at a snapshot.
        NotCached
            If the lake has no snapshot of this name.
        """
        from runlake.lake.snapshots.citation import Citation
        from runlake.lake.snapshots.snapshots import find_snapshot

        name = self._at if name is None else name
        if name is None:
            raise InvalidArgument("Name a snapshot: lake.snapshots() lists them.")
        if self._published is not None:
            raise NotCached(
                f"The published lake at {self._published.place!r} has no snapshots.",
                path=self._published.place,
            )
        record = find_snapshot(self._lake_dir, name)
        usual = load_settings(offline=True).cache_dir == self._lake_dir
        path = "" if usual else f"{str(self._lake_dir)!r}, "
        return Citation.of(record, f"runlake.Lake({path}at={record.name!r})")

    def _refuse_if_fixed(self, method: str) -> None:
        if self._published is not None:
            raise InvalidArgument(
                f"The published lake at {self._published.place!r} cannot be changed, so it has no "
                f"{method}(). Use the lake that was published, and publish it again."
            )
        if self._at is not None:
            raise InvalidArgument(
                f"The snapshot {self._at!r} cannot be changed, so it has no {method}(). Use "
                f"runlake.Lake({str(self._lake_dir)!r}).{method}()."
            )


def snapshot_settings(settings: Settings, name: str) -> Settings:
    """Return the settings for reading a snapshot of a lake.

    Raises
    ------
    NotCached
        If the lake has no snapshot of this name.
    """
    from runlake.lake.snapshots.snapshots import find_snapshot

    # Raises `NotCached` if the snapshot is missing or damaged.
    find_snapshot(settings.cache_dir, name)
    return replace(settings, cache_dir=snapshot_root(settings.cache_dir, name), offline=True)
