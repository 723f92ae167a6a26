"""Measures the sides of a comparison alternately, one round at a time, each in its own process.

If the machine is slow for some seconds, it is then slow for all sides. The first round of each side
is a warm-up and does not count.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tests.server_process import RunningServer, client_environment

ROUNDS = 5
HUNG_SECONDS = 180
# A script calls `measure` with its reads, each of which returns a count, or a count and the seconds
# that it measured itself. It says which of them belong to every round, which to one round only,
# and which to the warm-up: the same as to every round, or a short one in place of long ones.
_PRELUDE = """
import json, os, sys, time
# What a library prints goes elsewhere, also what it prints past Python.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
path, arguments = sys.argv[1], json.loads(sys.argv[2])
def measure(*reads, once=(), warm_up=None, before=lambda: None):
    every, single = list(range(len(reads))), list(range(len(reads), len(reads) + len(once)))
    reads = [*reads, *once]
    places = {"every": every, "once": single, "warm_up": every}
    if warm_up:
        places["warm_up"] = [len(reads)]
        reads.append(warm_up)
    print(json.dumps(places), file=out, flush=True)
    for place in sys.stdin:
        before()
        started = time.perf_counter()
        count = reads[int(place)]()
        seconds = time.perf_counter() - started
        if isinstance(count, tuple):
            count, seconds = count
        print(json.dumps({"seconds": seconds, "count": count}), file=out, flush=True)
"""


@dataclass(frozen=True)
class Measured:
    """Seconds per round, in order, and the count that each round returned."""

    seconds: tuple[float, ...]
    count: int

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return sorted(self.seconds)[len(self.seconds) // 2]

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_time(self.median)} ({_time(low)} to {_time(high)})"


@dataclass(frozen=True)
class Side:
    """One script of `peers`, the run and arguments that it reads, and its cache folder."""

    script: str
    server: RunningServer
    folder: Path
    path: str
    arguments: dict[str, Any]


class _Hung(Exception):
    pass


class _Process:
    """The running process of a side."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + side.script, side.path, json.dumps(side.arguments)],
            env=client_environment(side.server, side.folder) | {"WANDB_QUIET": "true"},
            cwd=side.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        # A full pipe of warnings must not stop the script.
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)

    def places(self) -> dict[str, list[int]]:
        """Wait until the script is ready; return which of its reads belong to which rounds."""
        places: dict[str, list[int]] = self._answer()
        return places

    def read(self, place: int) -> tuple[float, int]:
        """Measure one read; return its seconds and its count."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{place}\n")
        answer = self._answer()
        return answer["seconds"], answer["count"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(HUNG_SECONDS, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            is_in_time = watch.is_alive()
            watch.cancel()
        if not is_in_time:
            raise _Hung
        if not line:
            raise RuntimeError(f"{self._side.script}\n{''.join(self._errors)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def take_turns(*sides: Side, rounds: int = ROUNDS, is_warmed: bool = True) -> list[Measured]:
    """Measure the sides alternately; return one `Measured` per read of each side, in order.

    In a round the first reads of all sides are measured, then the second ones, and so on. Reads
    that a script wants to have measured once are measured in the first round.

    If a side hangs, all sides are started again, once: now and then a scan of the SDK (0.31) never
    ends, although no request is under way and no thread is busy; the cause is not known.
    """
    try:
        return _take_turns(sides, rounds, is_warmed=is_warmed)
    except _Hung:
        return _take_turns(sides, rounds, is_warmed=is_warmed)


def _take_turns(sides: Sequence[Side], rounds: int, *, is_warmed: bool) -> list[Measured]:
    with contextlib.ExitStack() as stack:
        processes = []
        for side in sides:
            side.folder.mkdir(parents=True, exist_ok=True)
            process = _Process(side)
            stack.callback(process.close)
            processes.append(process)
        places = [process.places() for process in processes]
        if is_warmed:
            _round(processes, [of_side["warm_up"] for of_side in places])
        every = [of_side["every"] for of_side in places]
        found = _round(processes, [side["every"] + side["once"] for side in places])
        for _ in range(rounds - 1):
            for name, answers in _round(processes, every).items():
                found[name] += answers
    measured = []
    for (number, _), answers in sorted(found.items()):
        counts = {count for _, count in answers}
        assert len(counts) == 1, (sides[number].script, counts)
        measured.append(Measured(tuple(seconds for seconds, _ in answers), counts.pop()))
    return measured


def _round(
    processes: Sequence[_Process], places: Sequence[Sequence[int]]
) -> dict[tuple[int, int], list[tuple[float, int]]]:
    """Measure some reads of each side alternately; return an answer per side and place."""
    found = {}
    for turn in zip_longest(*places):
        for number, place in enumerate(turn):
            if place is not None:
                found[number, place] = [processes[number].read(place)]
    return found


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"
