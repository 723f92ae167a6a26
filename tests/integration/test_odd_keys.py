"""Every output has a key of any name under that name, or there is one error of runlake."""

import io
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.http_logging import LoggedRun, steps

import runlake
from runlake import Best

pytestmark = pytest.mark.filterwarnings("ignore::runlake.errors.SampleWarning")
KEYS = [
    "",
    "*",
    "^.*$",
    "^o$",
    "a\0b",
    "q\"uo'te",
    "new\nline",
    "a..b",
    "__source",
    "_",
    "column_1",
]
CELLS = [10.0, 11.0, None, 13.0, 14.0]


@pytest.fixture(scope="module")
def server():
    with FaultServer() as served:
        yield served


@pytest.fixture
def offer(server):
    def offered(live=(), **exports):
        server.live_rows = list(live)
        server.offer(**exports)
        return runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)

    return offered


def written(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2, **options)
    return sink.getvalue()


def stored(key, start):
    return written(pa.table({"_step": range(start, start + 5), "o": [1.0] * 5, key: CELLS}))


@pytest.mark.parametrize("key", KEYS, ids=repr)
@pytest.mark.parametrize("sources", ["export", "overlapping"])
def test_a_key_of_any_name_is_returned_under_that_name(offer, key, sources):
    live = [{"_step": 9, "o": 1.0, key: 19.0}]
    exports = {"a": stored(key, 0)}
    if sources == "overlapping":
        exports["b"] = stored(key, 0)
    run = offer(live, **exports)
    every = [*CELLS, 19.0]
    filled = [cell for cell in every if cell is not None]
    assert [row.get(key) for row in run.scan_history()] == every
    assert [row[key] for row in run.scan_history([key])] == filled
    assert run.frame()[key].to_list() == every
    assert run.frame([key], tail=2)[key].to_list() == filled[-2:]
    assert run.arrow([key]).read_all().column(key).to_pylist() == filled
    assert run.pandas([key])[key].to_list() == filled
    asked = run.sql("SELECT columns(*) FROM history ORDER BY 1").fetchall()
    assert [cells[-1] for cells in asked] == every
    assert run.history(keys=[key], samples=3, pandas=False)[0] == {"_step": 0, key: 10.0}
    assert len(run.history(samples=3, pandas=False)) == 3
    assert len(run.history(keys=["o"], x_axis=key, samples=3, pandas=False)) == 3
    assert key in run.keys()["key"].to_list()
    assert run.best(key, "max") == Best(19.0, 9)


@pytest.mark.parametrize("name", ["*", "^o$", "^.*$"])
def test_a_nested_key_of_any_name_is_returned_under_that_name(offer, name):
    nested = pa.array([{name: cell} for cell in CELLS[:2]])
    run = offer(a=written(pa.table({"_step": range(2), "val": nested})))
    key = f"val.{name}"
    assert [row[key] for row in run.scan_history()] == CELLS[:2]
    assert run.frame()[key].to_list() == CELLS[:2]
    assert run.sql("SELECT columns(*) FROM history ORDER BY 1").fetchall() == [(0, 10.0), (1, 11.0)]


def read_everything(run):
    return {
        "rows": lambda: list(run.scan_history()),
        "keyed rows": lambda: list(run.scan_history(["o"])),
        "frame": run.frame,
        "sql": lambda: run.sql("SELECT * FROM history").fetchall(),
        "keys": run.keys,
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            written(pa.Table.from_arrays([[0, 1], [1, 2], [3, 4]], names=["_step", "x", "x"])),
            "two columns are named 'x'",
        ),
        (
            written(pa.table({"_step": [0, 1], "xyzzy": [1, 2]}), store_schema=False).replace(
                b"xyzzy", b"xy\xff\xfey"
            ),
            "not UTF-8",
        ),
    ],
    ids=["twice", "not UTF-8"],
)
def test_an_ambiguous_column_name_is_one_error(offer, content, why):
    run = offer(a=content)
    for output, read in read_everything(run).items():
        with pytest.raises(runlake.errors.ExportCorrupt, match=why):
            pytest.fail(f"{output}: {read()}")


