"""Decide which runs and exports to evict from a cache, and why; without I/O."""

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
        Name in the run's directory.
    n_bytes : int
        Bytes allocated on disk: fewer than the length of the file if the file is sparse.
    withdrawn_at : float or None
        When a pull first found that the backend no longer lists the export, in seconds since 1970;
        None while it is listed.
    """

    name: str
    n_bytes: int
    withdrawn_at: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on disk: its files, its times of use, and whether it is pinned.

    Parameters
    ----------
    run : RunPath
        Path of the run.
    backend : str
        Root of the API from which the run was pulled.
    files : tuple of EntryFile
        The run's files in any order.
    last_used_at, pulled_at : float
        When the run was last read, and when it was last pulled, in seconds since 1970.
    is_pinned : bool
        True if neither the run nor any of its files may be evicted.
    """

    run: RunPath
    backend: str
    files: tuple[EntryFile, ...]
    last_used_at: float
    pulled_at: float
    is_pinned: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes that the run's files take on disk."""
        return sum(file.n_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Policy:
    """Which runs and exports to keep.

    Parameters
    ----------
    max_bytes : int, optional
        Maximum size. If the cache is larger, whole runs are evicted, the least recently used run
        first.
    max_age : float, optional
        Seconds that a run is kept after its last use.
    runs : tuple of str
        Patterns ``entity``, ``entity/project`` or ``entity/project/run_id``, with ``*``, ``?`` and
        ``[...]`` in each part. Other runs are neither evicted nor counted. If neither ``max_bytes``
        nor ``max_age`` is given, all matching runs are evicted.
    grace : float, default a day
        Seconds that an export is kept after the backend stopped listing it, because processes may
        still read the file.
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
                    f"{pattern!r} is not a pattern of runs, such as 'team', 'team/proj' or "
                    "'team/proj/run-*'."
                )

    def concerns(self, run: RunPath) -> bool:
        """Return whether the policy applies to a run."""
        names = (run.entity, run.project, run.run_id)
        return not self.runs or any(
            all(map(fnmatchcase, names, pattern.split("/"))) for pattern in self.runs
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Files of one run to evict.

    Parameters
    ----------
    entry : Entry
        The run.
    files : tuple of EntryFile
        The files to delete, sorted by name.
    reason : str
        Why the files are evicted.
    is_whole : bool
        True if the whole run is evicted, with its manifest.
    """

    entry: Entry
    files: tuple[EntryFile, ...]
    reason: Reason
    is_whole: bool

    @property
    def n_bytes(self) -> int:
        """Bytes that the eviction frees."""
        return sum(file.n_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Pruning:
    """What to evict, and the size of the runs before and after.

    Parameters
    ----------
    releases : tuple of Release
        At most one per run, the least recently used run first.
    n_bytes_before, n_bytes_after : int
        Size of the runs that the policy applies to.
    is_enough : bool
        False if the runs that must be kept are larger than ``max_bytes``.
    """

    releases: tuple[Release, ...]
    n_bytes_before: int
    n_bytes_after: int
    is_enough: bool


def plan_pruning(entries: Iterable[Entry], policy: Policy, now: float) -> Pruning:
    """Decide which runs and exports to evict.

    Parameters
    ----------
    entries : iterable of Entry
        All runs on disk, in any order.
    policy : Policy
        Which runs to keep.
    now : float
        Current time in seconds since 1970. A run whose last use is in the future, because of a
        wrong clock, counts as used now.

    Returns
    -------
    Pruning
        What to evict. The order of the entries makes no difference.

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
    """Return which files of a run are evicted whatever the cache's size is; None if none are."""
    if entry.is_pinned:
        return None
    if policy.max_age is not None and now - min(entry.last_used_at, now) >= policy.max_age:
        return _whole(entry, "too old")
    if policy.runs and policy.max_age is None and policy.max_bytes is None:
        return _whole(entry, "asked for")
    # Readers may still use such a file, so it stays for a day.
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
