"""Shares answers: if several pages need the same answer at one time, one asks the backend."""

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
    """An answer that was fetched or is being fetched."""

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
        """Return a known answer, else the result of ``call``; callers at the same time share it."""
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
    """Plan a read of a run; for a pulled run, a read of the data that are on disk.

    Returns
    -------
    tuple of Reading and str or None
        The planned read, and a text that says which data are not on disk; None if all are.
    """
    client, path = client_of(run), path_of(run)
    if not client.settings.offline:
        return open_reading(client, path, question), None
    settings = client.settings
    directory = RunDirectory(settings.cache_dir, settings.base_url, path)
    part = read_held_part(settings, directory, question)
    return open_reading(client, path, question, pulled=part.pulled), part.lacking


def path_of(run: Run) -> RunPath:
    """Return the `RunPath` of a run."""
    return RunPath(run.entity, run.project, run.id)


def identity_of(run: Run) -> Identity:
    """Return the identity of a run for one visitor: backend, directory, digest of the key, path."""
    settings = client_of(run).settings
    key = settings.api_key.reveal() if settings.api_key else ""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return settings.base_url, str(settings.cache_dir), digest, path_of(run)
