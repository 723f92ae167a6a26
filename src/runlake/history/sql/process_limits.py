"""Find how many processors and how much memory this process may use.

On Linux, processor affinity and control groups limit a process.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runlake.cache.disk.mounts import Mount, parse_mounts

ROOT = Path("/")
CGROUPS = PurePosixPath("proc/self/cgroup")
MOUNTS = PurePosixPath("proc/self/mountinfo")
# Files of a control group, of version 2 and 1. Above ``memory.high`` the kernel slows a process
# down until it returns memory, which is no better for a query than the hard limit.
CPU_FILES = ("cpu.max", "cpu.cfs_quota_us")
MEMORY_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")
PERIOD_FILE = "cpu.cfs_period_us"
# Version 1 states "no limit" as the largest number of pages, in bytes.
UNLIMITED_BYTES = 1 << 62


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The processors and the memory that a process may use.

    Parameters
    ----------
    n_cpus : int
        Number of processors, at least one; a quota of one and a half processors counts as two.
    memory_bytes : int, optional
        Smallest memory limit of the control groups; None if there is no limit.
    """

    n_cpus: int
    memory_bytes: int | None


def read_process_limits(root: Path = ROOT) -> ProcessLimits:
    """Return how many processors and how much memory this process may use now.

    Parameters
    ----------
    root : Path
        Directory that contains ``proc`` and the mounts that are listed in ``proc``.

    Returns
    -------
    ProcessLimits
        The limits that come from processor affinity and from control groups of version 1 and 2. A
        group is also limited by every group that contains it, so the smallest quota and the
        smallest memory limit are returned. Without control groups, as on macOS, only the number of
        processors is known.
    """
    directories = tuple(_directories(root))
    quotas = [quota for directory in directories for quota in _quotas(directory)]
    sizes = [
        size
        for directory in directories
        for name in MEMORY_FILES
        if (size := _number(directory / name)) < UNLIMITED_BYTES
    ]
    n_cpus = min([_allowed_cpus(), *(max(1, math.ceil(quota)) for quota in quotas)])
    return ProcessLimits(n_cpus, min(sizes, default=None))


def _allowed_cpus() -> int:
    # macOS and Windows have no affinity of processes, or none that Python reads.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _directories(root: Path) -> Iterator[Path]:
    """Yield the directories of all control groups that limit this process."""
    try:
        groups = dict(_parse_groups((root / CGROUPS).read_text(errors="surrogateescape")))
        table = (root / MOUNTS).read_text(errors="surrogateescape")
    except OSError:
        return
    for mount in parse_mounts(table):
        for controller in ("cpu", "memory") if mount.kind == "cgroup" else ("",):
            is_cgroup = mount.kind == "cgroup2" or controller in mount.options
            if is_cgroup and controller in groups:
                for point in _points(mount, groups[controller]):
                    yield root / point.relative_to(point.anchor)


def _parse_groups(text: str) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield controller and path of each control group in the text of ``/proc/self/cgroup``.

    The controller is an empty string for control groups of version 2.
    """
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            for controller in controllers.split(",") if number != "0" else ("",):
                yield controller, PurePosixPath(path)


def _points(mount: Mount, group: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the directories of a control group and of the groups that contain it, if mounted."""
    # A container may see its own group as the root of the mount and still read the path from the
    # host; or the path leads out of the mount ("/.."). Then the mount is all that it can read.
    is_below = group.is_relative_to(mount.root) and ".." not in group.parts
    below = group.relative_to(mount.root) if is_below else PurePosixPath()
    for part in (below, *below.parents):
        yield mount.point / part


def _quotas(directory: Path) -> Iterator[float]:
    """Yield the quota of a control group, as a number of processors, if the group has a quota."""
    for name in CPU_FILES:
        with suppress(OSError, ValueError):
            quota, *period = (directory / name).read_text().split()
            if quota not in {"max", "-1"}:
                periods = period or (directory / PERIOD_FILE).read_text().split()
                yield int(quota) / int(periods[0])


def _number(file: Path) -> int:
    """Read a limit in bytes; return ``UNLIMITED_BYTES`` for a missing file and for ``max``."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return UNLIMITED_BYTES
