"""``Run.keys``, ``Run.best``, and the reasons for a read without rows."""

import io
import math
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.http_logging import LoggedRun, steps
from tests.thorough import some_of

import runlake
from runlake import Best
from runlake.history.plan import sizes

COLUMNS = ["key", "kind", "count", "first_step", "last_step", "min", "max"]


@pytest.fixture(scope="module")
def logged(backend):
    rows = steps(0, 2500, flag=True, note="x", weights=[1, 2])
    for row in rows[:1000:100]:
        row["val"] = {"acc": row["_step"]}
    rows[2400] |= {"image": {"_type": "image-file", "path": "a.png"}, "odd": 1}
    rows[2401] |= {"odd": "x"}
    return LoggedRun(backend, "keys", "keys").log(*rows).close().path


@pytest.fixture
def run(api, logged):
    return api.run(logged)


def parquet(columns, row_group_size=10):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=row_group_size)
    return sink.getvalue()


@pytest.fixture
def served():
    """A server of a run with any exports and live rows, and that run."""
    with FaultServer() as server:
        yield (
            server,
            lambda: runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH),
        )


def test_keys_have_kinds_counts_and_bounds(run):
    assert run.keys().rows() == [
        ("flag", "bool", 2500, 0, 2499, None, None),
        ("image", "media", 1, 2000, 2499, None, None),
        ("loss", "number", 2500, 0, 2499, None, None),
        ("note", "string", 2500, 0, 2499, None, None),
        ("odd", "mixed", 2, 2000, 2499, None, None),
        ("val.acc", "number", 10, 0, 999, 0.0, 900.0),
        ("weights", "list", 2500, 0, 2499, None, None),
    ]
    assert run.keys().columns == COLUMNS


@pytest.fixture(params=[0, sizes.ROWS_COMPARED_AT_ONCE], ids=["batch by batch", "at once"])
def rows_at_once(request, monkeypatch):
    monkeypatch.setattr(sizes, "ROWS_COMPARED_AT_ONCE", request.param)


def test_keys_are_chosen_by_pattern_and_kind(run):
    assert run.keys(r"val\..*")["key"].to_list() == ["val.acc"]
    assert run.keys(kind="number")["key"].to_list() == ["loss", "val.acc"]
    assert run.keys("l.*|n.*", kind="string")["key"].to_list() == ["note"]


def test_keys_are_told_without_reading_history(served):
    server, open_run = served
    loss = [float(n) for n in range(100)]
    server.offer(a=parquet({"_step": range(100), "loss": loss, "none": pa.nulls(100)}))
    run = open_run()
    run.pull()
    before = len(server.seen)
    assert run.keys().rows() == [("loss", "number", 100, 0, 99, 0.0, 99.0)]
    assert len(server.seen) == before + 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("los",), "No key of .* matches 'los' as a whole; closest keys: 'loss'"),
        (("l.*", "bool"), r"matches 'l\.\*' as a whole; .*'flag'"),
        ((None, "time"), "of kind 'time'; its kinds: 'bool', 'list', 'media'"),
    ],
)
def test_no_key_is_explained(run, arguments, why):
    with pytest.warns(runlake.NoRowsWarning, match=why) as told:
        assert run.keys(*arguments).rows() == []
    assert len(told) == 1


@pytest.mark.parametrize("arguments", [("(",), (5,), (None, "float"), (None, 5)])
def test_a_wrong_pattern_or_kind_is_an_error_before_any_request(backend, run, arguments):
    with backend.counted() as requests, pytest.raises(ValueError, match=r"pattern|kind"):
        run.keys(*arguments)
    assert requests == []


@pytest.mark.usefixtures("rows_at_once")
def test_the_best_value_may_be_exported_or_live(run):
    assert run.best("loss") == Best(1 / 2500, 2499)
    assert run.best("loss", "max") == Best(1.0, 0)
    assert run.best("val.acc", mode="max") == Best(900, 900)
    assert isinstance(run.best("val.acc").value, int)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("val", "'val' is the parent of 'val.acc'"),
        ("Loss", "never logged 'Loss'; closest keys: 'loss'"),
        ("note", "'note' of .* has values of string type.* 'loss', 'val.acc'"),
        ("odd", "mixed type"),
        ("flag", "bool type"),
        ("image", "media type"),
    ],
)
def test_a_key_without_a_best_is_an_error_that_names_others(run, key, why):
    with pytest.raises(ValueError, match=why):
        run.best(key)


@pytest.mark.parametrize(
    "arguments",
    [("loss", "best"), ("loss", None), ("loss", ["min"]), ("_step",), (5,), (None,), (["loss"],)],
    ids=str,
)
def test_wrong_arguments_of_best_are_errors_before_any_request(backend, run, arguments):
    with backend.counted() as requests, pytest.raises(ValueError, match=r"mode|key"):
        run.best(*arguments)
    assert requests == []


