"""`RunDiff`: how two runs differ in config, summary and curves."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from runlake.errors.screen import for_screen, one_line, shortened
from runlake.history.frames.fit import json_text
from runlake.history.reader import Reading
from runlake.history.runs.run_paths import flattened
from runlake.lake.fixed_runs import FixedRuns
from runlake.values import STEP, Projection, Question
from runlake.values.same_json import is_same

PATHS = {"path": pl.String(), "a": pl.String(), "b": pl.String()}
CURVES = {"key": pl.String(), STEP: pl.Int64(), "a": pl.String(), "b": pl.String()}
SHOWN_ROWS = 50
SHOWN_CHARACTERS = 120
A, B = "a", "b"


@dataclass(frozen=True, slots=True)
class RunDiff:
    """How two runs differ in config, summary and curves.

    NaN equals NaN, 1 equals 1.0, and the order of the entries of a JSON object is ignored. The
    frames have whole values, while ``str()`` and the HTML shorten long ones.

    Parameters
    ----------
    a, b : str
        The names of the runs.
    config, summary : polars.DataFrame
        A row per value that differs: ``path`` (such as ``optimizer.lr``), and the value of each run
        as JSON text in ``a`` and ``b``, which is null if the run does not have the value.
    curves : polars.DataFrame
        A row per key whose histories differ, ascending by step: ``key``, ``_step`` (the first step
        at which the histories differ), and the value of each run at this step as JSON text in ``a``
        and ``b``, which is null if the run has no value at this step.
    """

    a: str
    b: str
    config: pl.DataFrame
    summary: pl.DataFrame
    curves: pl.DataFrame

    @property
    def is_equal(self) -> bool:
        """True if the two runs have no difference."""
        return all(table.is_empty() for _, table in self._parts)

    @property
    def _parts(self) -> list[tuple[str, pl.DataFrame]]:
        return [("config", self.config), ("summary", self.summary), ("history", self.curves)]

    def frame(self) -> pl.DataFrame:
        """Return all differences as one frame, a row per difference.

        The columns are ``part`` ("config", "summary" or "history"), ``name`` (a path or a key),
        ``_step`` (null for config and summary), ``a`` and ``b``.
        """
        parts = []
        for part, table in self._parts:
            step = pl.col(STEP) if STEP in table.columns else pl.lit(None, pl.Int64)
            name = pl.col(table.columns[0]).alias("name")
            parts.append(table.select(pl.lit(part).alias("part"), name, step.alias(STEP), A, B))
        return pl.concat(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the differences as a dict of JSON values."""
        return {"a": self.a, "b": self.b} | {name: table.to_dicts() for name, table in self._parts}

    def __str__(self) -> str:
        if self.is_equal:
            return for_screen(one_line(f"{self.a} and {self.b} do not differ."))
        lines = [f"{self.a} (a) and {self.b} (b) differ:"]
        for part, table in self._parts:
            if table.is_empty():
                continue
            lines.append(f"{part}: {table.height:,}")
            for row in table.head(SHOWN_ROWS).iter_rows(named=True):
                name = row.get("path") or f"{row.get('key')} from step {row.get(STEP):,}"
                lines.append(f"  {name}: a {_shown(row[A])}, b {_shown(row[B])}")
            if table.height > SHOWN_ROWS:
                lines.append(f"  and {table.height - SHOWN_ROWS:,} more")
        return "\n".join(for_screen(one_line(line)) for line in lines)

    def _repr_html_(self) -> str:
        rows = [
            "<tr>" + "".join(f"<td>{html.escape(_cell(cell))}</td>" for cell in row) + "</tr>"
            for row in self.frame().head(SHOWN_ROWS).iter_rows()
        ]
        heads = ["part", "name", "first step", self.a, self.b]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
        n_more = self.frame().height - SHOWN_ROWS
        more = f"<p>and {n_more:,} more</p>" if n_more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def diff_runs(runs: FixedRuns, keys: Sequence[str] | None) -> RunDiff:
    """Return the differences between two runs.

    Parameters
    ----------
    runs : FixedRuns
        Exactly two runs, ``a`` and then ``b``.
    keys : sequence of str or None
        Keys whose histories to compare; None means all keys.
    """
    a, b = (runs.open(run) for run in runs.runs)
    listed = runs.listed()
    if keys is None:
        facts = [
            set(reading.logged_keys()) for reading in runs.source.open(listed, _question(None))
        ]
        keys = sorted(set.union(*facts))
    found = []
    for key in dict.fromkeys(keys):
        # Key by key: memory is bounded by one key of each run.
        pair = runs.source.open(listed, _question(key))
        columns = [_column(reading, side) for reading, side in zip(pair, (A, B), strict=True)]
        parted = _first_difference(key, columns)
        found += [] if parted is None else [parted]
    names = [run.run_id for run in runs.runs]
    return RunDiff(
        names[0],
        names[1],
        _different(a.config, b.config),
        _different(a.summary_metrics, b.summary_metrics),
        pl.DataFrame(found, CURVES, orient="row").sort(STEP, "key"),
    )


