"""`PackReport`: what a pack did."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from runlake.errors.screen import for_screen, line_for_screen
from runlake.values.counted import counted

SHOWN_RUNS = 20


@dataclass(frozen=True, slots=True)
class PackReport:
    """What `Lake.pack` did.

    Parameters
    ----------
    packed : list of str
        Paths of the runs that were packed: new ones, and those that had changed.
    unchanged : list of str
        Paths of the runs that were packed before, and have not changed.
    left_out : dict of str to str
        Reason why a run was not packed, by the run's path.
    n_files, n_bytes : int
        Number of files of the packed tables after the pack, and their size in bytes.
    n_compacted : int
        Number of files that were merged into others, or written again without outdated rows.
    n_dropped_exports, n_dropped_bytes : int
        Number of exports that were deleted, and their size in bytes.
    seconds : float
        Duration of the pack in seconds.
    """

    packed: list[str]
    unchanged: list[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    n_files: int = 0
    n_bytes: int = 0
    n_compacted: int = 0
    n_dropped_exports: int = 0
    n_dropped_bytes: int = 0
    seconds: float = 0.0

    @property
    def n_runs(self) -> int:
        """Number of runs in ``packed`` and ``unchanged``, without runs that were not chosen."""
        return len(self.packed) + len(self.unchanged)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict of values that JSON can represent."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(self.to_dict())

    def _summary(self) -> str:
        text = (
            f"Packed {counted(len(self.packed), 'run')}; {len(self.unchanged):,} were packed "
            f"already. The tables have {counted(self.n_files, 'file')} of {self.n_bytes:,} bytes. "
            f"{self.seconds:.1f} s."
        )
        if self.n_dropped_exports:
            exports = counted(self.n_dropped_exports, "export")
            text += f" Deleted {exports} of {self.n_dropped_bytes:,} bytes."
        return text

    def __str__(self) -> str:
        lines = [
            line_for_screen(f"  left out {run}: {reason}")
            for run, reason in list(self.left_out.items())[:SHOWN_RUNS]
        ]
        if len(self.left_out) > SHOWN_RUNS:
            lines.append(f"  and {len(self.left_out) - SHOWN_RUNS:,} more")
        return "\n".join([for_screen(self._summary()), *lines])

    def __repr__(self) -> str:
        return (
            f"<PackReport packed={len(self.packed)}, unchanged={len(self.unchanged)}, "
            f"left_out={len(self.left_out)}>"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
