"""Check the arguments that all plots have in common, and choose keys and the x axis."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from runlake.errors import InvalidArgument
from runlake.history.runs.axes import AUTO, DeclaredMetric, axis_of
from runlake.values import STEP, Question, check_count, check_text

if TYPE_CHECKING:
    import polars as pl

    from runlake.charts.chart import Chart
    from runlake.charts.series import Series
    from runlake.history.plan.key_facts import KeyFacts

LOGS = ("x", "y", "xy")
GLOB_CHARACTERS = frozenset("*?[")
SHOWN_NAMES = 5
N_POINTS = 2_000
DRAWN_KINDS = ("number", "bool", "time")


@dataclass(frozen=True, slots=True)
class PlotRequest:
    """The checked arguments of a plot.

    Parameters
    ----------
    names : tuple of str
        Keys and globs, each once.
    x : str or None
        The key of the x axis; None means the axis declared by ``define_metric``, else ``_step``.
    smooth : float, int or None
        As for `Chart`.
    log : str
        The axes with a log scale: "", "x", "y" or "xy".
    min_step, max_step : int or None
        First step, inclusive, and the step to stop before, exclusive.
    points : int
        Maximum number of points to draw, per run.
    """

    names: tuple[str, ...]
    x: str | None
    smooth: float | int | None
    log: str
    min_step: int | None
    max_step: int | None
    points: int

    @classmethod
    def from_arguments(
        cls,
        keys: str | Sequence[str],
        *,
        x: str | None,
        smooth: float | None,
        log: bool | str,
        min_step: int | None,
        max_step: int | None,
        points: int,
    ) -> PlotRequest:
        """Check the arguments that all plots have; they are described at `Run.plot`.

        Raises
        ------
        InvalidArgument
            If an argument is wrong.
        """
        from runlake.charts.chart import MIN_POINTS
        from runlake.charts.smoothing import check_smooth

        names = [keys] if isinstance(keys, str) else keys
        question = Question.from_arguments(names, "any", min_step, max_step)
        if not names or question.steps.is_empty:
            wrong = (
                "keys must name at least one key" if not names else "The range of steps is empty"
            )
            raise InvalidArgument(f"{wrong}.")
        if x is not None:
            if not isinstance(x, str):
                raise InvalidArgument(f"x must be a key, not {x!r}.")
            check_text(x, "x")
        axis = None if x == AUTO else x
        if axis in names:
            raise InvalidArgument(f"{axis!r} is the x axis: it cannot be one of the keys too.")
        if check_count(points, "points") < MIN_POINTS:
            raise InvalidArgument(f"points must be {MIN_POINTS} or more, not {points!r}.")
        scales = _checked_log(log)
        unique = tuple(dict.fromkeys(names))
        smoothing = check_smooth(smooth)
        return cls(unique, axis, smoothing, scales, min_step, max_step, points)

    @property
    def has_globs(self) -> bool:
        """True if a name may be a glob, which stands for several keys."""
        return any(GLOB_CHARACTERS & set(name) for name in self.names)

    def chart(self, series: Sequence[Series], x: str, notes: Sequence[str] = ()) -> Chart:
        """Return a chart of the series, with the requested scales and smoothing."""
        from runlake.charts.chart import Chart
        from runlake.charts.series import Axis

        scales = {name: "log" if name in self.log else "linear" for name in "xy"}
        return Chart(
            tuple(series),
            Axis(x, scales["x"]),
            Axis(scale=scales["y"]),
            self.smooth,
            notes=tuple(notes),
            points=self.points,
        )


def _checked_log(log: Any) -> str:
    """Check the argument ``log``; return the axes with a log scale: "", "x", "y" or "xy"."""
    if isinstance(log, bool):
        return "y" if log else ""
    if log not in LOGS:
        raise InvalidArgument(f"log must be True, False, 'x', 'y' or 'xy', not {log!r}.")
    return str(log)


def expand_globs(names: Iterable[str], facts: Mapping[str, KeyFacts], place: object) -> list[str]:
    """Replace each glob in a list of names by the keys with numbers that match the glob.

    Keys that begin with ``_`` are left out.

    Parameters
    ----------
    names : iterable of str
        Keys and globs. A name that is a key is not a glob.
    facts : mapping of str to KeyFacts
        Kind, count, steps and bounds of every logged key, by key.
    place : object
        The run or project, for messages.

    Raises
    ------
    InvalidArgument
        If a glob matches no key with numbers.
    """
    found: dict[str, None] = {}
    for name in names:
        # A key may contain the characters of a glob; then the name means this key.
        if name in facts or not GLOB_CHARACTERS & set(name):
            found[name] = None
            continue
        pattern = re.compile(translate(name))
        numeric = sorted(key for key, one in facts.items() if one.kind == "number")
        # Keys such as `_step` and `_timestamp` are logged by the SDK itself.
        matching = [key for key in numeric if pattern.fullmatch(key) and not key.startswith("_")]
        if not matching:
            raise InvalidArgument(
                f"No key of '{place}' with numbers matches {name!r}; {_near(name, numeric)}."
            )
        found.update(dict.fromkeys(matching))
    return list(found)


def choose_axis(
    declared: Iterable[tuple[Iterable[str], Iterable[DeclaredMetric]]], x: str | None
) -> tuple[str, list[str]]:
    """Return the key of the x axis, and a list of notes for the chart.

    If ``x`` is None and several axes are declared, the axis is ``_step``, and a note lists the
    declared axes. Else there are no notes.

    Parameters
    ----------
    declared : iterable of tuple
        For each run, the keys to draw and the run's declarations by ``define_metric``.
    x : str or None
        The requested axis; None means the declared axis.
    """
    if x is not None:
        return x, []
    axes: dict[str, None] = {}
    for keys, metrics in declared:
        known = list(metrics)
        axes.update(dict.fromkeys(axis_of(key, known) for key in keys))
    found = list(axes)
    if len(found) > 1:
        return STEP, [f"x is {STEP}, because the declared axes differ: {_listed(found)}"]
    return (found[0] if found else STEP), []


def has_points(
    place: object, key: str, frame: pl.DataFrame, read_facts: Callable[[], Mapping[str, KeyFacts]]
) -> bool:
    """Return whether a frame has values of a key that can be drawn as points.

    Parameters
    ----------
    place : object
        The run or project, for messages.
    key : str
        The key to draw.
    frame : DataFrame
        The rows to draw.
    read_facts : callable
        Returns kind, count, steps and bounds of every logged key, by key. It is called only if
        ``frame`` has no points of the key, to find out why.

    Raises
    ------
    InvalidArgument
        If the key was never logged, or its values cannot be drawn as a curve.
    """
    if key in frame.columns:
        cells = frame.get_column(key)
        is_number = cells.dtype.is_numeric() or cells.dtype.is_temporal()
        if (is_number or str(cells.dtype) == "Boolean") and cells.null_count() < len(cells):
            return True
    # Only now: collecting facts of all keys takes time, and most charts need none.
    facts = read_facts()
    if key not in facts and key != STEP:
        from runlake.history.plan.reasons import explain_unknown_key

        raise InvalidArgument(f"'{place}': {explain_unknown_key(key, facts)}")
    kind = facts[key].kind if key in facts else "number"
    is_text = key in frame.columns and str(frame.schema[key]) == "String"
    if kind not in DRAWN_KINDS or is_text:
        raise InvalidArgument(
            f"{key!r} of '{place}' has values of {kind} type, which cannot be drawn as a curve. "
            f"Keys with numbers: {_numeric(facts)}."
        )
    return False


def _numeric(facts: Mapping[str, KeyFacts]) -> str:
    return _listed(sorted(key for key, one in facts.items() if one.kind == "number")) or "none"


def _near(name: str, known: Collection[str]) -> str:
    from runlake.history.plan.reasons import near_names

    near = near_names(name, known)
    if near:
        return f"closest keys: {_listed(near)}"
    return f"it has {_listed(sorted(known))}" if known else "it has none"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown
