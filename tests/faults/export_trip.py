"""Note the calls between modules from the decision about an export to its published file."""

import inspect
import sys
import threading
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import runlake

SOURCE = Path(runlake.__file__).parent
START, ENDS = "Fetching._fetch", {"publish", "publish_sparse"}
# Plain values, and arithmetic on them.
VALUES = (
    "errors",
    "values",
    "settings",
    "backend/http/dates",
    "exports/ranges",
    "exports/validator",
    "exports/manifest",
    "exports/numpy_views",
    "exports/process_identity",
    "cache/coverage",
    "cache/layout",
)
# A call into one of these is a stop; the calls that they make inside are not.
SERVICES = ("backend", "exports/footers", "cache/disk")


class Trip:
    """The trip of one export.

    A stop is a function that another module calls, or a generator that it reads: each counts once.
    Not counted are properties, constructors, and the beginnings and ends of contexts. A climb is a
    stop in a module that is still waiting for the caller, on the same thread or another.
    """

    def __init__(self):
        self._stops = {}
        self._start = None

    def __str__(self):
        return "\n".join(self.stops)

    @property
    def stops(self):
        """The stops as text."""
        return [f"{caller} -> {called[0]}: {called[1]}" for caller, called in self._stops]

    @property
    def climbs(self):
        """The stops that are climbs."""
        are_climbs = self._stops.values()
        return [stop for stop, is_climb in zip(self.stops, are_climbs, strict=True) if is_climb]

    def note(self, frame, event, _):
        """Note an event of the profiler."""
        name = frame.f_code.co_qualname
        if event == "call" and name == START:
            self._start = frame
        elif event == "return" and name in ENDS:
            self._start = None
        elif event == "call" and self._start is not None and _module(frame) is not None:
            above = self._above(frame)
            if above and _is_stop(frame, above[0]):
                self._add((above[0], (_module(frame), name)), frame, above)

    def _add(self, stop, frame, above):
        is_read_again = _is_generator(frame) and stop[1] in [called for _, called in self._stops]
        if not is_read_again:
            self._stops.setdefault(stop, _module(frame) in above)

    def _above(self, frame):
        """Return the modules that wait for a call, also those that started its thread."""
        waiting = _callers(frame)
        if self._start not in waiting:
            waiting += _callers(_innermost(self._start))
        found = map(_module, waiting[: waiting.index(self._start) + 1])
        return [module for module in found if module]


def _callers(frame):
    found = []
    while frame := frame.f_back:
        found.append(frame)
    return found


def _innermost(start):
    """Return the frame in which the thread of a frame is now."""
    frames = sys._current_frames().values()
    return next(frame for frame in frames if start in [frame, *_callers(frame)])


def _module(frame):
    return _module_at(frame.f_code.co_filename)


@cache
def _module_at(file):
    """Return a file as a module's path below ``runlake``; None for other files."""
    path = Path(file)
    return path.relative_to(SOURCE).with_suffix("").as_posix() if SOURCE in path.parents else None


def _is_stop(frame, caller):
    module, name = _module(frame), frame.f_code.co_qualname
    leaf = name.rsplit(".", 1)[-1]
    return not (
        module == caller
        or module.startswith(VALUES)
        or any(module.startswith(one) and caller.startswith(one) for one in SERVICES)
        or leaf.startswith("__")
        # A public function made this generator for its caller.
        or (_is_generator(frame) and leaf.startswith(("_", "<")))
        or isinstance(_attribute(frame.f_globals, name), property)
    )


def _is_generator(frame):
    return bool(frame.f_code.co_flags & inspect.CO_GENERATOR)


def _attribute(namespace, name):
    """Return what a qualified name stands for; None for local functions."""
    first, *rest = name.split(".")
    found = namespace.get(first)
    for part in rest:
        found = inspect.getattr_static(found, part, None)
    return found


@contextmanager
def traced():
    """Yield the trip of the export that is downloaded in this context, by threads of its own."""
    trip = Trip()
    threading.setprofile(trip.note)
    try:
        yield trip
    finally:
        threading.setprofile(None)
