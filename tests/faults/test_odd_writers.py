"""A file that one engine cannot decode is read by another one: it is not broken."""

import io
import warnings
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake
from runlake import errors
from runlake.history.decode.engines import _refused
from runlake.history.mending import _confirmed

N_ROWS = 61
PLAIN = ["_step", "loss"]


def cells(make):
    return [None if n % 3 == 1 else make(n) for n in range(N_ROWS)]


def number(n):
    return Decimal(n) / 4


# What the columns of each file are, and what their pages are encoded as. DuckDB refuses fixed
# lengths in split bytes; polars refuses them there and as deltas, and a file with list views.
SPLIT, DELTA = "BYTE_STREAM_SPLIT", "DELTA_BYTE_ARRAY"
TEXTS = pa.array(cells(b'"%06d"'.__mod__), pa.binary(8))
NUMBERS = pa.array(cells(number), pa.decimal128(9, 2))
HALVES = pa.array(cells(np.float16), pa.float16())
ODD: dict[str, dict[str, tuple[pa.Array, str | None]]] = {
    "split": {"a": (TEXTS, SPLIT), "b": (NUMBERS, SPLIT), "c": (HALVES, SPLIT)},
    "delta": {
        "a": (TEXTS, DELTA),
        "b": (NUMBERS, DELTA),
        "c": (pa.array(cells(number), pa.decimal256(60, 2)), DELTA),
        "d": (pa.array(cells(lambda n: [number(n)]), pa.list_(pa.decimal128(9, 2))), DELTA),
    },
    "halves": {"a": (pa.array(cells(lambda n: [np.float16(n)]), pa.list_(pa.float16())), None)},
    "nothing": {
        "empty": (pa.array(cells(lambda _: [None]), pa.list_(pa.null())), None),
    },
    "null": {"empty": (pa.nulls(N_ROWS), None)},
    "views": {"a": (pa.array(cells(lambda n: [n, None]), pa.list_view(pa.int64())), None)},
}


def written(odd):
    arrays = {name: array for name, (array, _) in odd.items()}
    table = pa.table({"_step": range(N_ROWS), "loss": np.arange(N_ROWS) / 2, **arrays})
    encodings = {
        f"{name}.list.element" if pa.types.is_list(array.type) else name: encoding
        for name, (array, encoding) in odd.items()
        if encoding is not None
    }
    options: dict[str, Any] = (
        {"use_dictionary": PLAIN, "column_encoding": encodings} if encodings else {}
    )
    if "empty" in odd:
        options["store_schema"] = False
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=20, **options)
    return sink.getvalue()


def variant(tmp_path):
    """Return an export, written by DuckDB, with a logical type that polars does not know."""
    file = tmp_path / "variant.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT i AS _step, i / 2 AS loss, i::VARIANT AS x FROM range({N_ROWS}) t(i)) "
        f"TO '{file}' (FORMAT parquet)"
    )
    return file.read_bytes()


@pytest.fixture(scope="module")
def server():
    with FaultServer() as served:
        yield served


def plain(value):
    """Return a cell as a JSON value, whatever type a reader returned."""
    if isinstance(value, Decimal | float):
        return float(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, bytes | str):
        # Bytes are JSON: rows have what it says, frames the text.
        return str(value, "ascii").strip('"') if isinstance(value, bytes) else value.strip('"')
    return value


def read_by_all(server):
    """Return the rows of each reader of a run, each opened by itself."""

    def run():
        return runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)

    def runs():
        return runlake.Api({"base_url": server.base_url}, api_key=API_KEY).runs("team/project")

    def sql():
        relation = run().sql("SELECT * FROM history ORDER BY _step")
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]

    return {
        "rows": list(run().scan_history()),
        "frame": run().frame().to_dicts(),
        "arrow": run().arrow().read_all().to_pylist(),
        "sql": sql(),
        "scan": run().scan().collect().to_dicts(),
        "history": run().history(samples=N_ROWS, pandas=False),
        "runs": runs().scan(None).drop("run_id").collect().to_dicts(),
        "histories": [
            {key: cell for key, cell in row.items() if key != "run_id"}
            for row in runs().histories(samples=N_ROWS)
        ],
    }


