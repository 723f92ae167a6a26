"""`PullReport`: what a pull of many runs did, or would do."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runlake.errors.screen import for_screen, line_for_screen
from runlake.values.counted import counted

# Maximum number of runs that ``str()`` and the HTML card of a report name.
SHOWN_RUNS = 20


def with_retry(reason: str, retry: str) -> str:
    """Return two sentences: why a run is incomplete, and what the next pull will do about it.

    Examples
    --------
    >>> with_retry("its files could not be listed (no answer)", "they are requested again.")
    'its files could not be listed (no answer). Next time: they are requested again.'
    """
    return f"{reason.rstrip('.')}. Next time: {retry}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run could not be pulled.

    Parameters
    ----------
    reason : str
        What happened.
    error : str
        Name of the error's class, such as ``ExportCorrupt``.
    retry : str
        What the next `Lake.pull` or `Lake.add` will do about the run.
    """

    reason: str
    error: str
    retry: str

    def __str__(self) -> str:
        return with_retry(self.reason, self.retry)


@dataclass(frozen=True)
class PullReport:
    """What a pull did, or with ``dry_run``, what it would do.

    Each run is in one of five groups: `new`, `changed`, `unchanged`, `incomplete` or `failed`. Runs
    are named by their paths.

    Parameters
    ----------
    new : tuple of str
        Runs that had never been pulled before, and are complete now. A read may have cached them.
    changed : tuple of str
        Runs that had changed since the last pull, of which more was requested, of which something
        was missing on disk, or that had been unpinned.
    unchanged : tuple of str
        Runs whose current state was already in the lake, with all that was requested.
    incomplete : mapping of str to str
        Runs that were pulled, but lack something: why, and what the next pull will do.
    failed : mapping of str to Failure
        Runs that could not be pulled. Their files from earlier pulls are still in the lake. A file
        in which `Lake.add` finds no run is named by its own path.
    n_bytes : int or None
        Bytes of exports, files and artifacts that were downloaded. With ``dry_run``, the bytes that
        would be downloaded, or None if a host does not state lengths.
    n_requests : int
        Number of requests to the backend and to storage hosts, retries included. With ``dry_run``,
        the number of requests that a pull would send.
    seconds : float
        Duration of the pull in seconds.
    is_dry_run : bool
        True if nothing was downloaded.
    is_interrupted : bool
        True if the pull did not reach the last run.
    n_artifacts : int
        Number of artifact versions whose files this pull has added to the lake; with ``dry_run``,
        the number of versions to download.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, Failure] = field(default_factory=dict)
    n_bytes: int | None = 0
    n_requests: int = 0
    seconds: float = 0.0
    is_dry_run: bool = False
    is_interrupted: bool = False
    n_artifacts: int = 0

    @property
    def n_runs(self) -> int:
        """Number of runs in all five groups."""
        return sum(n for _, n in self._counts())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict of plain JSON values."""
        return {
            "new": list(self.new),
            "changed": list(self.changed),
            "unchanged": list(self.unchanged),
            "incomplete": dict(self.incomplete),
            "failed": {
                run: {"reason": one.reason, "error": one.error, "retry": one.retry}
                for run, one in self.failed.items()
            },
            "n_runs": self.n_runs,
            "n_bytes": self.n_bytes,
            "n_requests": self.n_requests,
            "n_artifacts": self.n_artifacts,
            "seconds": round(self.seconds, 3),
            "is_dry_run": self.is_dry_run,
            "is_interrupted": self.is_interrupted,
        }

    def to_json(self) -> str:
        """Return the report as a JSON string."""
        return json.dumps(self.to_dict())

    def _counts(self) -> list[tuple[str, int]]:
        groups: dict[str, Sequence[str] | Mapping[str, Any]] = {
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "incomplete": self.incomplete,
            "failed": self.failed,
        }
        return [(name, len(runs)) for name, runs in groups.items()]

    def _summary(self) -> str:
        verb = "Would pull" if self.is_dry_run else "Pulled"
        size = "an unknown number of" if self.n_bytes is None else f"{self.n_bytes:,}"
        counts = ", ".join(f"{n:,} {name}" for name, n in self._counts())
        artifacts = f"{counted(self.n_artifacts, 'artifact')}, " if self.n_artifacts else ""
        text = (
            f"{verb} {counted(self.n_runs, 'run')}: {counts}; {artifacts}{size} bytes, "
            f"{counted(self.n_requests, 'request')}, {self.seconds:.1f} s."
        )
        return f"{text} Interrupted: pull again to go on." if self.is_interrupted else text

    def _problems(self) -> list[tuple[str, str, str]]:
        failed = [("failed", run, str(one)) for run, one in self.failed.items()]
        return failed + [("incomplete", run, reason) for run, reason in self.incomplete.items()]

    def __str__(self) -> str:
        problems = self._problems()
        lines = [
            line_for_screen(f"  {kind} {run}: {reason}")
            for kind, run, reason in problems[:SHOWN_RUNS]
        ]
        if len(problems) > SHOWN_RUNS:
            lines.append(f"  and {len(problems) - SHOWN_RUNS:,} more")
        return "\n".join([for_screen(self._summary()), *lines])

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={n}" for name, n in self._counts())
        return f"<PullReport {counts}>"

    def _repr_html_(self) -> str:
        problems = self._problems()
        rows = "".join(
            f"<tr><td>{kind}</td><td>{_escaped(run)}</td><td>{_escaped(reason)}</td></tr>"
            for kind, run, reason in problems[:SHOWN_RUNS]
        )
        more = len(problems) - SHOWN_RUNS
        if more > 0:
            rows += f"<tr><td></td><td>and {more:,} more</td><td></td></tr>"
        table = f"<table>{rows}</table>" if rows else ""
        return f"<div class='runlake-pull'><p>{_escaped(self._summary())}</p>{table}</div>"


def _escaped(text: str) -> str:
    return html.escape(line_for_screen(text))
