"""Frames, streams, SQL and tails of a run with exports and live rows."""

import contextlib
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import run_script

import runlake


@pytest.fixture(scope="module")
def logged(backend):
    rows = steps(0, 2500, acc=2)
    for row in rows[::100]:
        row["val"] = {"loss": 0.5}
    return LoggedRun(backend, "outputs", "outputs").log(*rows).close().path


@pytest.fixture
def run(api, logged):
    return api.run(logged)


def test_a_scan_of_rows_is_an_arrow_stream_and_any_frame(run):
    scan = run.beta_scan_history(["loss"], min_step=1990, max_step=2010)
    rows = list(scan)
    assert len(rows) == 20
    assert pl.DataFrame(scan).to_dicts() == rows
    assert pa.table(scan).to_pylist() == rows
    counted = duckdb.sql("SELECT count(*) FROM scan")
    assert counted is not None
    assert counted.fetchall() == [(20,)]
    assert scan.to_polars().to_dicts() == scan.to_arrow().to_pylist() == rows
    assert scan.to_pandas().to_dict("records") == rows
    assert run.pandas(["loss"], min_step=1990, max_step=2010).to_dict("records") == rows


def test_a_scan_can_be_read_several_times_at_once(run):
    scan = run.beta_scan_history(["loss"])
    one, other = iter(scan), iter(scan)
    assert [next(one)["_step"], next(one)["_step"], next(other)["_step"]] == [0, 1, 0]
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(sum(1 for _ in scan))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2500] * 4


@pytest.mark.parametrize("keys", [None, ["loss"], ["val.loss"]])
def test_a_tail_is_the_last_rows_that_pass(run, keys):
    rows = list(run.beta_scan_history(keys))
    for n_rows in (1, 7, 600):
        told = [row["_step"] for row in rows[-n_rows:]]
        assert run.frame(keys, tail=n_rows)["_step"].to_list() == told
        assert run.scan(keys, tail=n_rows).collect()["_step"].to_list() == told
        assert run.arrow(keys, tail=n_rows).read_all()["_step"].to_pylist() == told
        assert run.pandas(keys, tail=n_rows)["_step"].to_list() == told


def test_a_tail_reads_no_row_group_before_it(run):
    plan = run._reading(["loss"], None, None, "all", tail=10, lineage=False).plan
    assert plan.exports == ()
    assert plan.n_live_steps == 10


def test_the_values_that_a_run_returns_have_public_types(run, tmp_path):
    copies = run.download_history_exports(tmp_path, require_complete_history=False)
    values = [run.best("loss"), copies, run.explain(), run.pull()]
    kinds = [runlake.Best, runlake.DownloadHistoryResult, runlake.Plan, runlake.PullResult]
    assert [type(value) for value in values] == kinds


def test_a_tail_of_no_rows_is_refused_before_any_request(api, backend, logged):
    run = api.run(logged)
    with backend.counted() as requests, pytest.raises(ValueError, match="tail must be 1 or more"):
        run.frame(tail=0)
    assert requests == []


def test_keys_that_differ_by_case_have_names_of_their_own_in_sql(api, backend):
    rows = [{"_step": step, "Loss": step, "loss": -step} for step in range(1, 4)]
    for path in (
        LoggedRun(backend, "case", "outputs").log(*rows).finish().path,
        LoggedRun(backend, "case-live", "outputs").log(*rows).close().path,
    ):
        run = api.run(path)
        found = run.sql('SELECT "Loss (1)", "loss (2)" FROM history ORDER BY _step').fetchall()
        assert found == [(1, -1), (2, -2), (3, -3)]
        with pytest.raises(runlake.errors.InvalidArgument, match=r"'Loss' is \"Loss \(1\)\""):
            run.sql("SELECT loss FROM history")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM history",
        "SELECT min(LOSS), max(_Step) FROM history WHERE acc >= 0",
        'SELECT avg("val.loss") FROM history',
        "SELECT h.acc, count(*) FROM history h GROUP BY ALL ORDER BY ALL",
        "SELECT * FROM history ORDER BY _step LIMIT 3",
        "SELECT #1 FROM history ORDER BY 1 LIMIT 2",
        "SELECT h FROM history h ORDER BY h._step LIMIT 1",
        "SELECT a.loss FROM history a JOIN history b USING (_step) ORDER BY 1 LIMIT 2",
        "WITH x AS (FROM history SELECT _step, loss) SELECT max(loss) FROM x",
        "SELECT count(*) FROM (UNPIVOT history ON loss, acc)",
        "PIVOT (SELECT acc, loss FROM history) ON acc USING count(loss)",
        "SELECT column_name FROM (DESCRIBE history)",
        "SELECT column_name, max FROM (SUMMARIZE history) WHERE column_name = 'loss'",
        "SELECT x FROM history AS h(x) ORDER BY x LIMIT 2",
        "SELECT max(loss) FROM history; -- a comment",
        "SELECT 1; SELECT count(acc) FROM history",
    ],
)
def test_sql_answers_as_over_a_table_of_the_frame(run, query):
    table = duckdb.connect()
    table.register("frame", run.frame())
    table.execute("CREATE TABLE history AS FROM frame")
    assert run.sql(query).fetchall() == table.sql(query).fetchall()