@pytest.mark.filterwarnings(
    "ignore::runlake.errors.MixedTypesWarning", "ignore::runlake.errors.NoRowsWarning"
)
@pytest.mark.parametrize("name", ODD)
def test_a_file_that_one_engine_cannot_decode_is_read_by_another(server, name):
    server.offer(**{name: written(ODD[name])})
    found = read_by_all(server)
    assert server.count(name) == 1
    columns = {key: array.to_pylist() for key, (array, _) in ODD[name].items()}
    for reader, rows in found.items():
        held = [{key: plain(row[key]) for key in row if row[key] is not None} for row in rows]
        assert held == [
            {"_step": n, "loss": n / 2}
            | {key: plain(column[n]) for key, column in columns.items() if column[n] is not None}
            for n in range(N_ROWS)
        ], reader


def test_best_and_keys_of_a_column_that_one_engine_cannot_decode(server):
    server.offer(b=written({"x": (NUMBERS, SPLIT)}))
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert run.best("x", "max") == runlake.Best(15.0, 60)
    assert run.keys()["key"].to_list() == ["loss", "x"]
    assert run.sql("SELECT count(x), max(x)::DOUBLE FROM history").fetchall() == [(41, 15.0)]
    assert run.frame(["x"], tail=1)["_step"].to_list() == [60]
    assert server.count("b") == 1


@pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")
@pytest.mark.parametrize(("tells", "n_downloads"), [("crc32c", 1), ("etag", 2)])
def test_a_file_that_an_engine_unexpectedly_refuses_is_read_by_another_engine_and_remembered(
    server, tmp_path, tells, n_downloads
):
    name = f"variant-{tells}"
    content = variant(tmp_path)
    server.offer(**{name: content})
    server.store(name, content, tells)
    for reader, rows in read_by_all(server).items():
        assert [row["loss"] for row in rows] == [n / 2 for n in range(N_ROWS)], reader
    # Bytes that no digest vouches for are downloaded once more, to see whether they stay the same.
    assert server.count(name) == n_downloads
    # What this process remembers is noted too, for others and for offline reads.
    _refused.clear()
    _confirmed.clear()
    assert len(read_by_all(server)["sql"]) == N_ROWS
    api = runlake.Api({"base_url": server.base_url}, api_key=API_KEY, offline=True)
    assert api.run(RUN_PATH).frame().height == N_ROWS
    assert not _refused
    assert server.count(name) == n_downloads


def test_a_file_that_no_engine_decodes_is_one_clear_error_without_another_download(server):
    no_list = pa.array(cells(lambda _: []), pa.list_(pa.float64(), 0))
    content = written({"x": (no_list, None)})
    server.offer(none=content)
    server.store("none", content, "crc32c")
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    readers = (
        lambda: list(run.scan_history()),
        run.frame,
        run.scan,
        lambda: run.arrow().read_all(),
        lambda: run.sql("SELECT * FROM history"),
        lambda: run.history(pandas=False),
    )
    for read in readers:
        with pytest.raises(errors.CacheCorrupt, match="Neither polars nor pyarrow"):
            read()
    assert run.frame(["loss"]).height == N_ROWS
    assert server.count("none") == 1


def test_two_fields_of_one_name_are_refused_as_two_columns_are(server):
    twins = pa.StructArray.from_arrays([pa.array(range(N_ROWS))] * 2, names=["a", "a"])
    server.offer(twins=written({"x": (twins, None)}))
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    with pytest.raises(errors.ExportCorrupt, match="two fields of column 'x' are named 'a'"):
        run.frame()


def test_times_that_python_does_not_know_are_text_in_rows(server):
    columns = {
        "at": (pa.array([2**62, 0] + [None] * (N_ROWS - 2), pa.timestamp("us")), None),
        "day": (pa.array([2**30, 0] + [None] * (N_ROWS - 2), pa.date32()), None),
        "list": (pa.array([[2**60]] + [None] * (N_ROWS - 1), pa.list_(pa.timestamp("ms"))), None),
        "zone": (pa.array([2**62] + [None] * (N_ROWS - 1), pa.timestamp("us", "UTC")), None),
    }
    server.offer(times=written(columns))
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    first, second, third = list(run.scan_history())[:3]
    assert first == {
        "_step": 0,
        "loss": 0.0,
        "at": "148108-07-06T14:00:27.387904",
        "day": "2941775-04-07",
        "list": ["36536598-01-28T21:54:06.976"],
        "zone": "148108-07-06T14:00:27.387904Z",
    }
    assert second["at"].isoformat() == "1970-01-01T00:00:00"
    assert second["day"].isoformat() == "1970-01-01"
    assert third == {"_step": 2, "loss": 1.0}
    assert run.history(samples=N_ROWS, pandas=False)[:3] == [first, second, third]
    assert run.frame().height == run.arrow().read_all().num_rows == N_ROWS


