"""Locks of many new runs that one process pulls together, taken without waiting.

A thread that waits for a lock while it holds another one could wait forever. So these locks are
only tried: a run whose lock is held by another process, or has a queue, is left to a thread that
waits for this lock alone. Several batches of a process may hold the same lock file at the same
time, because they pull different runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakSet

from runlake.cache.disk.links import NO_LINK, refuse_links
from runlake.cache.disk.mounts import is_network_directory
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import STOPPED_SECONDS, Signature
from runlake.cache.locking.waiting import Line

HAS_FLOCK = find_spec("fcntl") is not None
LOCK_MODE = 0o664  # of lock files, so that several users of a group can share a cache


@dataclass(slots=True)
class _Stripe:
    """A lock file that this process holds for one or more runs."""

    descriptor: int
    signature: Signature
    n_runs: int = 1


class SharedStripes:
    """The lock files that the batches of one pull hold; several threads may use it.

    Parameters
    ----------
    locking : {"auto", "flock", "soft"}
        Kind of lock, see `file_lock`. No lock is taken if it would have to be "soft".
    guards : dict of Path to Lock
        For each lock file, a lock that excludes the other threads of this process. It is held as
        long as the lock file is.
    """

    def __init__(self, locking: str, guards: MutableMapping[Path, threading.Lock]) -> None:
        self._locking = locking
        self._guards = guards
        self._guard = threading.Lock()
        self._held: dict[Path, _Stripe] = {}
        _all.add(self)

    def take(self, directory: RunDirectory) -> bool:
        """Take the lock of a run if this is possible without waiting.

        Parameters
        ----------
        directory : RunDirectory
            The run's directory.

        Returns
        -------
        bool
            True if the lock is held now, until `release`. False if another holder has it, if other
            processes wait for it, if its file cannot be opened, or if ``flock`` cannot be used: on
            Windows, on a network file system, or if ``locking`` is "soft".
        """
        path = directory.lock
        with self._guard:
            stripe = self._held.get(path)
            if stripe is not None:
                stripe.n_runs += 1
                return True
            guard = self._guards.setdefault(path, threading.Lock())
            if not guard.acquire(blocking=False):
                return False
            taken = self._taken(path, directory)
            if taken is None:
                guard.release()
                return False
            self._held[path] = taken
            return True

    def release(self, directory: RunDirectory) -> None:
        """Release the lock of a run; its lock file stays locked while other runs need the file."""
        path = directory.lock
        with self._guard:
            stripe = self._held[path]
            stripe.n_runs -= 1
            if stripe.n_runs:
                return
            del self._held[path]
            stripe.signature.erase()
            # An explicit unlock, because a forked child may have a copy of the descriptor.
            with suppress(OSError):
                _flock(stripe.descriptor, is_held=False)
            os.close(stripe.descriptor)
            self._guards[path].release()

    def forget(self) -> None:
        """Close the lock files in a forked child, which holds no lock."""
        for stripe in self._held.values():
            with suppress(OSError):
                os.close(stripe.descriptor)
        self._held = {}

    def _taken(self, path: Path, directory: RunDirectory) -> _Stripe | None:
        if not HAS_FLOCK or self._locking == "soft" or is_network_directory(str(path.parent)):
            return None
        if not Line(path.with_suffix(".waiting"), STOPPED_SECONDS).is_empty():
            return None
        try:
            refuse_links(directory.root, path)
            refuse_links(directory.root, directory.path)
            descriptor = _open(path)
        except OSError:
            return None
        try:
            _flock(descriptor, is_held=True)
            # Race: the file may have been deleted before it was locked.
            if os.fstat(descriptor).st_ino != path.lstat().st_ino:
                raise FileNotFoundError(path)
        except OSError:
            os.close(descriptor)
            return None
        signature = Signature(str(directory.run))
        signature.write(descriptor)
        return _Stripe(descriptor, signature)


def _flock(descriptor: int, *, is_held: bool) -> None:
    # Imported here, because Windows has no such module.
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if is_held else fcntl.LOCK_UN)


def _open(path: Path) -> int:
    flags = os.O_RDWR | NO_LINK
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, flags | os.O_CREAT, LOCK_MODE)
    # The process's mask of permissions does not apply to lock files.
    with suppress(OSError):
        os.fchmod(descriptor, LOCK_MODE)
    return descriptor


_all: WeakSet[SharedStripes] = WeakSet()


def _forget_all() -> None:
    for stripes in list(_all):
        stripes.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
