"""Striped locks: one process at a time changes a run's files; readers take no lock.

Striped means that 256 lock files serve all runs. A lock only saves work. If a lock fails to exclude
a process, a run is downloaded twice, but the files are still right (see
docs/explanation/locking.md). Therefore a lease (a lock that expires) is safe on network file
systems. A holder that is disconnected loses its lease after a minute, so that other processes do
not wait forever.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.cache.disk.links import read_small_file, refuse_links
from runlake.cache.disk.mounts import is_network_directory
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.waiting import Line
from runlake.errors import CacheError, CacheLocked
from runlake.exports.process_identity import Machine, Process

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE_SECONDS = 3.0  # a longer wait is logged, with the holder
# All versions of runlake that share a cache must use this value: filelock refuses other values.
LEASE_SECONDS = 60.0
# A waiting process without a sign of life for this long counts as stopped, and is skipped.
STOPPED_SECONDS = 5.0
MAX_SIGNATURE_BYTES = 1 << 16
MIN_PAUSE, MAX_PAUSE = 0.01, 0.2
NO_FLOCK = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
logger = logging.getLogger("runlake.cache")


@contextmanager
def run_lock(directory: RunDirectory, timeout: float, *, locking: str = "auto") -> Iterator[None]:
    """Hold the lock of a run while the context is open; see `file_lock`.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    timeout : float
        Seconds to wait for another holder.
    locking : {"auto", "flock", "soft"}
        Kind of lock, see `file_lock`.
    """
    what = str(directory.run)
    with file_lock(
        directory.lock,
        directory.root,
        what,
        timeout,
        locking=locking,
        guarded=directory.manifest,
    ):
        yield


@contextmanager
def file_lock(
    path: Path,
    root: Path,
    what: str,
    timeout: float,
    *,
    locking: str = "auto",
    guarded: Path | None = None,
) -> Iterator[None]:
    """Hold the lock at a path while the context is open.

    A thread can hold only one lock at a time. Many runs share one lock file, so two threads that
    each lock two runs could wait for each other forever.

    Parameters
    ----------
    path : Path
        The lock file, which is created if missing.
    root : Path
        Root of the cache.
    what : str
        The words that name the locked run or file in messages.
    timeout : float
        Seconds to wait for another holder; waiters get the lock first come, first served.
    locking : {"auto", "flock", "soft"}
        "flock" is a lock of the operating system. "soft" is a lease, which needs only files. "auto"
        is "soft" on network file systems, where ``flock`` may not exclude other machines; on other
        file systems it is "flock".
    guarded : Path, optional
        File that will be written under the lock. An error is raised if one of the directories above
        this file, or above the lock file, is a link.

    Raises
    ------
    CacheLocked
        If the lock is still held after the timeout.
    CacheError
        If the lock file cannot be created.
    """
    with _only_lock_of_this_thread(what):
        signature = Signature(what)
        try:
            refuse_links(root, path)
            refuse_links(root, guarded or path)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _acquire(path, signature, timeout, locking)
        except OSError as error:
            if isinstance(error, CacheLocked):
                raise
            raise CacheError(
                f"The cache at {str(root)!r} cannot be locked ({error.strerror or error}). "
                "Set WANDB_CACHE_DIR to a directory that this account may write.",
                path=str(path),
            ) from error
        holder = os.getpid()
        try:
            yield
        finally:
            # A child that was forked inside the context does not hold the lock, so it must not
            # release the lock.
            if os.getpid() == holder:
                # Before the release: afterwards this could erase the signature of the next holder.
                signature.erase()
                lock.release()


class _Held(threading.local):
    by: tuple[int, str] | None = None


_held = _Held()


@contextmanager
def _only_lock_of_this_thread(what: str) -> Iterator[None]:
    # 256 locks serve all runs, so a second run may have the same lock: the thread would wait for
    # itself.
    if _held.by is not None and _held.by[0] == os.getpid():
        raise AssertionError(
            f"this thread holds the lock of '{_held.by[1]}' and cannot take that of '{what}' too"
        )
    _held.by = (os.getpid(), what)
    try:
        yield
    finally:
        _held.by = None


def _acquire(path: Path, signature: Signature, timeout: float, locking: str) -> BaseFileLock:
    # Imported at the first lock, because most reads of cached runs take no lock.
    from filelock import FileLock, SoftFileLease

    what = signature.what
    is_soft = locking == "soft" or (locking == "auto" and is_network_directory(str(path.parent)))
    if not is_soft:
        lock = FileLock(path, mode=0o664, on_acquired=signature.write)
        try:
            return _wait(lock, path, what, timeout)
        except OSError as error:
            if locking != "auto" or error.errno not in NO_FLOCK:
                raise
    # Not filelock's strict soft lock: it is never released if its holder dies, so after one killed
    # job 1 of 256 runs would stay locked until a person removes a file.
    lease = SoftFileLease(path.with_suffix(".lease"), lease_duration=LEASE_SECONDS)
    return _wait(lease, path, what, timeout)


def _wait(lock: BaseFileLock, path: Path, what: str, timeout: float) -> BaseFileLock:
    from filelock import SoftFileLease

    is_soft = isinstance(lock, SoftFileLease)
    # A network file system may show another machine's changes up to a minute late.
    line = Line(path.with_suffix(".waiting"), LEASE_SECONDS if is_soft else STOPPED_SECONDS)
    if line.is_empty() and _try(lock):
        return lock
    start = time.monotonic()
    is_logged = False
    with line.place():
        while True:
            n_ahead = line.n_ahead()
            if n_ahead == 0 and _try(lock):
                return lock
            waited = time.monotonic() - start
            if waited >= timeout:
                raise CacheLocked(
                    f"The lock of '{what}' is still held after {timeout:g} seconds, by "
                    f"{_describe_holder(lock, what)}. Wait for it or end it, or raise "
                    "RUNLAKE_LOCK_TIMEOUT.",
                    path=lock.lock_file,
                )
            if waited >= PATIENCE_SECONDS and not is_logged:
                is_logged = True
                _log_waiting(lock, what, n_ahead)
            pause = min(max(waited / 20, MIN_PAUSE), MAX_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
            time.sleep(min(pause, max(timeout - waited, 0.0)))


def _try(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _log_waiting(lock: BaseFileLock, what: str, n_ahead: int) -> None:
    logger.warning(
        "This is process %d on %s; it waits for %s before it fetches '%s'%s.",
        os.getpid(),
        socket.gethostname(),
        _describe_holder(lock, what),
        what,
        f"; {n_ahead} other processes are ahead of it" if n_ahead else "",
    )


@lru_cache(maxsize=1)
def _this_holder(pid: int) -> dict[str, Any]:  # noqa: ARG001 - a forked child is another holder
    return {**asdict(Process.current()), "hostname": socket.gethostname()}


class Signature:
    """The record of a lock's holder in the lock file, written through the locked descriptor.

    The descriptor stays valid even if the lock file is renamed or replaced meanwhile.

    Parameters
    ----------
    what : str
        Run or file for which the lock is held.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._descriptor: int | None = None

    def write(self, descriptor: int) -> None:
        """Write a record of this process into the open lock file."""
        self._descriptor = descriptor
        record = {**_this_holder(os.getpid()), "what": self.what}
        # The record is only for messages, so a full disk must not prevent locking.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(record).encode())

    def erase(self) -> None:
        """Empty the lock file; the lock must still be held."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)


def _describe_holder(lock: BaseFileLock, what: str) -> str:
    from filelock import SoftFileLease

    if isinstance(lock, SoftFileLease):
        owner = lock.owner
        return f"process {owner.pid} on {owner.hostname}" if owner else "another process"
    try:
        record = json.loads(read_small_file(Path(lock.lock_file), MAX_SIGNATURE_BYTES))
        process = Process(Machine(**record["machine"]), record["pid"], record["started"])
        holder, fetched = f"process {process.pid} on {record['hostname']}", record["what"]
        is_gone = process.is_gone()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    # Race: a killed holder leaves its record, and the next holder may not have written its own yet.
    if is_gone:
        return "another process"
    return holder if fetched == what else f"{holder} (which fetches '{fetched}')"