def test_a_live_key_that_is_no_text_is_in_rows_and_an_error_elsewhere(offer):
    rows = [{"_step": 0, "o": 1.0, "x\ud800": 2.0}, {"_step": 1, "o": 2.0, "t": "a\ud800"}]
    run = offer(rows)
    assert list(run.scan_history()) == rows
    assert run.frame(["o"])["o"].to_list() == [1.0, 2.0]
    for read in (run.frame, run.arrow, lambda: run.sql("SELECT 1"), run.history):
        with pytest.raises(runlake.errors.RunlakeError, match=r"'x\\ud800' is no Unicode text"):
            read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", runlake.errors.MixedTypesWarning)
        assert run.frame(["t"])["t"].to_list() == ['"a\\ud800"']


@pytest.mark.parametrize("where", ["export", "live"])
def test_a_key_that_is_no_text_is_one_error_of_every_reader(offer, where):
    rows = [{"_step": 9, "o": 1.0, "x\ud800": 2.0}]
    run = offer(rows) if where == "live" else offer(a=stored("t", 0))
    keys = ["o", "x\ud800"]
    readers = {
        "rows": lambda: list(run.scan_history(keys)),
        "verified rows": lambda: list(run.beta_scan_history(keys)),
        "frame": lambda: run.frame(keys),
        "tail": lambda: run.frame(keys, tail=1),
        "scan": lambda: run.scan(keys),
        "arrow": lambda: run.arrow(keys),
        "pandas": lambda: run.pandas(keys),
        "sample": lambda: run.history(keys=keys, pandas=False),
        "axis": lambda: run.history(keys=["o"], x_axis=keys[1], pandas=False),
        "best": lambda: run.best(keys[1]),
        "follow": lambda: next(iter(run.follow(keys))),
        "explain": lambda: run.explain(keys),
    }
    for name, read in readers.items():
        with pytest.raises(runlake.errors.InvalidArgument, match=r"'x\\ud800' is no Unicode text"):
            pytest.fail(f"{name}: {read()}")


def test_a_live_key_that_is_no_text_beside_an_export_is_in_rows_and_an_error_elsewhere(offer):
    run = offer([{"_step": 9, "x\ud800": 2.0}], a=stored("t", 0))
    assert list(run.scan_history())[-1] == {"_step": 9, "x\ud800": 2.0}
    for read in (run.frame, run.arrow, lambda: run.sql("SELECT 1"), run.history):
        with pytest.raises(runlake.errors.CommError, match=r"'x\\ud800' is no Unicode text"):
            read()


def test_errors_and_reprs_quote_no_more_than_a_screen_of_what_a_backend_says(offer, server):
    long = "x" * 70_000
    run = offer(a=stored("t", 0))
    server.url = lambda _: f"{server.base_url}/{long}"
    server.run["state"] = long
    try:
        with pytest.raises(runlake.errors.FileTransferError) as caught:
            list(run.beta_scan_history())
        run.load(force=True)
        shown = [str(caught.value), repr(run)]
    finally:
        server.run["state"] = "finished"
        del server.url
    assert all(long[:100] in text and len(text) < 2100 for text in shown)
    assert shown[0].endswith("no http(s) URL.")
    assert shown[1].endswith("xx)>")


def test_odd_keys_of_runs_that_are_read_together_keep_their_cells(backend, api):
    odd = {key: float(place) for place, key in enumerate(KEYS) if key}
    for name in ("one", "two"):
        LoggedRun(backend, name, "odd-keys").log(*steps(0, 1000, **odd)).finish()
    runs = api.runs(f"{backend.entity}/odd-keys")
    sample = runs.histories(keys=list(odd), samples=5, format="polars")
    scanned = runs.scan(list(odd)).collect()
    assert scanned.height == 2000
    for key, cell in odd.items():
        assert set(scanned[key]) == {cell}
        assert set(sample[key]) == {cell}
