"""`PublishReport`: the contents of a publication, and what was written."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runlake.errors.screen import for_screen, one_line
from runlake.values.counted import counted

SHOWN_RUNS = 20


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What `LakeRuns.publish` did.

    Parameters
    ----------
    url : str
        The place of the published lake.
    n_runs : int
        Number of runs in the published lake.
    n_files, n_bytes : int
        Number of data files in the published lake, and their size in bytes.
    n_uploaded, n_uploaded_bytes : int
        Number of files that were uploaded, and their size in bytes.
    left_out : mapping of str to str
        Why runs were not published. The keys are the paths of these runs.
    redacted : sequence of str
        Paths of the values that looked like secrets and were replaced.
    tables : mapping of str to str
        The URL of each table's current Iceberg metadata, for programs that read Iceberg tables. The
        keys are the names of the tables.
    """

    url: str
    n_runs: int
    n_files: int
    n_bytes: int
    n_uploaded: int
    n_uploaded_bytes: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    redacted: Sequence[str] = ()
    tables: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict of plain JSON values."""
        return {
            "url": self.url,
            "n_runs": self.n_runs,
            "n_files": self.n_files,
            "n_bytes": self.n_bytes,
            "n_uploaded": self.n_uploaded,
            "n_uploaded_bytes": self.n_uploaded_bytes,
            "left_out": dict(self.left_out),
            "redacted": list(self.redacted),
            "tables": dict(self.tables),
        }

    def to_json(self) -> str:
        """Return the report as a JSON string."""
        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        first = (
            f"Published {counted(self.n_runs, 'run')} at {self.url!r}: "
            f"{counted(self.n_files, 'file')} of {self.n_bytes:,} bytes, "
            f"{self.n_uploaded:,} of them new ({self.n_uploaded_bytes:,} bytes)."
        )
        lines = [first]
        lines += [f"  redacted {path}" for path in self.redacted[:SHOWN_RUNS]]
        left_out = list(self.left_out.items())
        lines += [f"  left out {run}: {why}" for run, why in left_out[:SHOWN_RUNS]]
        n_more = len(left_out[SHOWN_RUNS:]) + len(self.redacted[SHOWN_RUNS:])
        lines += [f"  and {n_more:,} more"] if n_more else []
        return "\n".join(for_screen(one_line(line)) for line in lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
