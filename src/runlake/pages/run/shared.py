"""Shares results: if several pages need the same data at one time, the backend is asked once."""

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
    """The result of a call that has ended or is still running."""

    lock: Lock = field(default_factory=Lock)
    value: Any = None
    is_known: bool = False


class Shared:
    """Keeps the results of calls for some seconds.

    Parameters
    ----------
    seconds : float
        How long a result is kept, in seconds from the start of its call.
    """

    def __init__(self, seconds: float) -> None:
        self._answers: TTLCache[Hashable, _Answer] = TTLCache(N_ANSWERS, seconds)
        self._lock = Lock()

    def get(self, name: Hashable, call: Callable[[], T]) -> T:
        """Return the result that is kept under a name, else call ``call`` and return its result.

        Concurrent callers with the same name wait for one call, and share the result. If the call
        raises an error, the next of these callers calls again.
        """
        with self._lock:
            answer = self._answers.get(name)
            if answer is None:
                answer = self._answers[name] = _Answer()
        # This lock is the answer's own, so that callers with other names do not wait for the call.
        with answer.lock:
            if not answer.is_known:
                answer.value = call()
                answer.is_known = True
        value: T = answer.value
        return value

    def drop(self, name: Hashable) -> None:
        """Drop the result that is kept under a name."""
        with self._lock:
            self._answers.pop(name, None)


def open_run_reading(run: Run, question: Question) -> tuple[Reading, str | None]:
    """Plan a read of a run; a pulled run is read from the data that are on disk.

    Returns
    -------
    tuple of Reading and str or None
        The planned read, and a text that says which data are not on disk; None instead of the
        text if all data are available.
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
    """Return what identifies a run and a visitor: backend, cache, digest of API key, run path."""
    settings = client_of(run).settings
    # With the key, because two visitors with different rights must never share a result.
    key = settings.api_key.reveal() if settings.api_key else ""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return settings.base_url, str(settings.cache_dir), digest, path_of(run)
