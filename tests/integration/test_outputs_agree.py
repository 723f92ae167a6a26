"""The contract of all outputs: the same question has the same answer, whatever its source."""

import itertools
import math
import warnings
from typing import Any

import pytest
from tests.http_logging import LoggedRun, steps
from tests.property.sources import as_json, as_logged, is_same
from tests.server_process import running_server

import runlake
from runlake.values import Row

PROJECT = "contract"
EXPORT_ROWS = 10
#: The questions for every output, then those for the first outputs of rows and of frames.
FEW: list[dict[str, Any]] = [
    {},
    {"keys": ["val.acc", "late"], "how": "any"},
    {"keys": ["loss", "odd"], "min_step": 2, "max_step": 17},
    {"keys": ["never"]},
]
MANY = [
    *FEW,
    {"keys": ["val.acc", "loss"]},
    {"keys": ["odd"]},
    {"keys": ["loss"], "min_step": 9, "max_step": 10},
    {"min_step": -5, "max_step": 4},
    {"min_step": 12, "max_step": 12},
]
ODD = [
    math.nan,
    math.inf,
    -math.inf,
    {},
    [],
    [1, [2.5, {}], "x"],
    True,
    0,
    2**63,
    "",
    "\u65e5\u672c",
    {"_type": "histogram", "values": [1, 2], "bins": [0.0, 0.5, 1.0]},
]


def plain(n_rows):
    rows = steps(0, n_rows)
    for row in rows[::4]:
        row["val"] = {"acc": row["_step"] / 8, "none": None}
    return rows


def odd_rows():
    rows = [{"_step": step, "loss": 1.0, "odd": cell} for step, cell in enumerate(ODD)]
    rows[1] |= {"nan": math.nan, "number": 1, "nested": {"a": {"b": 1}, "c": {}}}
    rows[2] |= {"nan": 1.5, "number": 0.5, "text": "y", "list": [1.5, None]}
    rows[3] |= {"nan": math.inf, "flag": False, "text": "x", "list": [math.nan]}
    return rows


#: Name -> lines that were logged, in their order, and whether the run has ended.
WORLDS = {
    "exported": (plain(25), True),
    "live": (plain(7), False),
    "exported and live": (plain(27), False),
    "gaps": ([{**row, "_step": row["_step"] ** 3} for row in plain(25)], True),
    "gaps and live": ([{**row, "_step": row["_step"] ** 2} for row in plain(15)], False),
    "restarted": ([*plain(24), *({**row, "late": 1, "loss": 9.0} for row in plain(12)[6:])], True),
    "restarted and live": ([*plain(20), *({**r, "late": 2} for r in plain(23)[17:])], False),
    "sparse": ([*steps(0, 30), {"_step": 31, "late": 1}, {"_step": 32}], True),
    "odd types": (odd_rows(), True),
    "odd types and live": (odd_rows()[:9], False),
    "empty": ([], True),
    "without any row yet": ([], False),
}
JSON_KEYS = ("odd", "nested.c")
SOURCES = [*WORLDS, "restarted, offline", "odd types, offline"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::runlake.errors.NoRowsWarning"),
    pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning"),
    pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning"),
]


def logged_row(row):
    """Return the row that a logged line means: dotted keys, and no nulls."""
    flat: dict[str, Any] = {}
    for key, cell in row.items():
        if isinstance(cell, dict) and cell and "_type" not in cell:
            flat |= {f"{key}.{inner}": c for inner, c in logged_row(cell).items()}
        elif cell is not None:
            flat[key] = {"NaN": math.nan}.get(cell, cell) if isinstance(cell, str) else cell
    return flat


