"""Random exports as real Parquet files, random live rows, and the expected rows."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from email.utils import formatdate
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from runlake.cache.disk.file_state import FileState
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports, StoredExport
from runlake.exports.footers.statistics import read_export_facts
from runlake.exports.manifest import Manifest
from runlake.exports.validator import Validator
from runlake.history.plan.plan import LivePage, Plan, plan_read
from runlake.history.reader import Reading
from runlake.values import Projection, Question, Row, RunPath, StepRange

RUN = RunPath("e", "p", "r")
KEYS = ["a", "A", "val/x", "n.m", "n.o.p", 'it\'s "q"', "ключ", "*", "", "^.*$", "a\0b", "_"]
WHOLE = st.integers(-(2**62), 2**62)
DOUBLE = st.floats(width=32)
TEXT = st.sampled_from(["", "x", "NaN", "Infinity", "1"])
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf}
MEDIA = pa.struct({"_type": pa.string(), "n": pa.int64(), "l": pa.list_(pa.float64())})
UNION = pa.struct(
    {"_type_float64": pa.float64(), "_type_utf8": pa.string(), "_type_list": pa.list_(pa.int64())}
)
JSON = st.recursive(
    st.none() | st.integers(0, 9) | TEXT,
    lambda c: st.lists(c, max_size=2) | st.dictionaries(st.sampled_from("uv"), c, max_size=2),
    max_leaves=4,
)


def clean(value: Any) -> Any:
    """Return the cell of a logged value: non-finite texts as floats, dicts without nulls."""
    if isinstance(value, str):
        return NON_FINITE.get(value, value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items() if item is not None}
    return value


def same(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return cells.map(lambda cell: (cell, clean(cell)))


def _union_cell(member: tuple[str, Any]) -> tuple[Any, Any]:
    return {member[0]: member[1]}, clean(member[1])


MEMBERS = st.one_of(
    st.tuples(st.just("_type_float64"), DOUBLE),
    st.tuples(st.just("_type_utf8"), TEXT),
    st.tuples(st.just("_type_list"), st.lists(st.integers(0, 9), max_size=2)),
    st.just(("_type_utf8", None)),
)
MOMENTS = st.datetimes(*map(dt.datetime.fromisoformat, ("1970-01-02", "2100-01-01")))
#: Arrow type -> pairs of the stored value and the cell it means; None is a null.
KINDS: dict[pa.DataType, st.SearchStrategy[tuple[Any, Any]]] = {
    pa.float64(): same(DOUBLE),
    pa.float32(): same(DOUBLE),
    pa.float16(): same(st.floats(width=16)),
    pa.int64(): same(WHOLE),
    pa.int8(): same(st.integers(-128, 127)),
    pa.uint64(): same(st.integers(0, 2**64 - 1)),
    pa.bool_(): same(st.booleans()),
    pa.string(): same(TEXT),
    pa.large_string(): same(TEXT),
    pa.string_view(): same(TEXT),
    pa.dictionary(pa.int32(), pa.string()): same(TEXT),
    pa.null(): same(st.none()),
    pa.decimal128(12, 3): same(st.integers(-9999, 9999).map(lambda n: Decimal(n).scaleb(-3))),
    pa.timestamp("us"): same(MOMENTS),
    pa.timestamp("ns"): same(MOMENTS),
    pa.date32(): same(MOMENTS.map(dt.datetime.date)),
    pa.date64(): same(MOMENTS.map(dt.datetime.date)),
    pa.list_(pa.float64()): same(st.lists(DOUBLE | st.none(), max_size=3)),
    pa.list_(pa.string()): same(st.lists(TEXT, max_size=2)),
    pa.large_list(pa.int64()): same(st.lists(WHOLE, max_size=2)),
    pa.list_(pa.int64(), 2): same(st.lists(WHOLE, min_size=2, max_size=2)),
    pa.map_(pa.string(), pa.int64()): same(
        st.dictionaries(st.sampled_from("uv"), WHOLE | st.none())
    ),
    pa.binary(): JSON.map(lambda v: (json.dumps(v).encode(), clean(v)))
    | st.just((b"\xff", b"\xff")),
    MEDIA: same(
        st.fixed_dictionaries(
            {
                "_type": st.just("t"),
                "n": WHOLE | st.none(),
                "l": st.lists(DOUBLE, max_size=2) | st.none(),
            }
        )
    ),
    UNION: MEMBERS.map(_union_cell),
}
STEP_KINDS = [pa.int64(), pa.float64(), pa.int32(), pa.uint64(), pa.uint32()]
LIVE_CELLS = st.one_of(
    DOUBLE,
    WHOLE,
    TEXT,
    st.booleans(),
    st.lists(WHOLE | TEXT, max_size=2),
    st.fixed_dictionaries({"_type": st.just("t"), "n": WHOLE}),
    st.just({}),
)


@dataclass
class Export:
    """A table to write, and its rows as cells, in the order of the file."""

    table: pa.Table
    row_group_size: int
    rows: list[Row]


@st.composite
def exports(draw: st.DrawFn) -> Export:
    n_rows = draw(st.integers(0, 12))
    has_steps = draw(st.integers(0, 9)) > 0
    steps = draw(_steps(n_rows)) if has_steps else None
    columns = {} if steps is None else {"_step": steps}
    cells: list[Row] = [{} for _ in range(n_rows)]
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=5)):
        name, array, found = draw(_column(key, n_rows))
        if name not in columns:
            columns[name] = array
            for row, cell in zip(cells, found, strict=True):
                row.update({} if cell is None else {key: cell})
    placed = [] if steps is None else zip(steps.to_pylist(), cells, strict=True)
    rows = [{"_step": s, **row} for s, row in placed if s is not None and math.isfinite(s)]
    return Export(pa.table(columns), draw(st.integers(1, 6)), rows)


@st.composite
def _steps(draw: st.DrawFn, n_rows: int) -> pa.Array:
    kind = draw(st.sampled_from(STEP_KINDS))
    some = st.lists(st.integers(0, 30), min_size=n_rows, max_size=n_rows)
    ordered = st.lists(st.integers(0, 30), min_size=n_rows, max_size=n_rows, unique=True)
    steps: list[Any] = draw(some | ordered.map(sorted))
    if n_rows and draw(st.booleans()):
        missing = [None, math.nan, math.inf] if pa.types.is_floating(kind) else [None]
        steps[draw(st.integers(0, n_rows - 1))] = draw(st.sampled_from(missing))
    return pa.array(steps, kind)


@st.composite
def _column(draw: st.DrawFn, key: str, n_rows: int) -> tuple[str, pa.Array, list[Any]]:
    """Draw a column: its name, its stored values, and the expected cells."""
    kind = draw(st.sampled_from(list(KINDS)))
    pair = KINDS[kind] if draw(st.booleans()) else st.none() | KINDS[kind]
    pairs = draw(st.lists(pair, min_size=n_rows, max_size=n_rows))
    array = pa.array([None if pair is None else pair[0] for pair in pairs], kind)
    cells = [None if pair is None else pair[1] for pair in pairs]
    name = key
    # pyarrow cannot write views inside of structs.
    if "." in key and kind != pa.string_view() and draw(st.booleans()):
        name, array = _nested(key, array)
    return name, array, cells


def _nested(key: str, array: pa.Array) -> tuple[str, pa.Array]:
    first, *names = key.split(".")
    for name in reversed(names):
        array = pa.StructArray.from_arrays([array], [name])
    return first, array


live_rows = st.dictionaries(
    st.integers(0, 40), st.dictionaries(st.sampled_from(KEYS), LIVE_CELLS, max_size=3), max_size=6
)


@dataclass
class ListedLive:
    """Live rows without a backend; returns the pages that the plan requests."""

    rows: dict[int, Row]

    def iter_pages(self, plan: Plan) -> Iterator[list[Row]]:
        return (self.read_page(plan, page) for page in plan.live_pages)

    def read_page(self, plan: Plan, page: LivePage) -> list[Row]:
        del plan
        return [{"_step": step, **self.rows[step]} for step in page.steps]

    def walk(self, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:
        raise AssertionError((plan, steps))


@dataclass
class Sources:
    """A run on disk, and its live rows."""

    pulled: PullResult
    live: ListedLive

    def read(self, projection: Projection, steps: StepRange) -> Reading:
        plan = plan_read(self.pulled, Question(projection, steps))
        return Reading(None, plan, self.live)  # type: ignore[arg-type]


def write_sources(directory: Path, files: list[Export], live: dict[int, Row]) -> Sources:
    """Write exports, the oldest first."""
    written = []
    for number, export in enumerate(files):
        written.append(directory / f"{number}.parquet")
        pq.write_table(export.table, written[-1], row_group_size=export.row_group_size)
    return as_sources(directory, written, live)


def as_sources(directory: Path, files: list[Path], live: dict[int, Row] | None = None) -> Sources:
    """Return the files of a directory as a cached run with live rows, without a backend."""
    live = live or {}
    stored = []
    for number, file in enumerate(files):
        validator = Validator(None, formatdate(number, usegmt=True))
        facts = read_export_facts(file)
        stored.append(
            StoredExport(file.name, file, validator, 1, None, FileState(0, 0, None), facts)
        )
    cells = {step: {key: clean(cell) for key, cell in row.items()} for step, row in live.items()}
    counts = dict.fromkeys(KEYS, 1)
    exported_to = [export.facts.last_step for export in stored]
    last = max([*live, *(step for step in exported_to if step is not None)], default=-1)
    manifest = Manifest(RUN, None, None, None, last, counts, (), tuple(sorted(live)))
    return Sources(PullResult(manifest, directory, LoadedExports(stored)), ListedLive(cells))


def expected_rows(
    files: list[Export], live: dict[int, Row], projection: Projection, steps: StepRange
) -> list[Row]:
    """Return the expected rows, computed in the simplest way (reading rules 1 to 4)."""
    merged: dict[int, Row] = {}
    for export in files:
        for row in export.rows:
            merged.setdefault(row["_step"], {}).update(row)
    for step, cells in live.items():
        row = {key: clean(cell) for key, cell in cells.items()}
        merged.setdefault(step, {}).update({"_step": step, **row})
    found = [merged[step] for step in sorted(merged) if steps.holds(step)]
    if not projection.keys:
        return found
    decide = all if projection.how == "all" else any
    kept = ("_step", *projection.keys)
    return [
        {key: row[key] for key in kept if key in row}
        for row in found
        if decide(key in row for key in projection.keys)
    ]


def is_same(one: Any, other: Any) -> bool:
    """Return whether two cells are equal: NaN equals NaN, and number types do not matter."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Decimal) is not isinstance(other, Decimal):
        # Engines differ in the last bit of the double that stands for a decimal.
        return math.isclose(float(one), float(other), rel_tol=1e-15)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return float(one) == float(other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return type(one) is type(other) and one == other


def as_logged(rows: list[Row], json_keys: tuple[str, ...]) -> list[Row]:
    """Convert the rows of a frame to the equal rows as dicts (reading rules 5 and 6)."""
    return [
        {
            key: json.loads(cell) if key in json_keys else clean(cell)
            for key, cell in row.items()
            if cell is not None
        }
        for row in rows
    ]


def as_json(rows: list[Row], json_keys: tuple[str, ...]) -> list[Row]:
    """Return cells of some keys after a round trip through JSON."""

    def write(cell: Any) -> Any:
        if isinstance(cell, bytes):
            return base64.b64encode(cell).decode()
        return float(cell) if isinstance(cell, Decimal) else str(cell)

    return [
        {
            k: json.loads(json.dumps(c, default=write)) if k in json_keys else c
            for k, c in row.items()
        }
        for row in rows
    ]


def chunks(rows: Iterator[Row], n_rows: int) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, n_rows)):
        yield chunk
