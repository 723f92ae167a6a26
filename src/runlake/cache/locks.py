"""Striped locks: one process at a time changes a run's files; readers take none."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from runlake.cache.layout import RunDirectory
from runlake.errors import CacheError, CacheLocked

PATIENCE_SECONDS = 3.0
logger = logging.getLogger("runlake.cache")


@contextmanager
def run_lock(directory: RunDirectory, timeout: float) -> Iterator[None]:
    """Hold the lock of a run; a thread holds one at most, so that stripes cannot deadlock.

    Parameters
    ----------
    directory : RunDirectory
        The run.
    timeout : float
        Seconds to wait for whoever holds it.

    Raises
    ------
    CacheLocked
        If it is still held then.
    CacheError
        If the lock file cannot be made.
    """
    with file_lock(directory.lock, directory.root, str(directory.run), timeout):
        yield


@contextmanager
def file_lock(path: Path, root: Path, what: str, timeout: float) -> Iterator[None]:
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
        Seconds to wait for whoever holds it.

    Raises
    ------
    CacheLocked
        If it is still held then.
    CacheError
        If the lock file cannot be made.
    """
    lock = FileLock(path, mode=0o664)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, path, what, timeout)
    except OSError as error:
        if isinstance(error, CacheLocked):
            raise
        raise CacheError(
            f"The cache at {str(root)!r} cannot be locked ({error.strerror or error}). "
            "Set WANDB_CACHE_DIR to a directory that this account may write.",
            path=str(path),
        ) from error
    holder = path.with_suffix(".holder")
    try:
        with suppress(OSError):
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _acquire(lock: FileLock, path: Path, what: str, timeout: float) -> None:
    first = min(PATIENCE_SECONDS, timeout)
    try:
        lock.acquire(timeout=first)
    except Timeout:
        logger.warning("Waiting for %s, which pulls '%s'.", _holder(path), what)
    else:
        return
    try:
        lock.acquire(timeout=timeout - first)
    except Timeout:
        raise CacheLocked(
            f"{_holder(path)} still holds the lock of '{what}' after {timeout:g} "
            "seconds. Wait for it or end it, or raise RUNLAKE_LOCK_TIMEOUT.",
            path=str(path),
        ) from None


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.with_suffix(".holder").read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