def reference(world, keys=None, how="all", min_step=0, max_step=None):
    """Return the answer to a question, computed in the simplest way."""
    merged: dict[int, Row] = {}
    for line in WORLDS[world][0]:
        merged.setdefault(line["_step"], {}).update(logged_row(line))
    rows = [merged[step] for step in sorted(merged)]
    rows = [r for r in rows if r["_step"] >= min_step and r["_step"] < (max_step or math.inf)]
    if keys is None:
        return rows
    decide = all if how == "all" else any
    return [
        {key: row[key] for key in ["_step", *keys] if key in row}
        for row in rows
        if decide(key in row for key in keys)
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("contract"), export_rows=EXPORT_ROWS) as served:
        for name, (lines, is_over) in WORLDS.items():
            run = LoggedRun(served, name.replace(" ", "-"), PROJECT)
            if lines:
                run.log(*lines)
            run.finish() if is_over else run.close()
        yield served


@pytest.fixture(scope="module")
def open_api(server, tmp_path_factory):
    """Return a function that makes a client with the cache of this module, which has every run."""
    cache = tmp_path_factory.mktemp("cache")
    settings = {"base_url": server.base_url, "entity": server.entity, "cache_dir": str(cache)}

    def opened(*, offline=False):
        return runlake.Api(settings, api_key=server.api_key, offline=offline)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run in opened().runs(PROJECT):
            run.pull()
            list(run.scan_history())
    return opened


class Source:
    """A run and the project that it is in."""

    def __init__(self, open_api, source):
        self.world, _, offline = source.partition(", ")
        self.is_offline = bool(offline)
        self.api = open_api(offline=self.is_offline)
        self.name = self.world.replace(" ", "-")
        self.run = self.api.run(f"{PROJECT}/{self.name}")

    @property
    def runs(self):
        return self.api.runs(PROJECT, {"name": self.name})


@pytest.fixture(params=SOURCES, scope="module")
def source(request, open_api):
    return Source(open_api, request.param)


