"""Limit the requests of all processes of one user together, through a file in the cache.

While no limit is known or set, the file does not exist, and a request only checks whether the file
exists.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from runlake.backend.http.rate_headers import parse_rate_headers
from runlake.backend.http.statuses import TOO_MANY_REQUESTS
from runlake.cache.disk.links import NO_LINK, NO_WAIT, read_small_file, refuse_special
from runlake.cache.disk.mounts import is_network
from runlake.cache.layout import limit_file
from runlake.cache.rate_limit import rate as rates
from runlake.cache.rate_limit.rate import Rate
from runlake.settings import Settings

# The file's lock is held for microseconds. A process that cannot get it for this long assumes that
# its holder is stopped.
GUARD_SECONDS = 2.0
GUARD_LEASE_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.5  # a waiting request checks this often whether its turn became invalid
# After an error of the file, a process limits its own requests without the file for this time.
ALONE_SECONDS = 60.0
MAX_NOTE_BYTES = 4096
T = TypeVar("T")


class SharedBudget:
    """Gives processes turns to send requests to one API, in the order in which they ask.

    If the cache cannot be written, each process limits only its own requests.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory, the base URL, the user's ``requests_per_second``,
        the kind of lock and the API key. The processes share a file whose name contains a digest of
        the key.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = limit_file(
            settings.cache_dir,
            settings.base_url,
            settings.api_key.reveal() if settings.api_key else "",
        )
        self._alone = _Alone()
        self._alone_until = 0.0
        self._is_on_network: bool | None = None
        self._sent: deque[float] = deque(maxlen=200)

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings, "path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"])  # type: ignore[misc]
        # The pickled settings lack the key, so the path, which contains only its digest, is
        # pickled too.
        self._path = state["path"]

    def acquire(self, timeout: float) -> float:
        """Wait for a turn to send a request.

        Parameters
        ----------
        timeout : float
            Maximum number of seconds to wait.

        Returns
        -------
        float
            Time of the turn in seconds; pass it to `learn`.

        Raises
        ------
        TimeoutError
            If there is no turn within the timeout.
        """
        deadline = time.monotonic() + timeout
        while True:
            patience = max(deadline - time.monotonic(), 0.0)
            turn, wait, epoch = self._reserve(patience)
            if wait > patience:
                raise TimeoutError(f"the next turn is in {wait:.1f} seconds")
            end = time.monotonic() + wait
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, LOOK_AGAIN_SECONDS))
                if self._epoch() != epoch:
                    break
            else:
                self._sent.append(time.monotonic())
                return turn

    def learn(self, turn: float, status: int, headers: Mapping[str, str]) -> None:
        """Update the shared rate limit from the status and the headers of a response.

        Parameters
        ----------
        turn : float
            What `acquire` returned for the request.
        status : int
            HTTP status of the response.
        headers : mapping
            Headers of the response; names are case-insensitive.
        """
        reported = parse_rate_headers(headers, status)
        if status != TOO_MANY_REQUESTS and not (reported and reported.is_scarce):
            return
        recent = time.monotonic() - 1
        # Of a copy, because other threads append to the deque meanwhile.
        observed = float(sum(moment > recent for moment in self._sent.copy()))
        most = self._settings.retry_timeout

        def learn(rate: Rate, now: float) -> tuple[Rate, None]:
            return rates.learn(rate, now, turn, status, reported, observed, most), None

        self._change(learn)

    def _reserve(self, patience: float) -> tuple[float, float, int]:
        own = self._settings.requests_per_second
        now = self._now()
        if own is None and not self._is_active():
            return now, 0.0, 0

        def take(rate: Rate, now: float) -> tuple[Rate, tuple[float, float, int]]:
            taken, turn = rates.reserve(rate, now, own)
            # A turn beyond the timeout is not taken, so that another request can have it.
            kept = taken if turn - now <= patience else rate
            return kept, (turn, turn - now, taken.epoch)

        return self._change(take)

    def _epoch(self) -> int:
        return self._read().epoch

    def _is_active(self) -> bool:
        if self._is_alone:
            return not self._alone.rate.is_blank
        try:
            # Without a limit this is the only cost of a request (some 10 microseconds).
            return self._path.stat().st_size > 0
        except OSError:
            return False

    def _read(self) -> Rate:
        """Read the shared state without the lock; a half-written file is read as no limit."""
        if self._is_alone:
            return self._alone.rate
        try:
            return rates.decode(read_small_file(self._path, MAX_NOTE_BYTES), 0.0)
        except OSError:
            return Rate(0.0)

    @property
    def _is_alone(self) -> bool:
        return time.monotonic() < self._alone_until

    def _change(self, change: Callable[[Rate, float], tuple[Rate, T]]) -> T:
        if not self._is_alone:
            try:
                with self._note() as descriptor:
                    now = self._now()
                    known = rates.decode(os.read(descriptor, MAX_NOTE_BYTES), now)
                    changed, result = change(known, now)
                    _write(descriptor, rates.encode(changed))
                    return result
            except OSError:
                # The disk is read-only or full, or a stopped process holds the file's lock.
                self._alone_until = time.monotonic() + ALONE_SECONDS
        return self._alone.change(change, self._now())

    @contextmanager
    def _note(self) -> Iterator[int]:
        from filelock import SoftFileLease, unlock_descriptor

        if not self._is_soft:
            with _opened(self._path) as descriptor:
                _lock(descriptor)
                try:
                    yield descriptor
                finally:
                    unlock_descriptor(descriptor)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lease = self._path.with_suffix(".lease")
        with (
            SoftFileLease(lease, lease_duration=GUARD_LEASE_SECONDS, timeout=GUARD_SECONDS),
            _opened(self._path) as descriptor,
        ):
            yield descriptor

    @property
    def _is_soft(self) -> bool:
        locking = self._settings.locking
        return locking == "soft" or (locking == "auto" and self._is_shared_by_machines)

    @property
    def _is_shared_by_machines(self) -> bool:
        if self._is_on_network is None:
            self._is_on_network = is_network(self._path)
        return self._is_on_network

    def _now(self) -> float:
        # The processes of one machine share its monotonic clock, which is never set back. Different
        # machines share only the time of day.
        return time.time() if self._is_shared_by_machines else time.monotonic()


class _Alone:
    """The rate limit of this process alone, while the shared file cannot be used."""

    def __init__(self) -> None:
        self.rate = Rate(0.0)
        self._lock = (os.getpid(), threading.Lock())

    def change(self, change: Callable[[Rate, float], tuple[Rate, T]], now: float) -> T:
        if self._lock[0] != os.getpid():
            # This is a forked child, and only the parent may have the thread that holds the lock.
            self._lock = (os.getpid(), threading.Lock())
        with self._lock[1]:
            self.rate, result = change(self.rate, now)
        return result


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CREAT | NO_LINK | NO_WAIT
    if path.parent.is_symlink():
        raise OSError(errno.ELOOP, "a directory of the cache is a symbolic link", str(path.parent))
    try:
        descriptor = os.open(path, flags, 0o664)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o664)
    try:
        refuse_special(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    from filelock import lock_descriptor

    deadline = time.monotonic() + GUARD_SECONDS
    while not lock_descriptor(descriptor, blocking=False):
        if time.monotonic() > deadline:
            raise TimeoutError("another process holds the lock of the rate limit's file")
        time.sleep(0.0005)


def _write(descriptor: int, note: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    # Truncated last: an empty file means that there is no limit, and other processes look at the
    # file without the lock.
    os.write(descriptor, note)
    os.ftruncate(descriptor, len(note))
