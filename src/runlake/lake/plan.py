"""`LakePlan`: what a scan of a lake would read, and what it would miss."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runlake.errors.screen import for_screen, one_line
from runlake.history.runs.packed import PackedReading
from runlake.values.counted import counted

if TYPE_CHECKING:
    from runlake.lake.fixed_runs import FixedRuns
    from runlake.values import Question

SHOWN_RUNS = 20


@dataclass(frozen=True, slots=True)
class LakePlan:
    """What a scan of a lake would read, and what is missing on disk.

    Parameters
    ----------
    question : str
        The requested keys and steps, in words.
    n_runs : int
        Number of runs to read.
    n_files, n_bytes : int
        Number of files to open, and their size on disk in bytes. A scan reads only the columns of
        its keys from these files.
    n_rows : int
        Number of rows in the row groups to read from exports, plus the number of all rows of packed
        runs.
    incomplete : mapping of str to str
        For each run that lacks something on disk, what it lacks. The keys are the runs' names in
        the column ``run_id``.
    n_packed : int
        Number of runs that are read from packed tables; the others are read from their exports.
    """

    question: str
    n_runs: int
    n_files: int
    n_bytes: int
    n_rows: int
    incomplete: Mapping[str, str] = field(default_factory=dict)
    n_packed: int = 0

    def __str__(self) -> str:
        files = f"{counted(self.n_files, 'file')} of {self.n_bytes:,} bytes"
        rows = counted(self.n_rows, "row")
        lines = [f"Read {self.question} of {counted(self.n_runs, 'run')}: {rows} in {files}."]
        if self.n_packed:
            rest = self.n_runs - self.n_packed
            others = f"; {rest:,} from their exports" if rest else ""
            lines.append(f"{self.n_packed:,} of them from packed tables{others}.")
        if self.incomplete:
            lines.append(f"Not complete on disk: {len(self.incomplete):,} of them.")
            lines += [f"  {run}: {why}" for run, why in self._shown]
            n_more = len(self.incomplete) - SHOWN_RUNS
            lines += [f"  and {n_more:,} more"] if n_more > 0 else []
        else:
            lines.append("All of them are complete on disk.")
        return "\n".join(for_screen(one_line(line)) for line in lines)

    @property
    def _shown(self) -> list[tuple[str, str]]:
        return list(self.incomplete.items())[:SHOWN_RUNS]

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def packed_files(packed: Sequence[PackedReading]) -> dict[str, int]:
    """Return the packed data files to open: a dict from each file's path to its size in bytes."""
    found: dict[str, int] = {}
    # The readings of many runs share one object, whose files are found only once.
    for rows in {id(one.rows): one.rows for one in packed}.values():
        found |= rows.files()
    return found


def plan_lake(runs: FixedRuns, question: Question) -> LakePlan:
    """Return the plan of a scan of runs, without reading a history."""
    listed = runs.listed()
    readings = runs.source.open_any(listed, question)
    plans = [one.plan for one in readings if not isinstance(one, PackedReading)]
    packed = [one for one in readings if isinstance(one, PackedReading)]
    exports = [export for plan in plans for export in plan.exports]
    held = {export.path: export for plan in plans for export in plan.pulled.exports}
    # Of an export that was downloaded partly, only the bytes on disk count.
    sizes = [held[export.file].n_held_bytes for export in exports if export.file in held]
    files = packed_files(packed)
    keys = question.keys
    wanted = "every key" if keys is None else f"{question.projection.how} of {', '.join(keys)}"
    return LakePlan(
        f"{wanted}, steps {question.steps},",
        len(listed),
        len(exports) + len(files),
        sum(sizes) + sum(files.values()),
        sum(export.n_rows for export in exports) + sum(one.n_rows for one in packed),
        dict(runs.source.lacking),
        len(packed),
    )
