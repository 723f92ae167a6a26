"""Find the files of killed downloads in a run's directory, to resume or delete them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runlake.cache.disk.abandoned import is_abandoned
from runlake.exports.download.attempt_file import AttemptName, is_under_way
from runlake.exports.process_identity import UNKNOWN_BOOT, this_machine


def find_dead_attempts(directory: Path) -> Mapping[str, Sequence[Path]]:
    """Return the files of dead attempts (killed downloads) that new attempts may resume.

    Parameters
    ----------
    directory : Path
        Directory of a run whose lock the caller holds.

    Returns
    -------
    mapping of str to sequence of Path
        Files whose version is known; the keys are `AttemptName.object_digest`. A file that was
        written before the machine's last boot, or by another host, may have gaps: blocks that never
        reached the disk. So such a file is returned only if the storage host sent a digest of the
        whole export, which shows gaps.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _attempts(directory):
        name = AttemptName.parse(path.name)
        if name is None or name.version is None or is_under_way(path):
            continue
        machine = name.process.machine
        is_of_this_boot = machine == this_machine() and machine.boot != UNKNOWN_BOOT
        is_usable = _is_dead(name) if is_of_this_boot else name.version.promises_digest
        if is_usable:
            found[name.object_digest].append(path)
    return found


def sweep_attempts(directory: Path) -> None:
    """Delete the files of dead attempts (killed downloads).

    A lock can fail, so an attempt may still be running although the caller holds the lock. So a
    file is deleted only if its process has certainly ended, or if the file is older than a day.

    Parameters
    ----------
    directory : Path
        Directory of a run whose lock the caller holds.
    """
    for path in _attempts(directory):
        name = AttemptName.parse(path.name)
        if (name is not None and not is_under_way(path) and _is_dead(name)) or is_abandoned(path):
            with suppress(OSError):
                path.unlink()


def _attempts(directory: Path) -> list[Path]:
    # `Path.glob` would take ten times as long for a directory of a thousand exports.
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    except OSError:
        return []
    return [directory / name for name in names if name.endswith(".part")]


def _is_dead(name: AttemptName) -> bool:
    # The caller has excluded this process's running attempts by `is_under_way`.
    return name.process.pid == os.getpid() or name.process.is_gone()
