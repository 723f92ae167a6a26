"""What a pull brought: the exports of a run on disk, as of one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runlake.cache.stored_export import StoredExport
from runlake.errors.screen import for_screen
from runlake.exports.manifest import Manifest


@dataclass(frozen=True, slots=True)
class PullResult:
    """A run whose exports are on disk, as of one moment.

    Parameters
    ----------
    manifest : Manifest
        What the backend offered.
    directory : Path
        Where the files are.
    exports : tuple of StoredExport
        One per export on offer; order means nothing. With the columns that were asked for.
    n_downloaded, n_bytes : int
        Files of which something was fetched, and bytes that came.
    age : float
        Seconds since the backend was asked; 0 where it was asked now.
    n_left_out : int or None
        Rows that were live when the backend was last asked, and that an answer without it lacks;
        None where it did not tell.
    reasons : mapping of str to str
        By object: why the whole export, or a part of it, was fetched.
    keeper : object
        Keeps a temporary directory alive, where the cache could not be written.
    """

    manifest: Manifest
    directory: Path
    exports: tuple[StoredExport, ...]
    n_downloaded: int = 0
    n_bytes: int = 0
    age: float = 0.0
    n_left_out: int | None = 0
    reasons: dict[str, str] = field(default_factory=dict)
    keeper: object = None

    def describe(self, export: StoredExport) -> str:
        """Say how much of an export is on disk, and how it came there now."""
        held = f"{export.n_held_bytes:,} of {export.n_bytes:,} bytes"
        reason = self.reasons.get(export.object)
        now = "" if reason is None else f"; fetched {reason}"
        return f"on disk: {held} of {export.file}{now}"

    def __str__(self) -> str:
        live = self.n_live_rows
        rows = "an unknown number of" if live is None else f"{live:,}"
        return for_screen(
            f"Pulled '{self.manifest.path}' to '{self.directory}': {self.n_exports:,} exports with "
            f"{self.n_rows:,} rows, {self.n_downloaded:,} of them fetched now ({self.n_bytes:,} "
            f"bytes); {rows} rows are in no export yet."
        )

    @property
    def is_whole_history(self) -> bool:
        """Every row of the run is in an export."""
        return self.n_live_rows == 0 and self.n_left_out == 0

    @property
    def first_unlisted(self) -> int | None:
        """First step that is neither exported nor listed as live, though the run has more."""
        return self.manifest.first_unlisted(export.facts.last_step for export in self.exports)

    @property
    def n_exports(self) -> int:
        """Exports on offer."""
        return len(self.exports)

    @property
    def n_reused(self) -> int:
        """Exports of which all that was wanted was on disk already."""
        return self.n_exports - self.n_downloaded

    @property
    def n_rows(self) -> int:
        """Rows in the exports."""
        return sum(export.facts.n_rows for export in self.exports)

    @property
    def n_live_rows(self) -> int | None:
        """Rows in no export yet; None where the backend does not tell."""
        steps = self.manifest.live_steps
        return None if steps is None or self._has_unlisted else len(steps)

    @property
    def _has_unlisted(self) -> bool:
        return self.n_left_out == 0 and self.first_unlisted is not None
