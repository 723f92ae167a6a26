"""Warnings that point at a line of the user's code instead of a line of the library."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import NamedTuple, ParamSpec, TypeVar

from runlake.errors.screen import without_controls

P = ParamSpec("P")
T = TypeVar("T")

# Packages whose frames can lie between the user's line and a line of runlake: wandb, if it is
# accelerated, and the engines that read rows from frames and batches of runlake lazily.
_BETWEEN = ("wandb", "polars", "pyarrow", "pandas", "duckdb")


def _folder(file: str) -> str:
    # Strings, because frames have their file names as strings.
    return os.path.dirname(file) + os.sep  # noqa: PTH120


_OURS = (
    _folder(os.path.dirname(__file__)),  # noqa: PTH120
    _folder(concurrent.futures.__file__),
    threading.__file__,
    "<frozen ",
)


class _Line(NamedTuple):
    file: str
    number: int
    module: str
    registry: dict[str | tuple[str, type[Warning], int], int]


# The user's line for warnings of worker threads, whose own stacks do not contain it.
_asking: ContextVar[_Line | None] = ContextVar("_asking", default=None)
_silenced: ContextVar[tuple[type[Warning], ...]] = ContextVar("_silenced", default=())


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the innermost line of code outside the library.

    Filters that select warnings by module, and the filter "once per line", use that line. This is
    also true in a worker thread, if `for_thread` wrapped the thread's function. Python 3.12 has
    ``skip_file_prefixes`` for this, but it finds the line only in the user's own thread.

    Parameters
    ----------
    message : str
        What happened, and what to do.
    category : type
        The warning's class, by which filters select it.
    """
    if issubclass(category, _silenced.get()):
        return
    line = _users_line()
    message = without_controls(message)
    if line is None:
        warnings.warn(message, category, stacklevel=2)
    else:
        file, number, module, registry = line
        warnings.warn_explicit(message, category, file, number, module, registry)


@contextmanager
def silenced(*categories: type[Warning]) -> Iterator[None]:
    """Within the context, issue no warnings of the given classes.

    This applies to the current thread, and to threads whose function `for_thread` wraps inside the
    context. The filters of the module ``warnings`` would apply to all threads of the process.
    """
    token = _silenced.set((*_silenced.get(), *categories))
    try:
        yield
    finally:
        _silenced.reset(token)


def for_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Return a wrapper of a function that another thread will call.

    Warnings inside the wrapper point at the line of the user's code that is calling runlake now.
    The wrapper issues no warnings of classes that are silenced now.
    """
    line = _users_line()
    categories = _silenced.get()

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        token = _asking.set(line)
        try:
            with silenced(*categories):
                return function(*arguments, **options)
        finally:
            _asking.reset(token)

    return call


def _users_line() -> _Line | None:
    files = [getattr(sys.modules.get(name), "__file__", None) for name in _BETWEEN]
    passed = (*_OURS, *(_folder(file) for file in files if file))
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as the warnings module does
    while frame is not None and frame.f_code.co_filename.startswith(passed):
        frame = frame.f_back
    if frame is None:
        return _asking.get()
    names = frame.f_globals
    registry = names.setdefault("__warningregistry__", {})
    module = names.get("__name__") or "<unknown>"
    return _Line(frame.f_code.co_filename, frame.f_lineno, module, registry)
