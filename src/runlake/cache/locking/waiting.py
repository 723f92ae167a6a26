"""Who waits for a lock, in order: first come, first served.

A waiter leaves a file named for its number, one more than the highest that it found (Lamport's
bakery, so that no clocks are compared). The line only decides who *tries* next; the lock itself
decides who gets it. Hence a line that errs costs patience, never exclusion: a waiter that is gone,
stopped or cut off is passed over.
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
    """A waiter's place; places sort in the order of the line.

    Parameters
    ----------
    number : int
        Two that come at once may have the same.
    name : str
        Its file.
    process : Process
        Who waits.
    """

    number: int
    name: str
    process: Process = field(compare=False)

    @classmethod
    def parse(cls, name: str) -> Place | None:
        """Read a file name; None for any other file."""
        try:
            number, host, boot, pid, started, _ = name.split(".")
            return cls(int(number), name, Process(Machine(host, boot), int(pid), int(started)))
        except ValueError:
            return None


class Line:
    """The waiters for one lock, as one of them sees it.

    Parameters
    ----------
    directory : Path
        Exists only while somebody waits.
    patience : float
        Seconds after which a waiter that gave no sign of life is passed over.
    """

    def __init__(self, directory: Path, patience: float) -> None:
        self._directory = directory
        self._patience = patience
        self._signs: dict[str, tuple[int, float]] = {}
        self._own = ""

    def is_empty(self) -> bool:
        """Tell whether nobody waits; removes who is gone."""
        return not self._places()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Stand in line while the context is open."""
        self._enter()
        try:
            yield
        finally:
            with suppress(OSError):
                (self._directory / self._own).unlink()
            with suppress(OSError):
                self._directory.rmdir()

    def n_ahead(self) -> int:
        """Give a sign of life, and return how many others are to be let go first."""
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
            self._directory.mkdir(parents=True, exist_ok=True)
            number = max((place.number for place in self._places()), default=0) + 1
            place = f"{number:08d}.{machine.host}.{machine.boot}.{process.pid}.{process.started}"
            self._own = f"{place}.{secrets.token_hex(4)}"
            # The last one to leave removes the directory, perhaps between these lines.
            with suppress(FileNotFoundError):
                (self._directory / self._own).touch(exist_ok=False)
                return
        raise FileNotFoundError(2, "it vanishes as often as it is made", str(self._directory))

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
        # Another machine's clock is only watched for change, against a clock of our own.
        last, since = self._signs.get(place.name, (None, now))
        if last != sign:
            since = now
        self._signs[place.name] = sign, since
        return now - since < self._patience
