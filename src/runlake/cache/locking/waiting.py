"""The queue of processes that wait for a lock: first come, first served.

A waiting process creates a file in a directory. The file's name contains a number: one more than
the highest number in the directory. This is Lamport's bakery algorithm, which compares no clocks.
The queue only decides which process *tries* to lock next; the lock itself decides which process
gets the lock. So an error in the queue only costs waiting time, and never gives the lock to two
processes. A waiting process that has ended, is stopped or is disconnected can be skipped.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runlake.cache.disk.links import set_times
from runlake.exports.process_identity import Machine, Process


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of a waiting process in the queue; places sort in the order of the queue.

    Parameters
    ----------
    number : int
        Number in the queue. Two processes that arrive at the same time may have the same number.
    name : str
        Name of the process's file; if two numbers are equal, the lower name is first.
    process : Process
        The waiting process.
    """

    number: int
    name: str
    process: Process = field(compare=False)

    @classmethod
    def parse(cls, name: str) -> Place | None:
        """Parse a file name; return None if it is not the name of a waiting process's file."""
        try:
            number, host, boot, pid, started, _ = name.split(".")
            return cls(int(number), name, Process(Machine(host, boot), int(pid), int(started)))
        except ValueError:
            return None


class Line:
    """The queue for one lock, as seen by one of the waiting processes.

    Parameters
    ----------
    directory : Path
        Directory of the files of waiting processes; it exists only while a process waits.
    patience : float
        A waiting process that has not touched its file for this number of seconds is skipped.
    """

    def __init__(self, directory: Path, patience: float) -> None:
        self._directory = directory
        self._patience = patience
        self._signs: dict[str, tuple[int, float]] = {}
        self._own = ""

    def is_empty(self) -> bool:
        """Return whether no process waits; delete the files of processes that have ended."""
        return not self._places()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue while the context is open."""
        self._enter()
        try:
            yield
        finally:
            with suppress(OSError):
                (self._directory / self._own).unlink()
            with suppress(OSError):
                self._directory.rmdir()

    def n_ahead(self) -> int:
        """Return how many processes are before this one in the queue; touch this process's file.

        The new time of the file shows the other processes that this one still waits.
        """
        with suppress(OSError):
            set_times(self._directory / self._own)
        now = time.monotonic()
        ahead = 0
        for place in self._places():
            if place.name == self._own:
                break
            ahead += self._shows_life(place, now)
        return ahead

    def _enter(self) -> None:
        process = Process.current()
        machine = process.machine
        for _ in range(100):
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                # Race: the directory existed, and the last waiter removed it during this `mkdir`.
                continue
            number = max((place.number for place in self._places()), default=0) + 1
            place = f"{number:08d}.{machine.host}.{machine.boot}.{process.pid}.{process.started}"
            self._own = f"{place}.{secrets.token_hex(4)}"
            # Race: the last waiter to leave removes the directory, perhaps just before the touch.
            with suppress(FileNotFoundError):
                (self._directory / self._own).touch(exist_ok=False)
                return
        raise FileNotFoundError(2, "it is deleted whenever it is created", str(self._directory))

    def _places(self) -> list[Place]:
        try:
            names = [entry.name for entry in self._directory.iterdir()]
        except OSError:
            return []
        places = []
        for place in filter(None, map(Place.parse, names)):
            if place.process.is_gone():
                with suppress(OSError):
                    (self._directory / place.name).unlink()
            else:
                places.append(place)
        return sorted(places)

    def _shows_life(self, place: Place, now: float) -> bool:
        try:
            sign = (self._directory / place.name).stat().st_mtime_ns
        except OSError:
            return False
        # The file's time may be from another machine's clock. So only check whether the time
        # changes, and measure the time since the last change with the clock of this machine.
        last, since = self._signs.get(place.name, (None, now))
        if last != sign:
            since = now
        self._signs[place.name] = sign, since
        return now - since < self._patience
