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
from pathlib import Path
from typing import Any

from tests.server_process import RunningServer, client_environment

ROUNDS = 5
HUNG_SECONDS = 300
# A script calls `measure` with the functions of a round. Several functions are measured one after
# the other in each round, so that they run in the same process at about the same time.
_PRELUDE = """
import json, os, sys, time
# What a library prints goes elsewhere, also what it prints past Python.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
path, arguments = sys.argv[1], json.loads(sys.argv[2])
def measure(*reads, before=lambda: None):
    for _ in sys.stdin:
        seconds, counts = [], []
        for read in reads:
            before()
            started = time.perf_counter()
            counts.append(read())
            seconds.append(time.perf_counter() - started)
        print(json.dumps({"seconds": seconds, "counts": counts}), file=out, flush=True)
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

    def round(self) -> dict[str, Any]:
        """Measure once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watch = threading.Timer(HUNG_SECONDS, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write("again\n")
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
    """Measure the sides alternately; return one `Measured` per function of each side, in order.

    If a side hangs, all sides are started again, once: now and then a scan of the SDK (0.31) never
    ends, although no request is under way and no thread is busy; the cause is not known.
    """
    try:
        return _take_turns(sides, rounds, int(is_warmed))
    except _Hung:
        return _take_turns(sides, rounds, int(is_warmed))


def _take_turns(sides: Sequence[Side], rounds: int, n_warming: int) -> list[Measured]:
    with contextlib.ExitStack() as stack:
        processes = []
        for side in sides:
            side.folder.mkdir(parents=True, exist_ok=True)
            process = _Process(side)
            stack.callback(process.close)
            processes.append(process)
        turns = [[process.round() for process in processes] for _ in range(rounds + n_warming)]
    turns = turns[n_warming:]
    measured = []
    for number in range(len(sides)):
        answers = [turn[number] for turn in turns]
        for place in range(len(answers[0]["seconds"])):
            counts = {answer["counts"][place] for answer in answers}
            assert len(counts) == 1, (sides[number].script, counts)
            seconds = tuple(answer["seconds"][place] for answer in answers)
            measured.append(Measured(seconds, counts.pop()))
    return measured


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"
