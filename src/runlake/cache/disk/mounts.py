"""Find out whether a path is on a network file system, where locks are not reliable."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
# File systems whose ``flock`` may exclude processes of one host only, or none at all.
NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p", "virtiofs"),
        *("lustre", "gpfs", "mmfs", "beegfs", "ceph", "glusterfs", "panfs", "wekafs", "pvfs2"),
        *("orangefs", "gfs2", "ocfs2", "moosefs", "lizardfs", "juicefs", "vastfs", "dvs", "davfs"),
        *("vboxsf", "prl_fs", "vmhgfs"),
    }
)
# Names of FUSE file systems (``fuse.NAME``, or NAME as the source of a plain ``fuse``) whose files
# are on this machine.
LOCAL_IN_USER_SPACE = frozenset(
    {
        *("ntfs-3g", "ntfs", "exfat", "fuse-overlayfs", "overlay", "overlayfs", "bindfs"),
        *("mergerfs", "encfs", "gocryptfs", "cryfs", "squashfuse", "lxcfs", "portal", "zfs-fuse"),
        *("apfs-fuse", "fuse2fs", "ext4fuse", "archivemount", "snapfuse"),
    }
)
TOP = PurePosixPath("/")
# The table is cached: it has a line per mount, and a pull of many runs needs it often.
TABLE_SECONDS = 1.0
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the table of mounts.

    Parameters
    ----------
    point : PurePosixPath
        Directory where the file system is mounted.
    kind : str
        Type of the file system, such as ``ext4`` or ``fuse.sshfs``.
    source : str
        Device, server or program that provides the file system.
    root : PurePosixPath
        Directory of the file system that is mounted; not always its topmost directory.
    options : frozenset of str
        Options of the file system; for version 1 of control groups, the names of its controllers.
    """

    point: PurePosixPath
    kind: str
    source: str = ""
    root: PurePosixPath = TOP
    options: frozenset[str] = frozenset()

    @property
    def is_network(self) -> bool:
        """True if other machines may have the same files open."""
        family, _, name = self.kind.partition(".")
        if family in {"fuse", "fuseblk"}:
            program = name or self.source.partition("#")[0].partition(":")[0]
            # File systems of unknown programs count as remote: an unneeded lease costs little time,
            # but a lock that fails causes double downloads.
            return family == "fuse" and program not in LOCAL_IN_USER_SPACE
        return family in NETWORK


def parse_mounts(text: str) -> tuple[Mount, ...]:
    r"""Parse a table of mounts (Linux: ``/proc/self/mountinfo``, see proc_pid_mountinfo(5)).

    Parameters
    ----------
    text : str
        The table; malformed lines are skipped.

    Returns
    -------
    tuple of Mount
        Mounts in the order of the table: a later mount hides an earlier one on the same directory.

    Examples
    --------
    >>> [mount] = parse_mounts("36 35 0:41 /a /mnt\\040x rw shared:1 - nfs4 host:/a rw")
    >>> mount.point, mount.kind, mount.source, mount.root
    (PurePosixPath('/mnt x'), 'nfs4', 'host:/a', PurePosixPath('/a'))
    """
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields, facts = before.split(" "), after.split(" ")
        if separator and len(fields) > 4 and len(facts) > 1:  # noqa: PLR2004 - columns of the table
            root, point = (PurePosixPath(_unescape(field)) for field in fields[3:5])
            options = frozenset(facts[2].split(",")) if len(facts) > 2 else frozenset()  # noqa: PLR2004
            kind, source = _unescape(facts[0]), _unescape(facts[1])
            mounts.append(Mount(point, kind, source, root, options))
    return tuple(mounts)


def find_mount(mounts: tuple[Mount, ...], path: PurePosixPath) -> Mount | None:
    """Return the mount that contains an absolute, resolved path; None if no mount does."""
    found = None
    above = {path, *path.parents}
    for mount in mounts:
        if mount.point in above and (
            found is None or len(mount.point.parts) >= len(found.point.parts)
        ):
            found = mount
    return found


def is_network(path: Path) -> bool:
    """Return whether a path is on a network file system.

    Parameters
    ----------
    path : Path
        A path, which need not exist yet; links are followed.

    Returns
    -------
    bool
        On Linux, the table of mounts decides. On Windows, the result is True for a path on a
        network share. On other platforms it is False.
    """
    resolved = os.path.realpath(path)
    if os.name == "nt":
        share = resolved.removeprefix(r"\\?\UNC")
        return share != resolved or (share.startswith(r"\\") and share[2:4] not in {"?\\", ".\\"})
    try:
        points = _points(_read_table(MOUNTS, time.monotonic() // TABLE_SECONDS))
    except OSError:
        return False
    place = resolved
    while place not in points and place != os.path.dirname(place):  # noqa: PTH120 - much faster
        place = os.path.dirname(place)  # noqa: PTH120
    mount = points.get(place)
    return mount is not None and mount.is_network


@lru_cache(maxsize=1024)
def is_network_directory(directory: str) -> bool:
    """Return whether a directory is on a network file system, as decided at the first call.

    The result is cached for each directory, because `is_network` examines every part of the path.
    """
    return is_network(Path(directory))


@lru_cache(maxsize=1)
def _read_table(path: Path, period: float) -> str:
    """Return the table of mounts; it is read again when ``period`` differs from the last call.

    ``period`` is the number of the current interval of `TABLE_SECONDS`.
    """
    del period
    return os.fsdecode(path.read_bytes())


@lru_cache(maxsize=4)
def _points(table: str) -> dict[str, Mount]:
    """Return the mounts by directory; of several mounts on a directory, the last one counts."""
    return {str(mount.point): mount for mount in parse_mounts(table)}


def _unescape(field: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field)
