"""Striped locks: one process at a time changes a run's files; readers take none.

A lock saves work, nothing more: where one lies, a run is downloaded twice, and the files are right
all the same (see the explanation pages). That is what makes a lease fit for network file systems:
a holder that is cut off loses it, and nobody waits for ever.
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
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from runlake.cache.disk.links import read_small_file, refuse_links
from runlake.cache.disk.mounts import is_network
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.waiting import Line
from runlake.errors import CacheError, CacheLocked
from runlake.exports.process_identity import Machine, Process

PATIENCE_SECONDS = 3.0
# Every version of runlake that shares a cache has to agree on it; filelock refuses others.
LEASE_SECONDS = 60.0
# A waiter that gave no sign of life for so long is stopped: its turn goes to the next.
STOPPED_SECONDS = 5.0
MAX_SIGNATURE_BYTES = 1 << 16
MIN_PAUSE, MAX_PAUSE = 0.01, 0.2
NO_FLOCK = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
logger = logging.getLogger("runlake.cache")


@contextmanager
def run_lock(directory: RunDirectory, timeout: float, *, locking: str = "auto") -> Iterator[None]:
    """Hold the lock of a run; see `file_lock`.

    Parameters
    ----------
    directory : RunDirectory
        The run.
    timeout : float
        Seconds to wait for whoever holds it.
    locking : {"auto", "flock", "soft"}
        How.
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
    """Hold the lock at a path; a thread holds one at most, so that stripes cannot deadlock.

    Parameters
    ----------
    path : Path
        The lock file; it is made.
    root : Path
        Root of the cache.
    what : str
        What to call the locked thing in messages.
    timeout : float
        Seconds to wait for whoever holds it; waiters are let in first come, first served.
    locking : {"auto", "flock", "soft"}
        "flock" asks the operating system, "soft" relies on file names alone; "auto" is "soft" on
        network file systems, where ``flock`` may succeed for everyone.
    guarded : Path, optional
        What will be written: refused, like the lock itself, where a link leads out of the cache.

    Raises
    ------
    CacheLocked
        If it is still held then.
    CacheError
        If the lock file cannot be made.
    """
    with _only_lock_of_this_thread(what):
        signature = _Signature(what)
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
            # A child that was forked in here inherits no hold, hence has none to give up.
            if os.getpid() == holder:
                signature.erase()
                lock.release()


class _Held(threading.local):
    by: tuple[int, str] | None = None


_held = _Held()


@contextmanager
def _only_lock_of_this_thread(what: str) -> Iterator[None]:
    if _held.by is not None and _held.by[0] == os.getpid():
        raise AssertionError(
            f"this thread holds the lock of '{_held.by[1]}' and asks for that of '{what}'"
        )
    _held.by = (os.getpid(), what)
    try:
        yield
    finally:
        _held.by = None


def _acquire(path: Path, signature: _Signature, timeout: float, locking: str) -> BaseFileLock:
    what = signature.what
    is_soft = locking == "soft" or (locking == "auto" and is_network(path))
    if not is_soft:
        lock = FileLock(path, mode=0o664, on_acquired=signature.write)
        try:
            return _wait(lock, path, what, timeout)
        except OSError as error:
            if locking != "auto" or error.errno not in NO_FLOCK:
                raise
    lease = SoftFileLease(path.with_suffix(".lease"), lease_duration=LEASE_SECONDS)
    return _wait(lease, path, what, timeout)


def _wait(lock: BaseFileLock, path: Path, what: str, timeout: float) -> BaseFileLock:
    is_soft = isinstance(lock, SoftFileLease)
    # A network file system may show another machine's sign of life a minute late.
    line = Line(path.with_suffix(".waiting"), LEASE_SECONDS if is_soft else STOPPED_SECONDS)
    if line.is_empty() and _try(lock):
        return lock
    start = time.monotonic()
    is_told = False
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
            if waited >= PATIENCE_SECONDS and not is_told:
                is_told = True
                _tell(lock, what, n_ahead)
            pause = min(max(waited / 20, MIN_PAUSE), MAX_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
            time.sleep(min(pause, max(timeout - waited, 0.0)))


def _try(lock: BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _tell(lock: BaseFileLock, what: str, n_ahead: int) -> None:
    logger.warning(
        "This is process %d on %s; it waits for %s, to fetch '%s'%s.",
        os.getpid(),
        socket.gethostname(),
        _describe_holder(lock, what),
        what,
        f"; {n_ahead} more came before it" if n_ahead else "",
    )


class _Signature:
    """Who holds a lock, in the lock file: by the descriptor that is held, whatever its name is now.

    Parameters
    ----------
    what : str
        What the lock is held for.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._descriptor: int | None = None

    def write(self, descriptor: int) -> None:
        """Sign the lock file."""
        self._descriptor = descriptor
        holder = {**asdict(Process.current()), "hostname": socket.gethostname()}
        record = {**holder, "what": self.what}
        # The record is for messages only; a full disk must not keep anybody from the lock.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(record).encode())

    def erase(self) -> None:
        """Empty the lock file, while it is still held."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)


def _describe_holder(lock: BaseFileLock, what: str) -> str:
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
    # Whoever was killed leaves its name; whoever took over has not written its own yet.
    if is_gone:
        return "another process"
    return holder if fetched == what else f"{holder} (which fetches '{fetched}')"
