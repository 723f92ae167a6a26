"""Check whether an executor can run the tasks of a lake, and submit tasks to it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor as Threads
from functools import partial
from typing import Any

from runlake.errors import InvalidType

DASK = "distributed"
Submit = Callable[..., "Future[Any]"]


def checked_executor(executor: Any) -> Executor | None:
    """Check an executor that the user passed, and return it.

    For a Dask client, the client's executor is returned. None is returned as None.

    Raises
    ------
    InvalidType
        If the argument is not an executor, or is an executor that can lose tasks.
    """
    if executor is None:
        return None
    if isinstance(executor, ProcessPoolExecutor):
        raise InvalidType(
            "A ProcessPoolExecutor loses all tasks if one of its processes is killed. Leave "
            "executor out: threads do the same work. On several machines, pass the executor of "
            "Dask, client.get_executor()."
        )
    if _is_of_dask(executor) and hasattr(executor, "get_executor"):
        if getattr(executor, "asynchronous", False):
            raise InvalidType("The client of Dask is asynchronous; pass one that is not.")
        executor = executor.get_executor()
    if not callable(getattr(executor, "submit", None)):
        raise InvalidType(f"executor must be a concurrent.futures.Executor, not {executor!r}.")
    found: Executor = executor
    return found


def is_in_process(executor: Executor) -> bool:
    """Return whether an executor runs tasks in this interpreter, so that nothing is pickled."""
    # From Python 3.14 on there is a pool of interpreters, which is a pool of threads too.
    return isinstance(executor, Threads) and "Interpreter" not in type(executor).__name__


def submit_to(executor: Executor) -> Submit:
    """Return a function that submits a callable with its arguments to an executor."""
    if not _is_of_dask(executor):
        return executor.submit
    # Dask would give a task that is tried again the result of the first try.
    return partial(executor.submit, pure=False)


def has_lost_worker(error: BaseException | None) -> bool:
    """Return whether a task failed because its worker, or another worker of the pool, ended."""
    # `KilledWorker` is a class of Dask. It is known by its name, because Dask is not imported here.
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _is_of_dask(value: object) -> bool:
    return any(kind.__module__.partition(".")[0] == DASK for kind in type(value).__mro__)