def test_sql_names_columns_that_the_query_may_have_meant(run):
    with pytest.raises(runlake.errors.InvalidArgument, match=r"val\.loss"):
        run.sql('SELECT "val.los" FROM history')


def test_settings_and_tables_of_one_query_are_not_those_of_another(run):
    n_threads = run.sql("SELECT current_setting('threads') FROM history LIMIT 1").fetchall()
    for query in ("SET threads = 7", "CREATE TABLE mine AS SELECT 1"):
        with contextlib.suppress(runlake.errors.InvalidArgument):
            run.sql(query)
    assert run.sql("SELECT current_setting('threads') FROM history LIMIT 1").fetchall() == n_threads
    with pytest.raises(runlake.errors.InvalidArgument, match="mine"):
        run.sql("SELECT * FROM mine")


def test_relations_of_several_threads_have_their_own_columns(run):
    queries = ["SELECT max(loss) FROM history", "SELECT count(acc) FROM history"] * 4
    relations = [run.sql(query) for query in queries]
    expected = [relation.fetchall() for relation in map(run.sql, queries[:2])] * 4
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda relation: relation.fetchall(), relations)) == expected
        assert list(pool.map(lambda query: run.sql(query).fetchall(), queries)) == expected


def test_sql_reads_system_metrics(api, backend):
    logged = LoggedRun(backend, "system", "outputs").log(*steps(0, 3))
    lines = ['{"_timestamp": 1.5, "_runtime": 1, "system.cpu": 25.0}']
    logged.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": lines}}})
    logged.finish()
    with backend.counted() as requests:
        run = api.run(logged.path)
        assert run.sql('SELECT "system.cpu" FROM system').fetchall() == [(25.0,)]
    assert len([r for r in requests if r["origin"] == "api"]) == 3


def test_columns_of_mixed_types_are_json_text_and_one_warning_names_them(api, backend):
    rows: list[dict[str, object]] = [
        {"_step": 0, "mixed": 1, "fine": 1},
        {"_step": 1, "mixed": "x", "fine": 2.5},
    ]
    run = api.run(LoggedRun(backend, "mixed", "outputs").log(*rows).finish().path)
    assert [row["mixed"] for row in run.beta_scan_history()] == [1, "x"]
    for read in (run.frame, run.arrow, run.scan, lambda: run.sql("SELECT mixed FROM history")):
        with pytest.warns(runlake.MixedTypesWarning, match="'mixed' in") as told:
            read()
        assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = run.frame()
    assert frame["mixed"].to_list() == ["1", '"x"']
    assert frame["fine"].to_list() == [1, 2.5]


def test_a_stream_without_rows_says_why(run):
    with pytest.warns(runlake.NoRowsWarning, match="closest keys: 'loss'"):
        assert run.arrow(["los"]).read_all().num_rows == 0


FORK = """
import os, sys, runlake, polars
run = runlake.Api().run(sys.argv[1])
assert run.frame(["loss"]).height == 2500
child = os.fork()
if child == 0:
    assert sum(row["loss"] > 0 for row in run.beta_scan_history(["loss"])) == 2500
    try:
        run.frame(["loss"])
    except runlake.RunlakeError as error:
        print("refused:", error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_reads_rows_and_refuses_frames_that_would_hang(backend, logged, tmp_path):
    assert "refused: This process was forked" in run_script(FORK, backend, tmp_path, logged)


INTERRUPTED = """
import _thread, sys, runlake
scan = runlake.Api().run(sys.argv[1]).beta_scan_history()
n_rows = 0
try:
    for row in scan:
        n_rows += 1
        if n_rows == 1500:
            _thread.interrupt_main()
except KeyboardInterrupt:
    assert 1500 <= n_rows < 2500, n_rows
    assert sum(1 for _ in scan) == 2500
    print("went on")
"""


def test_an_interrupted_scan_stops_and_can_be_read_again(backend, logged, tmp_path):
    assert run_script(INTERRUPTED, backend, tmp_path, logged) == "went on\n"