def agree(found, expected):
    assert [row["_step"] for row in found] == [row["_step"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert is_same(one, other), (one, other)


def frames_agree(found, world, question):
    told = as_json(reference(world, **question), JSON_KEYS)
    agree(as_logged(found, JSON_KEYS), told)


def rows_of(source, question):
    return list(source.run.scan_history(**question))


def rows_in_small_pages(source, question):
    return list(source.run.beta_scan_history(page_size=1, **question))


def followed_rows(source, question):
    # The rows there are; a run that goes on would be followed for ever.
    asked = {name: value for name, value in question.items() if name != "max_step"}
    stop = question.get("max_step") or math.inf
    n_rows = len(reference(source.world, **asked))
    rows = itertools.islice(source.run.follow(poll=0.01, **asked), n_rows)
    return [row for row in rows if row["_step"] < stop]


@pytest.mark.parametrize("output", [rows_of, rows_in_small_pages, followed_rows])
def test_rows_are_those_of_the_question(source, output):
    if output is followed_rows and source.is_offline:
        pytest.skip("only a backend can be followed")
    for question in MANY if output is rows_of else FEW[:3]:
        agree(output(source, question), reference(source.world, **question))


def frame(source, question):
    return source.run.frame(**question).to_dicts()


def lazy_frame(source, question):
    return source.run.scan(**question).collect().to_dicts()


def stream(source, question):
    return source.run.arrow(**question).read_all().to_pylist()


def scan_of_runs(source, question):
    scan = source.runs.scan(**{"keys": None, **question}).drop("run_id")
    return scan.collect().to_dicts()


@pytest.mark.parametrize("output", [frame, lazy_frame, stream, scan_of_runs])
def test_frames_have_the_rows_of_the_question(source, output):
    if output is scan_of_runs and source.is_offline:
        pytest.skip("a list of runs needs the backend")
    for question in MANY if output is frame else FEW:
        frames_agree(output(source, question), source.world, question)


def test_a_scan_is_a_frame_and_a_table_too(source):
    for question in FEW[1:3]:
        scan = source.run.scan_history(**question)
        frames_agree(scan.to_polars().to_dicts(), source.world, question)
        frames_agree(scan.to_arrow().to_pylist(), source.world, question)


def test_pandas_has_the_cells_of_the_frame(source):
    for question in FEW[:2]:
        found, told = source.run.pandas(**question), source.run.frame(**question)
        assert list(found.columns) == told.columns
        for column in told.columns:
            assert is_same(*(list(map(without_nan, f[column].to_list())) for f in (found, told)))


def without_nan(cell):
    """Return a cell with None for NaN, which pandas does not distinguish."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, list):
        return [without_nan(item) for item in cell]
    is_missing = type(cell).__name__ == "NAType" or (isinstance(cell, float) and math.isnan(cell))
    return None if is_missing else cell


def test_sql_has_the_rows_of_the_run(source):
    for low, stop in ((0, None), (5, 17)):
        where = f"_step >= {low}" + (f" AND _step < {stop}" if stop else "")
        found = source.run.sql(f"SELECT * FROM history WHERE {where} ORDER BY _step").pl()
        frames_agree(found.to_dicts(), source.world, {"min_step": low, "max_step": stop})


def test_a_tail_is_the_end_of_the_answer(source):
    # The type of a key in live rows is that of the rows that were read: of fewer here.
    ignored = JSON_KEYS if source.world == "odd types and live" else ()
    for question in FEW[:3]:
        told = as_json(reference(source.world, **question)[-3:], JSON_KEYS)
        for output in (frame, stream):
            found = as_logged(
                [without(row, ignored) for row in output(source, {**question, "tail": 3})],
                JSON_KEYS,
            )
            agree(found, [without(row, ignored) for row in told])


def without(row, keys):
    return {key: cell for key, cell in row.items() if key not in keys}


def test_a_sample_of_enough_rows_has_them_all(source):
    for keys in (None, ["val.acc", "loss"], ["odd"]):
        told = reference(source.world, keys)
        agree(source.run.history(1000, keys=keys, pandas=False), told)
        if not source.is_offline:
            rows = source.runs.histories(1000, keys=keys)
            assert {row.pop("run_id") for row in rows} <= {source.name}
            agree(rows, told)


def test_keys_are_those_of_the_rows(source):
    counts: dict[str, int] = {}
    for row in reference(source.world):
        for key in row.keys() - {"_step"}:
            counts[key] = counts.get(key, 0) + 1
    found = source.run.keys()
    assert found["key"].to_list() == sorted(counts)
    for key, count, first, last in found.select("key", "count", "first_step", "last_step").rows():
        steps_of_key = [row["_step"] for row in reference(source.world, [key])]
        # A line of a step that was logged again counts too.
        is_more = "restarted" in source.world and (count or 0) > counts[key]
        assert count == counts[key] or is_more or (count is None and source.is_offline)
        # Statistics bound the steps; they need not be exact.
        assert first is None or first <= steps_of_key[0]
        assert last is None or last >= steps_of_key[-1]


BEST = [("loss", min), ("loss", max), ("val.acc", max), ("nan", min), ("number", max)]


def test_the_best_value_is_that_of_the_rows(source):
    for key, choose in BEST:
        rows = reference(source.world, [key])
        told = [(row[key], row["_step"]) for row in rows if not math.isnan(row[key])]
        if not told:
            with pytest.raises(ValueError, match=key):
                source.run.best(key, choose.__name__)
            continue
        value = choose(cell for cell, _ in told)
        step = min(step for cell, step in told if cell == value)
        assert source.run.best(key, choose.__name__) == runlake.Best(value, step)


def test_a_plan_has_the_rows_of_the_range(source):
    for low, stop in ((0, None), (5, 17)):
        told = reference(source.world, min_step=low, max_step=stop)
        plan = source.run.explain(min_step=low, max_step=stop)
        exported = sum(read.n_rows for read in plan.exports)
        assert exported + plan.n_live_steps >= len(told)
