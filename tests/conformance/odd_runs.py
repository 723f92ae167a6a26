"""Runs with odd data: their exports and live rows, and where the SDK reads them differently.

A row of the table is a run. The SDK's rows, normalised as `tests.conformance.test_odd_data` says,
must equal runlake's; or the row names the difference, its reason, and the rows of runlake.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]
NAN, INF = math.nan, math.inf
SILENT = "the SDK returns None for every cell of the type, so its rows lack the key"
TWICE = "the SDK returns the step twice; runlake merges it, the later source wins key by key"
ABORTS = "the SDK's core process aborts on the type; every later call of its process fails"


@dataclass(frozen=True)
class OddRun:
    """A run with odd data.

    Parameters
    ----------
    name : str
        Says what is odd; unique.
    exports : sequence of pyarrow.Table
        In the order of their URLs.
    live : sequence of dict
        Live rows, ascending.
    call : mapping
        Arguments of the scan.
    difference : str
        Why the SDK's rows are others; empty where they are the same.
    rows : list of dict
        What runlake gives; only with a difference.
    aborts : bool
        The SDK's process dies of it.
    """

    name: str
    exports: Sequence[pa.Table]
    live: Sequence[Mapping[str, Any]] = ()
    call: Mapping[str, Any] = field(default_factory=dict)
    difference: str = ""
    rows: Rows | None = None
    aborts: bool = False

    @property
    def files(self) -> list[bytes]:
        """The exports as Parquet."""
        return [_written(table) for table in self.exports]

    @property
    def last_step(self) -> int:
        """The last step that the backend reports."""
        tables = [t.column("_step").to_pylist() for t in self.exports if "_step" in t.column_names]
        steps = [step for table in tables for step in table] + [row["_step"] for row in self.live]
        return max((int(s) for s in steps if s is not None and math.isfinite(s)), default=-1)


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=64)
    return sink.getvalue()


def cells(values: Sequence[Any], kind: pa.DataType | None = None, key: str = "x") -> pa.Table:
    """Return an export of one key, a step per cell, and a loss at every step."""
    steps = range(len(values))
    loss = [step + 0.5 for step in steps]
    return pa.table({"_step": steps, "loss": loss, key: pa.array(values, kind)})


def steps(values: Sequence[Any], kind: pa.DataType, first: int = 0) -> pa.Table:
    """Return an export of some steps."""
    return pa.table(
        {"_step": pa.array(values, kind), "x": range(first, first + len(values))},
    )


def expected(values: Sequence[Any], key: str = "x") -> Rows:
    """Return the rows of `cells`."""
    return [
        {"_step": step, "loss": step + 0.5, **({} if value is None else {key: value})}
        for step, value in enumerate(values)
    ]


DICTIONARY = pa.dictionary(pa.int8(), pa.string())
UNION = pa.struct(
    [("_type_float64", pa.float64()), ("_type_utf8", pa.string()), ("_type_bool", pa.bool_())]
)
MEDIA = pa.struct([("_type", pa.string()), ("path", pa.string()), ("size", pa.int64())])
HISTOGRAM = pa.struct(
    [("_type", pa.string()), ("values", pa.list_(pa.int64())), ("bins", pa.list_(pa.float64()))]
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - without a zone, as it is stored
ODD_NAMES = ("a.b", "a/b", "it's", 'say "x"', "Größe", "日本", " space ", "a,b", "`tick`", "$x")
TYPES = [
    OddRun("a column of nulls without a type", [cells([None] * 3, pa.null())]),
    OddRun("a column of nulls", [cells([None] * 3, pa.float64())]),
    OddRun(
        "a dictionary of texts", [cells(["a", "b", "a"], pa.dictionary(pa.int8(), pa.string()))]
    ),
    OddRun("booleans", [cells([True, None, False])]),
    OddRun("float32", [cells([0.1, None, 2.0], pa.float32())]),
    OddRun("uint64", [cells([2**64 - 1, 0, None], pa.uint64())]),
    OddRun("huge integers", [cells([2**53 + 1, -(2**63), 2**63 - 1], pa.int64())]),
    OddRun("lists", [cells([[1.0, None], [], None], pa.list_(pa.float64()))]),
    OddRun("lists of lists", [cells([[[1], [2, 3]], [[]], None], pa.list_(pa.list_(pa.int64())))]),
    OddRun("a map", [cells([[("a", 1.0)], [], None], pa.map_(pa.string(), pa.float64()))]),
    OddRun("media", [cells([{"_type": "image-file", "path": "a.png"}, None], MEDIA)]),
    OddRun(
        "NaN and infinities, exported as numbers and live as words",
        [cells([NAN, INF, -INF, 1.0])],
        [{"_step": 4, "loss": 1, "x": "NaN"}, {"_step": 5, "x": "-Infinity"}],
    ),
    OddRun(
        "a text view",
        [cells(["a", None], pa.string_view())],
        difference=SILENT,
        rows=expected(["a", None]),
    ),
    OddRun(
        "a large list",
        [cells([[1], None], pa.large_list(pa.int64()))],
        difference=SILENT,
        rows=expected([[1], None]),
    ),
    OddRun(
        "a list of fixed size",
        [cells([[1, 2], None], pa.list_(pa.int64(), 2))],
        difference=SILENT,
        rows=expected([[1, 2], None]),
    ),
    OddRun(
        "float16",
        [cells([0.5, None], pa.float16())],
        difference=SILENT,
        rows=expected([0.5, None]),
    ),
    OddRun(
        "timestamps",
        [cells([MOMENT, None], pa.timestamp("us"))],
        difference=SILENT,
        rows=expected([MOMENT, None]),
    ),
    OddRun(
        "dates",
        [cells([date(2026, 1, 2), None], pa.date32())],
        difference=SILENT,
        rows=expected([date(2026, 1, 2), None]),
    ),
    OddRun(
        "times",
        [cells([time(1, 2, 3), None], pa.time64("us"))],
        difference=SILENT,
        rows=expected([time(1, 2, 3), None]),
    ),
    OddRun(
        "decimals",
        [cells([Decimal("1.25"), None], pa.decimal128(9, 2))],
        difference=SILENT,
        rows=expected([Decimal("1.25"), None]),
    ),
    OddRun(
        "JSON in binary",
        [cells([b'{"a": [1]}', None, b"2"], pa.binary())],
        difference="the SDK gives the bytes in base64; they are JSON (protocol 2.4)",
        rows=expected([{"a": [1]}, None, 2]),
    ),
    OddRun(
        "a union of types",
        [cells([{"_type_float64": 1.5}, {"_type_utf8": "a"}, None, {"_type_bool": True}], UNION)],
        difference="the SDK returns the struct with all members; runlake returns the filled one",
        rows=expected([1.5, "a", None, True]),
    ),
    OddRun(
        "a struct without a type",
        [cells([{"a": 1, "b": {"c": "x"}}, None, {"a": 2}])],
        difference="the SDK returns dicts; runlake returns dotted keys, as for live rows",
        rows=[
            {"_step": 0, "loss": 0.5, "x.a": 1, "x.b.c": "x"},
            {"_step": 1, "loss": 1.5},
            {"_step": 2, "loss": 2.5, "x.a": 2},
        ],
    ),
    *(
        OddRun(name, [cells(values, kind)], difference=ABORTS, rows=expected(rows), aborts=True)
        for name, values, kind, rows in (
            ("large texts", ["a", None], pa.large_string(), ["a", None]),
            ("large binary", [b'{"a": 1}', None], pa.large_binary(), [{"a": 1}, None]),
            ("binary of fixed size", [b"[1]", None], pa.binary(3), [[1], None]),
        )
    ),
]
STEPS = [
    OddRun("_step as double", [steps([0.0, 1.0, 2.0], pa.float64())]),
    OddRun("_step as double beyond a million", [steps([0.0, 1e6, 1e6 + 1], pa.float64())]),
    OddRun("_step as int32", [steps([0, 1, 2], pa.int32())]),
    OddRun("_step as uint64", [steps([0, 1, 2], pa.uint64())]),
    OddRun("_step with nulls", [steps([0, None, 2], pa.int64())]),
    OddRun("_step as double with NaN and nulls", [steps([0.0, NAN, None, 2.0], pa.float64())]),
    OddRun("rows out of order", [steps([5, 1, 3, 0, 4, 2], pa.int64())]),
    OddRun(
        "rows out of order, page by page",
        [steps([5, 1, 3, 0, 4, 2], pa.int64())],
        call={"page_size": 2},
        difference="the SDK ends a page at the first row above its range and loses later rows",
        rows=[{"_step": n, "x": x} for n, x in enumerate([3, 1, 5, 2, 4, 0])],
    ),
    OddRun(
        "a step twice in an export",
        [steps([0, 1, 1, 2], pa.int64())],
        difference=TWICE,
        rows=[{"_step": 0, "x": 0}, {"_step": 1, "x": 2}, {"_step": 2, "x": 3}],
    ),
    OddRun(
        "a step in two exports",
        [steps([0, 1, 2], pa.int64()), steps([2, 3], pa.int64(), 9)],
        difference=TWICE,
        rows=[{"_step": n, "x": x} for n, x in enumerate([0, 1, 9, 10])],
    ),
    OddRun(
        "a step exported and live",
        [steps([0, 1, 2], pa.int64())],
        [{"_step": 2, "x": 7, "y": 1}, {"_step": 3, "x": 3}],
        difference=TWICE,
        rows=[
            {"_step": 0, "x": 0},
            {"_step": 1, "x": 1},
            {"_step": 2, "x": 7, "y": 1},
            {"_step": 3, "x": 3},
        ],
    ),
    OddRun(
        "an export without _step",
        [pa.table({"x": [1, 2]}), steps([0, 1], pa.int64())],
        difference="one such export fails the SDK's whole scan; runlake skips only its rows",
        rows=[{"_step": 0, "x": 0}, {"_step": 1, "x": 1}],
    ),
    OddRun("an export without columns", [pa.table({}), steps([0, 1], pa.int64())]),
    OddRun(
        "an export with none of the keys",
        [pa.table({}), steps([0, 1], pa.int64())],
        call={"keys": ["x"]},
        difference="one such export fails the SDK's whole scan",
        rows=[{"_step": 0, "x": 0}, {"_step": 1, "x": 1}],
    ),
    OddRun("an export without rows", [steps([], pa.int64()), steps([0, 1], pa.int64())]),
    OddRun(
        "exports in the wrong order",
        [steps([4, 5], pa.int64(), 4), steps([0, 1], pa.int64()), steps([2, 3], pa.int64(), 2)],
    ),
    OddRun("150 small exports", [steps([n * 2, n * 2 + 1], pa.int64()) for n in range(150)]),
    OddRun(
        "a gap between live steps",
        [steps([0, 1], pa.int64())],
        [{"_step": 2, "x": 2}, {"_step": 5_000, "x": 3}],
    ),
]
KEYS = [
    OddRun(
        "2,000 keys",
        [pa.table({"_step": range(5), **{f"k{n}": [n + 0.5] * 5 for n in range(2000)}})],
    ),
    OddRun(
        "2,000 keys, two of them requested",
        [pa.table({"_step": range(5), **{f"k{n}": [n + 0.5] * 5 for n in range(2000)}})],
        call={"keys": ["k7", "k1999"]},
    ),
    OddRun(
        "names with dots, slashes, quotes and other letters",
        [pa.table({"_step": range(2), **{name: [at, at] for at, name in enumerate(ODD_NAMES)}})],
    ),
    OddRun(
        "odd names requested",
        [pa.table({"_step": range(2), **{name: [at, at] for at, name in enumerate(ODD_NAMES)}})],
        call={"keys": list(ODD_NAMES)},
    ),
    OddRun(
        "keys that differ by case",
        [pa.table({"_step": [0], "Loss": [1], "loss": [2], "LOSS": [3]})],
        call={"keys": ["loss", "Loss"]},
    ),
    OddRun(
        "keys that look like patterns",
        [pa.table({"_step": [0, 1], "*": [1, 2], "^a.*$": [3, 4], "abc": [5, 6]})],
        call={"keys": ["*", "^a.*$"]},
    ),
    OddRun("a key without letters", [pa.table({"_step": [0, 1], "": [1, 2], "x": [3, 4]})]),
    OddRun(
        "a histogram beside the key",
        [
            pa.table(
                {
                    "_step": [0, 1],
                    "loss": [0.5, 0.25],
                    "h": pa.array(
                        [{"_type": "histogram", "values": [1], "bins": [0.0, 1.0]}] * 2
                    ).cast(HISTOGRAM),
                }
            )
        ],
        call={"keys": ["loss"]},
    ),
    OddRun(
        "a key that some exports lack",
        [cells([1.0, 2.0]), steps([2, 3], pa.int64())],
        call={"keys": ["loss"]},
    ),
    OddRun(
        "a sparse key, exported and live",
        [cells([1, None, 2])],
        [{"_step": 3, "loss": 0}, {"_step": 4, "x": 3}],
        call={"keys": ["x"]},
    ),
    OddRun(
        "dotted and struct forms of one key",
        [
            pa.table({"_step": [0], "v.a": [1], "v.b": [2]}),
            pa.table({"_step": [1], "v": [{"a": 3, "b": 4}]}),
        ],
        call={"keys": ["v.a"]},
        difference="the SDK selects by column name; runlake treats both forms as one key",
        rows=[{"_step": 0, "v.a": 1}, {"_step": 1, "v.a": 3}],
    ),
    OddRun(
        "a key that was never logged",
        [cells([1.0, 2.0])],
        call={"keys": ["loss", "unknown"]},
    ),
    OddRun(
        "types that differ between exports",
        [steps([0, 1], pa.int64()), pa.table({"_step": [2], "x": ["text"]})],
        [{"_step": 3, "x": [1, "a"]}, {"_step": 4, "x": True}],
    ),
    OddRun(
        "integers, then floats",
        [steps([0, 1], pa.int64()), pa.table({"_step": [2], "x": [0.5]})],
        [{"_step": 3, "x": 4}],
    ),
    OddRun("huge integers, live", [], [{"_step": 0, "x": 2**53 + 1}, {"_step": 1, "x": 2**63}]),
    OddRun(
        "nested values, live",
        [],
        [{"_step": 0, "n": {"a": 1, "b": {"c": [1]}}, "x": None}],
        difference="the SDK returns nested live rows; runlake returns dotted keys, as for exports",
        rows=[{"_step": 0, "n.a": 1, "n.b.c": [1]}],
    ),
    OddRun(
        "a range of steps",
        [steps(list(range(10)), pa.int64())],
        [{"_step": step, "x": step} for step in range(10, 20)],
        call={"min_step": 7, "max_step": 13, "page_size": 3},
    ),
]
ODD_RUNS = [*TYPES, *STEPS, *KEYS]
