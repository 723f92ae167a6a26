"""Answers that several pages share: of requests for one thing at one time, one asks the backend."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias, TypeVar

from cachetools import TTLCache

from runlake.cache.held_part import read_held_part
from runlake.cache.layout import RunDirectory
from runlake.history.reader import Reading, open_reading
from runlake.public.lists.attributes import client_of
from runlake.public.run.run import Run
from runlake.values import Question, RunPath

T = TypeVar("T")
Identity: TypeAlias = tuple[str, str, str, RunPath]
N_ANSWERS = 256


@dataclass(slots=True)
class _Answer:
    """An answer that is being fetched, or was."""

    lock: Lock = field(default_factory=Lock)
    value: Any = None
    is_known: bool = False


class Shared:
    """Keeps answers for some seconds.

    Parameters
    ----------
    seconds : float
        How old an answer may get.
    """

    def __init__(self, seconds: float) -> None:
        self._answers: TTLCache[Hashable, _Answer] = TTLCache(N_ANSWERS, seconds)
        self._lock = Lock()

    def get(self, name: Hashable, call: Callable[[], T]) -> T:
        """Return a known answer, else the result of ``call``; callers at the same time wait."""
        with self._lock:
            answer = self._answers.get(name)
            if answer is None:
                answer = self._answers[name] = _Answer()
        with answer.lock:
            if not answer.is_known:
                answer.value = call()
                answer.is_known = True
        value: T = answer.value
        return value

    def drop(self, name: Hashable) -> None:
        """Forget an answer."""
        with self._lock:
            self._answers.pop(name, None)


def open_run_reading(run: Run, question: Question) -> tuple[Reading, str | None]:
    """Plan a read of a run; of a pulled run, of the part that is on disk.

    Returns
    -------
    tuple of Reading and str or None
        The second says what the disk lacks; None if it has everything.
    """
    client, path = client_of(run), path_of(run)
    if not client.settings.offline:
        return open_reading(client, path, question), None
    settings = client.settings
    directory = RunDirectory(settings.cache_dir, settings.base_url, path)
    part = read_held_part(settings, directory, question)
    return open_reading(client, path, question, pulled=part.pulled), part.lacking


def path_of(run: Run) -> RunPath:
    """Return the path of a run as a value."""
    return RunPath(run.entity, run.project, run.id)


def identity_of(run: Run) -> Identity:
    """Return what distinguishes a run as one visitor sees it: backend, directory, API key, path."""
    settings = client_of(run).settings
    key = settings.api_key.reveal() if settings.api_key else ""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return settings.base_url, str(settings.cache_dir), digest, path_of(run)
