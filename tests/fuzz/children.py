"""Child processes that try one seed after the other: an abort ends only the child and is seen.

A child is a Python module that calls `serve` with a generator function of a seed: it yields the
name of each action before it runs it. Exceptions that escape from it are reported by type.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import bare_environment

DEADLINE_SECONDS = 60.0
# Half a minute of trying again, and ten of a rate limit that an answer invents, are no hang.
SHORT_PATIENCE = {"RUNLAKE_RETRY_TIMEOUT": "0.1", "RUNLAKE_LOCK_TIMEOUT": "2"}
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finding:
    """A failure: an abort, a hang, or an exception that is not runlake's."""

    seed: int
    doing: str
    what: str


def serve(try_seed: Callable[[int], Iterator[str]]) -> None:
    """Try the seeds that standard input names, and report to standard output."""
    from runlake.errors import RunlakeError

    for line in sys.stdin:
        seed = int(line)
        steps = try_seed(seed)
        problem = None
        while problem is None:
            try:
                _report({"seed": seed, "doing": next(steps)})
            except StopIteration:
                break
            except RunlakeError as error:
                problem = f"{type(error).__name__} outside of a reader: {error}"
            except BaseException as error:  # noqa: BLE001 - panics of polars are no Exception
                problem = f"{type(error).__module__}.{type(error).__name__}: {error}"
        _report({"seed": seed, "is_done": True, "problem": problem})


def _report(fact: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


class _Child:
    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**bare_environment(), **SHORT_PATIENCE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def try_seed(self, seed: int) -> Finding | None:
        """Try a seed; the child is of no use after an abort or a hang."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(DEADLINE_SECONDS, process.kill)
        watch.start()
        process.stdin.write(f"{seed}\n")
        doing = "begin"
        try:
            for line in process.stdout:
                told = json.loads(line)
                if told.get("is_done"):
                    problem = told["problem"]
                    return None if problem is None else Finding(seed, doing, problem)
                doing = told["doing"]
            is_hung = not watch.is_alive()
            code = process.wait()
            return Finding(seed, doing, "hang" if is_hung else f"abort, exit code {code}")
        finally:
            watch.cancel()


def try_seeds(module: str, seeds: Iterable[int]) -> list[Finding]:
    """Try seeds in a child process; return and print what was found."""
    findings: list[Finding] = []
    child = _Child(module)
    try:
        for seed in seeds:
            found = child.try_seed(seed)
            if found is not None:
                findings.append(found)
                sys.stderr.write(f"{found}\n")
            if child.process.poll() is not None:
                child.close()
                child = _Child(module)
    finally:
        child.close()
    return findings