def test_an_unknown_time_zone_is_text_in_rows_and_a_runlake_error_in_frames(server):
    times = pa.array(range(N_ROWS), pa.timestamp("us", "Mars/Base"))
    server.offer(mars=written({"x": (times, None)}))
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert [row["x"] for row in run.scan_history()][1] == "1970-01-01T00:00:00.000001Z"
    for read in (
        run.frame,
        run.scan,
        run.arrow,
        lambda: run.sql("SELECT * FROM history"),
        lambda: run.history(pandas=False),
    ):
        with pytest.raises(errors.CacheCorrupt, match="Mars/Base"):
            read()
    assert run.frame(["loss"]).height == N_ROWS


def offered(server, table, name):
    """Offer a table that the fault server itself cannot count."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    server.offer(plain=written({}))
    server.store(name, sink.getvalue())
    server.exports = [name]
    return runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)


READERS = {
    "rows": lambda run: list(run.beta_scan_history()),
    "rows of a key": lambda run: list(run.beta_scan_history(["loss"])),
    "frame": lambda run: run.frame(),
    "tail": lambda run: run.frame(tail=2),
    "scan": lambda run: run.scan().collect(),
    "arrow": lambda run: run.arrow().read_all(),
    "sql": lambda run: run.sql("SELECT * FROM history").fetchall(),
    "history": lambda run: run.history(pandas=False),
    "keys": lambda run: run.keys(),
    "best": lambda run: run.best("loss"),
    "follow": lambda run: list(run.follow(poll=0.05)),
}


def test_an_export_without_steps_is_an_error_in_every_reader_and_fetched_once(server):
    run = offered(server, pa.table({"loss": [1.0, 2.0]}), "stepless")
    for read in READERS.values():
        with pytest.raises(errors.ExportCorrupt, match=r"stepless.*'_step' is missing"):
            read(run)
    n_requests = server.count("stepless")
    runs = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).runs("team/project")
    with pytest.raises(errors.ExportCorrupt, match="'_step' is missing"):
        runs.scan(["loss"]).collect()
    assert server.count("stepless") == n_requests <= 2
    server.exports = ["plain", "stepless"]
    run.load(force=True)
    with pytest.warns(errors.OddAnswerWarning, match=r"stepless.*'_step' is missing"):
        assert run.frame().height == N_ROWS


@pytest.mark.parametrize("odd", [pa.array([0, -5, 1]), pa.array([0, 2**63 + 5, 1], pa.uint64())])
def test_rows_without_a_place_are_warned_of_by_every_reader(server, odd):
    run = offered(server, pa.table({"_step": odd, "loss": [3.0, 2.0, 4.0]}), "misplaced")
    for read in READERS.values():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read(run)
        categories = [one.category for one in caught]
        assert categories.count(errors.OddAnswerWarning) == 1
    with pytest.warns(errors.OddAnswerWarning, match="No read gives these rows"):
        assert len(list(run.beta_scan_history())) == 2


def test_times_with_nanoseconds_come_out_of_pandas_as_of_rows(server):
    pytest.importorskip("pandas")
    moments = pa.array([1, 3_000_000_002_001, None], pa.time64("ns"))
    columns = {
        "_step": range(3),
        "a": moments,
        "b": pa.ListArray.from_arrays([0, 1, 2, 3], moments),
        "c": pa.StructArray.from_arrays([moments, pa.array([1, 2, 3])], ["t", "n"]),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    server.offer(times=sink.getvalue())
    run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
    rows = list(run.scan_history(["a"]))
    assert [row["a"].microsecond for row in rows] == [0, 2]
    frame = run.pandas()
    assert frame["a"].tolist() == [*(row["a"] for row in rows), None]
    assert frame["c.t"].tolist() == frame["a"].tolist()
    assert [list(cell) for cell in frame["b"]] == [[time] for time in frame["a"]]
    assert run.frame()["a"].to_physical().to_list()[0] == 1
