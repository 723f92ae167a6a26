"""What to let go of a cache, and why (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from runlake.errors import InvalidArgument
from runlake.values import DAY, RunPath

Reason = Literal["asked for", "too old", "no room", "no longer offered"]


@dataclass(frozen=True, slots=True)
class EntryFile:
    """A file of a run.

    Parameters
    ----------
    name : str
        Its name in the run's directory.
    n_bytes : int
        What it takes on disk: less than its length where it is sparse.
    withdrawn_at : float or None
        When the backend was first seen not to offer it any more; None while it does.
    """

    name: str
    n_bytes: int
    withdrawn_at: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on disk. Moments are seconds since 1970.

    Parameters
    ----------
    run : RunPath
        The run.
    backend : str
        Root of the API it is from.
    files : tuple of EntryFile
        In any order.
    last_used_at, pulled_at : float
        When it was last read, and last pulled.
    is_pinned : bool
        Never let go, nor any file of it.
    """

    run: RunPath
    backend: str
    files: tuple[EntryFile, ...]
    last_used_at: float
    pulled_at: float
    is_pinned: bool = False

    @property
    def n_bytes(self) -> int:
        """What its files take together."""
        return sum(file.n_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Policy:
    """What may stay.

    Parameters
    ----------
    max_bytes : int, optional
        Bytes that may stay; above, whole runs go, the least recently used first.
    max_age : float, optional
        Seconds after its last use that a run may stay.
    runs : tuple of str
        Patterns ``entity``, ``entity/project`` or ``entity/project/run_id`` with ``*``, ``?`` and
        ``[...]`` in each part. Nothing else is looked at, or counted. Without ``max_bytes`` and
        ``max_age`` whatever they match goes.
    grace : float, default a day
        Seconds that an export stays after it was withdrawn, for those who still read it.
    """

    max_bytes: int | None = None
    max_age: float | None = None
    runs: tuple[str, ...] = ()
    grace: float = DAY

    def __post_init__(self) -> None:
        for pattern in self.runs:
            parts = pattern.split("/")
            if not all(parts) or len(parts) > 3:  # noqa: PLR2004 - entity, project, run id
                raise InvalidArgument(
                    f"{pattern!r} is no pattern of runs, such as 'team', 'team/proj' or "
                    "'team/proj/run-*'."
                )

    def concerns(self, run: RunPath) -> bool:
        """Tell whether a run is looked at."""
        names = (run.entity, run.project, run.run_id)
        return not self.runs or any(
            all(map(fnmatchcase, names, pattern.split("/"))) for pattern in self.runs
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Files of one run to let go.

    Parameters
    ----------
    entry : Entry
        The run.
    files : tuple of EntryFile
        By name; all of the run's files where the run goes as a whole.
    reason : str
        Why.
    is_whole : bool
        The run goes, with its manifest.
    """

    entry: Entry
    files: tuple[EntryFile, ...]
    reason: Reason
    is_whole: bool

    @property
    def n_bytes(self) -> int:
        """What that frees."""
        return sum(file.n_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Pruning:
    """What to let go, and what that leads to.

    Parameters
    ----------
    releases : tuple of Release
        The least recently used run first; one at most per run.
    n_bytes_before, n_bytes_after : int
        Of the runs that the policy concerns.
    is_enough : bool
        False where pinned runs alone are more than ``max_bytes``.
    """

    releases: tuple[Release, ...]
    n_bytes_before: int
    n_bytes_after: int
    is_enough: bool


def plan_pruning(entries: Iterable[Entry], policy: Policy, now: float) -> Pruning:
    """Decide what to let go.

    Parameters
    ----------
    entries : iterable of Entry
        All that is on disk; the order means nothing.
    policy : Policy
        What may stay.
    now : float
        This moment. A run that was used in the future, by a clock that went wrong, counts as used
        now.

    Returns
    -------
    Pruning
        Equal for equal arguments.

    Examples
    --------
    >>> old = Entry(RunPath("e", "p", "old"), "", (EntryFile("a", 60),), 1.0, 1.0)
    >>> new = Entry(RunPath("e", "p", "new"), "", (EntryFile("b", 60),), 2.0, 2.0)
    >>> pruning = plan_pruning([new, old], Policy(max_bytes=100), now=3.0)
    >>> [(str(release.entry.run), release.reason) for release in pruning.releases]
    [('e/p/old', 'no room')]
    """
    concerned = sorted(
        (entry for entry in entries if policy.concerns(entry.run)),
        key=lambda entry: _order(entry, now),
    )
    n_bytes_before = sum(entry.n_bytes for entry in concerned)
    releases = {
        index: release
        for index, entry in enumerate(concerned)
        if (release := _due(entry, policy, now)) is not None
    }
    n_bytes = n_bytes_before - sum(release.n_bytes for release in releases.values())
    max_bytes = n_bytes if policy.max_bytes is None else policy.max_bytes
    for index, entry in enumerate(concerned):
        if n_bytes <= max_bytes:
            break
        before = releases.get(index)
        frees = entry.n_bytes - (before.n_bytes if before else 0)
        if not entry.is_pinned and frees:
            releases[index] = _whole(entry, "no room")
            n_bytes -= frees
    ordered = tuple(releases[index] for index in sorted(releases))
    return Pruning(ordered, n_bytes_before, n_bytes, n_bytes <= max_bytes)


def _order(entry: Entry, now: float) -> tuple[float, float, str, str]:
    return min(entry.last_used_at, now), entry.pulled_at, str(entry.run), entry.backend


def _due(entry: Entry, policy: Policy, now: float) -> Release | None:
    """Return what goes whatever room there is."""
    if entry.is_pinned:
        return None
    if policy.max_age is not None and now - min(entry.last_used_at, now) >= policy.max_age:
        return _whole(entry, "too old")
    if policy.runs and policy.max_age is None and policy.max_bytes is None:
        return _whole(entry, "asked for")
    withdrawn = _by_name(
        file
        for file in entry.files
        if file.withdrawn_at is not None and now - file.withdrawn_at >= policy.grace
    )
    return Release(entry, withdrawn, "no longer offered", is_whole=False) if withdrawn else None


def _whole(entry: Entry, reason: Reason) -> Release:
    return Release(entry, _by_name(entry.files), reason, is_whole=True)


def _by_name(files: Iterable[EntryFile]) -> tuple[EntryFile, ...]:
    return tuple(sorted(files, key=lambda file: file.name))