@pytest.mark.usefixtures("rows_at_once")
def test_nan_is_never_the_best_and_infinities_are(served):
    server, open_run = served
    nan, inf = math.nan, math.inf
    columns = {
        "a": [nan, 2.0, nan, 1.0, nan, 1.0],
        "b": [nan] * 6,
        "c": [nan, -inf, 0.0, inf, 1.0, nan],
    }
    server.offer(a=parquet({"_step": range(6), **columns}, 2))
    run = open_run()
    assert run.best("a") == Best(1.0, 3)
    assert run.best("a", "max") == Best(2.0, 1)
    assert run.best("c") == Best(-inf, 1)
    assert run.best("c", "max") == Best(inf, 3)
    with pytest.raises(ValueError, match="number but NaN"):
        run.best("b")


def test_a_value_in_a_row_without_a_step_is_not_the_best(served):
    server, open_run = served
    server.offer(
        a=parquet({"_step": pa.array([0, 1, None, 3], pa.int64()), "loss": [2.0, 5.0, 0.0, 3.0]}, 2)
    )
    assert open_run().best("loss") == Best(2.0, 0)


@pytest.mark.parametrize("seed", some_of(range(4)))
@pytest.mark.usefixtures("rows_at_once")
def test_the_best_is_that_of_the_rows_whatever_the_sources(served, seed):
    server, open_run = served
    chance = random.Random(seed)
    for _ in range(8):
        exports = {}
        for name in "abc"[: chance.randint(1, 3)]:
            start, n_rows = chance.randint(0, 30), chance.randint(1, 40)
            cells = [chance.choice([None, math.nan, chance.randint(-9, 9)]) for _ in range(n_rows)]
            kind = chance.choice([pa.float64(), pa.float32()])
            steps_of = list(range(start, start + n_rows))
            if chance.random() < 0.3:
                chance.shuffle(steps_of)
            exports[name] = parquet({"_step": steps_of, "x": pa.array(cells, kind)}, 7)
        last = chance.randint(50, 90)
        server.live_rows = [{"_step": n, "x": chance.randint(-9, 9)} for n in range(last, last + 4)]
        server.offer(**exports)
        run = open_run()
        rows = [row for row in run.scan_history(["x"]) if not math.isnan(row["x"])]
        low = min(rows, key=lambda row: (row["x"], row["_step"]))
        high = min(rows, key=lambda row: (-row["x"], row["_step"]))
        assert run.best("x") == Best(low["x"], low["_step"])
        assert run.best("x", "max") == Best(high["x"], high["_step"])


def test_an_explanation_lists_the_statistics_of_the_keys(run):
    told = str(run.explain(["val.acc", "los"]))
    assert "val.acc: 10 rows of number type (within steps 0 to 999)" in told
    assert "never logged 'los'; closest keys: 'loss'" in told
    assert "Exported up to step 1,999, live from 2,000; the last step is 2,499." in told
    assert "7 keys" in str(run.explain())


@pytest.mark.parametrize("output", ["rows", "frame", "arrow", "pandas", "history"])
def test_every_output_without_rows_says_why_once(run, output):
    read = {
        "rows": lambda: list(run.scan_history(["loss", "val"])),
        "frame": lambda: run.frame(["loss", "val"]),
        "arrow": lambda: run.arrow(["loss", "val"]).read_all(),
        "pandas": lambda: run.pandas(["loss", "val"]),
        "history": lambda: run.history(keys=["loss", "val"]),
    }[output]
    with pytest.warns(runlake.NoRowsWarning, match="'val' is the parent of 'val.acc'") as told:
        assert len(read()) == 0
    assert len(told) == 1


def test_offline_an_empty_answer_is_explained_by_the_exports_alone(served):
    server, open_run = served
    server.offer(a=parquet({"_step": range(10), "loss": [1.0] * 10, "acc": pa.nulls(10)}))
    open_run().pull()
    api = runlake.Api({"base_url": server.base_url}, offline=True)
    with pytest.warns(runlake.errors.StaleWarning):
        run = api.run(RUN_PATH)
    with (
        pytest.warns(runlake.errors.StaleWarning),
        pytest.warns(runlake.NoRowsWarning, match="never logged 'los'; closest keys: 'loss'"),
    ):
        assert list(run.scan_history(["los"])) == []


def test_the_best_of_numbers_and_live_texts_is_an_error_that_calls_them_mixed(served):
    server, open_run = served
    server.live_rows = [{"_step": 3, "m": "text", "n": 1}]
    server.offer(a=parquet({"_step": [0, 1], "m": [1, 2], "n": [1, 2]}))
    with pytest.raises(
        runlake.errors.InvalidArgument, match=r"of mixed type.* with numbers: 'n'\."
    ):
        open_run().best("m")
