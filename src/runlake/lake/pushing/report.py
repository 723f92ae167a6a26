"""`PushReport`: what a push of runs to a backend did, or would do."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runlake.errors.screen import for_screen, line_for_screen
from runlake.values.counted import counted

# Maximum number of lines about runs in the text and in the HTML card.
SHOWN_RUNS = 20


@dataclass(frozen=True)
class PushReport:
    """What a push did; with ``dry_run``, what it would do.

    Parameters
    ----------
    pushed : mapping of str to str
        The path at the backend of each run whose copy equals the run in the lake. Copies were read
        back and compared.
    differing : mapping of str to str
        Runs that were sent, but whose copies differ from the lake, with the differences.
    failed : mapping of str to str
        Runs that were not sent, with the reason. A run is not sent if the backend already has a run
        with the path that the copy would have. A run that was sent in part is deleted again.
    lost : mapping of str to tuple of str
        For each run, the parts that its copy lacks.
    n_rows, n_files, n_bytes : int
        Number of rows that were sent, number of files, and size of the files in bytes. The size
        includes the files of artifacts.
    n_requests : int
        Number of requests, including retries and reading back, without requests of the SDK.
    seconds : float
        Duration in seconds.
    is_dry_run : bool
        True if nothing was sent; ``pushed`` then has the runs that would be sent.
    n_artifacts : int
        Number of artifact versions, each counted once.
    """

    pushed: Mapping[str, str] = field(default_factory=dict)
    differing: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    n_rows: int = 0
    n_files: int = 0
    n_bytes: int = 0
    n_requests: int = 0
    seconds: float = 0.0
    is_dry_run: bool = False
    n_artifacts: int = 0

    @property
    def n_runs(self) -> int:
        """Number of all runs: pushed, differing and failed."""
        return len(self.pushed) + len(self.differing) + len(self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "pushed": dict(self.pushed),
            "differing": dict(self.differing),
            "failed": dict(self.failed),
            "lost": {run: list(parts) for run, parts in self.lost.items()},
            "n_runs": self.n_runs,
            "n_rows": self.n_rows,
            "n_files": self.n_files,
            "n_artifacts": self.n_artifacts,
            "n_bytes": self.n_bytes,
            "n_requests": self.n_requests,
            "seconds": round(self.seconds, 3),
            "is_dry_run": self.is_dry_run,
        }

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict())

    def _summary(self) -> str:
        verb = "Would push" if self.is_dry_run else "Pushed"
        counts = f"{counted(self.n_rows, 'row')}, {counted(self.n_files, 'file')}"
        if self.n_artifacts:
            counts += f", {counted(self.n_artifacts, 'artifact')}"
        return (
            f"{verb} {len(self.pushed):,} of {counted(self.n_runs, 'run')}: "
            f"{len(self.differing):,} differ, {len(self.failed):,} failed; {counts}, "
            f"{self.n_bytes:,} bytes, {counted(self.n_requests, 'request')}, {self.seconds:.1f} s."
        )

    def _details(self) -> list[tuple[str, str, str]]:
        found = [("failed", run, why) for run, why in self.failed.items()]
        found += [("differs", run, why) for run, why in self.differing.items()]
        by_loss: dict[tuple[str, ...], list[str]] = {}
        for run, parts in self.lost.items():
            by_loss.setdefault(parts, []).append(run)
        for parts, runs in by_loss.items():
            more = f" and {len(runs) - 1:,} more" if len(runs) > 1 else ""
            found.append(("not sent", runs[0] + more, ", ".join(parts)))
        return found

    def __str__(self) -> str:
        details = self._details()
        lines = [
            line_for_screen(f"  {kind} {run}: {text}") for kind, run, text in details[:SHOWN_RUNS]
        ]
        if len(details) > SHOWN_RUNS:
            lines.append(f"  and {len(details) - SHOWN_RUNS:,} more")
        return "\n".join([for_screen(self._summary()), *lines])

    def __repr__(self) -> str:
        counts = (len(self.pushed), len(self.differing), len(self.failed))
        return "<PushReport pushed={}, differing={}, failed={}>".format(*counts)

    def _repr_html_(self) -> str:
        details = self._details()
        rows = "".join(
            f"<tr><td>{kind}</td><td>{_escaped(run)}</td><td>{_escaped(text)}</td></tr>"
            for kind, run, text in details[:SHOWN_RUNS]
        )
        more = len(details) - SHOWN_RUNS
        if more > 0:
            rows += f"<tr><td></td><td>and {more:,} more</td><td></td></tr>"
        table = f"<table>{rows}</table>" if rows else ""
        return f"<div class='runlake-push'><p>{_escaped(self._summary())}</p>{table}</div>"


def _escaped(text: str) -> str:
    return html.escape(line_for_screen(text))