def _question(key: str | None) -> Question:
    return Question(Projection(() if key is None else (key,)))


def _column(reading: Reading, side: str) -> tuple[pl.DataFrame, bool]:
    """Return the steps and, as ``side``, the values of a key; and whether these are JSON text."""
    frame, json_keys = reading.healing(lambda one: one.collected())
    return frame.select(STEP, pl.nth(1).alias(side)), bool(json_keys)


def _first_difference(
    key: str, read: Sequence[tuple[pl.DataFrame, bool]]
) -> tuple[str, int, str | None, str | None] | None:
    columns = [frame for frame, _ in read]
    kinds = {frame.schema[side] for frame, side in zip(columns, (A, B), strict=True)} - {pl.Null()}
    is_numbers = all(dtype.is_numeric() for dtype in kinds)
    is_mixed = len(kinds) > 1 and not is_numbers
    # Lists, objects and values of different types are compared as the JSON text that users see.
    is_json = is_mixed or any(dtype.is_nested() for dtype in kinds) or any(done for _, done in read)
    if is_json:
        columns = [
            frame if done else frame.with_columns(json_text(pl.col(side)).alias(side))
            for (frame, done), side in zip(read, (A, B), strict=True)
        ]
    elif len(kinds) > 1:
        # An integer above 2**53 may equal its neighbour as a float.
        columns = [
            frame.with_columns(pl.col(side).cast(pl.Float64))
            for frame, side in zip(columns, (A, B), strict=True)
        ]
    both = columns[0].join(columns[1], on=STEP, how="full", coalesce=True)
    # With `ne_missing`, a value differs from a missing one, and two missing ones are equal.
    parted = both.filter(pl.col(A).ne_missing(pl.col(B))).sort(STEP).select(STEP, A, B)
    for step, left, right in parted.iter_rows():
        if not _is_same_text(left, right, is_json=is_json):
            return (key, step, left, right) if is_json else (key, step, _text(left), _text(right))
    return None


def _is_same_text(a: object, b: object, *, is_json: bool) -> bool:
    """Return whether two cells that are not equal are JSON texts of the same value.

    Texts that a run logged, for which ``is_json`` is false, count as JSON text only if they begin
    like lists or objects.
    """
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    if not is_json and {a[:1], b[:1]} - {"{", "["}:
        return False
    try:
        return is_same(json.loads(a), json.loads(b))
    except (ValueError, RecursionError):
        return False


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, default=str)


def _different(a: Mapping[str, Any], b: Mapping[str, Any]) -> pl.DataFrame:
    left, right = dict(flattened(a, "")), dict(flattened(b, ""))
    rows = [
        (path.removeprefix("."), _entry(left, path), _entry(right, path))
        for path in dict.fromkeys([*left, *right])
        if (path in left) != (path in right) or not is_same(left[path], right[path])
    ]
    return pl.DataFrame(rows, PATHS, orient="row")


def _entry(values: Mapping[str, Any], path: str) -> str | None:
    return json.dumps(values[path], default=str) if path in values else None


def _shown(value: object) -> str:
    return "(none)" if value is None else shortened(str(value), SHOWN_CHARACTERS)


def _cell(value: object) -> str:
    return "" if value is None else shortened(str(value), SHOWN_CHARACTERS)
