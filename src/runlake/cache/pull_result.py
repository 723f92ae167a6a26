"""The result of a pull: the exports of a run that are on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.errors.screen import for_screen
from runlake.exports.manifest import Manifest
from runlake.values.counted import counted, is_or_are


@dataclass(frozen=True, slots=True)
class PullResult:
    """A run whose exports are on disk, as it was at the time of the pull.

    Parameters
    ----------
    manifest : Manifest
        The backend's manifest: its list of exports.
    directory : Path
        Directory of the files.
    exports : LoadedExports
        One per export that the backend lists, in no particular order, each with types, null counts
        and bounds of the requested columns.
    n_downloaded, n_bytes : int
        Number of exports that were downloaded, whole or in part, and number of downloaded bytes.
    age : float
        Seconds since the backend's last response about the run, if the result is from the cache
        because of offline mode or because the backend did not answer. Otherwise 0, also for reads
        of a lake.
    n_left_out : int or None
        Number of rows that a result from the cache lacks, because they were in no export when the
        backend was last asked. None if this number is unknown.
    reasons : mapping of str to str
        Why the whole export, or a part of it, was downloaded; the keys are `Export.object`.
    keeper : object
        None if the files are in the cache. If the cache could not be written, the files are in a
        temporary directory, and this object deletes the directory when the result is deleted.
    """

    manifest: Manifest
    directory: Path
    exports: LoadedExports
    n_downloaded: int = 0
    n_bytes: int = 0
    age: float = 0.0
    n_left_out: int | None = 0
    reasons: dict[str, str] = field(default_factory=dict)
    keeper: object = None

    def describe(self, export: StoredExport) -> str:
        """Describe in one line how much of an export is on disk, and why it was downloaded."""
        held = f"{export.n_held_bytes:,} of {export.n_bytes:,} bytes"
        reason = self.reasons.get(export.object)
        now = "" if reason is None else f"; fetched {reason}"
        return f"on disk: {held} of {export.file}{now}"

    def __str__(self) -> str:
        live = self.n_live_rows
        rows = (
            "an unknown number of rows are"
            if live is None
            else f"{counted(live, 'row')} {is_or_are(live)}"
        )
        return for_screen(
            f"Pulled '{self.manifest.path}' to '{self.directory}': "
            f"{counted(self.n_exports, 'export')} with {counted(self.n_rows, 'row')}, "
            f"{self.n_downloaded:,} of them fetched now ({self.n_bytes:,} bytes); "
            f"{rows} in no export yet."
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from runlake.notebook.plan_cards import pull_card

        live, rows = self.n_live_rows, f"{self.n_rows:,} in {counted(self.n_exports, 'export')}"
        pairs = [
            ("rows", rows),
            ("live rows", "unknown" if live is None else f"{live:,}"),
            ("downloaded", f"{counted(self.n_downloaded, 'export')}, {self.n_bytes:,} bytes"),
            ("reused", counted(self.n_reused, "export")),
            ("directory", str(self.directory)),
        ]
        return pull_card(str(self.manifest.path), pairs, list(map(self.describe, self.exports)))

    @property
    def is_whole_history(self) -> bool:
        """True if every row of the run is in an export."""
        return self.n_live_rows == 0 and self.n_left_out == 0

    @property
    def first_unlisted(self) -> int | None:
        """First step after all exported and listed rows, if the run has later steps; else None."""
        return self.manifest.first_unlisted([self.exports.once(_last_step)])

    @property
    def n_exports(self) -> int:
        """Number of exports that the backend lists."""
        return len(self.exports)

    @property
    def n_reused(self) -> int:
        """Number of exports that were on disk already, so that nothing of them was downloaded."""
        return self.n_exports - self.n_downloaded

    @property
    def n_rows(self) -> int:
        """Number of rows in the exports."""
        return sum(export.facts.n_rows for export in self.exports)

    @property
    def n_live_rows(self) -> int | None:
        """Number of rows that are in no export yet; None if the backend does not list them."""
        steps = self.manifest.live_steps
        return None if steps is None or self._has_unlisted else len(steps)

    @property
    def _has_unlisted(self) -> bool:
        return self.n_left_out == 0 and self.first_unlisted is not None


def _last_step(exports: LoadedExports) -> int | None:
    steps = (export.facts.last_step for export in exports)
    return max((step for step in steps if step is not None), default=None)
