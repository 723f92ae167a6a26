"""Offline, or while no backend answers: an answer from the cache, or a clear refusal."""

import warnings

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake import errors

N_ROWS = 20_000
ANSWERS = {
    "rows": (lambda run: len(list(run.beta_scan_history())), N_ROWS),
    "rows of keys": (lambda run: len(list(run.scan_history(["loss"], min_step=10))), N_ROWS - 10),
    "frame": (lambda run: run.frame(["loss"]).height, N_ROWS),
    "scan": (lambda run: run.scan(["loss"]).collect().height, N_ROWS),
    "sql": (lambda run: run.sql("SELECT count(*) FROM history").fetchall(), [(N_ROWS,)]),
    "sample": (lambda run: len(run.history(samples=50, pandas=False)), 50),
    "keys": (lambda run: run.keys("loss").rows()[0][:5], ("loss", "number", N_ROWS, 0, N_ROWS - 1)),
    "best": (lambda run: run.best("loss").value == run.frame()["loss"].min(), True),
    "plan": (lambda run: "row groups" in str(run.explain()), True),
    "last step": (lambda run: run.lastHistoryStep, N_ROWS - 1),
    "config": (lambda run: run.config, {"lr": 0.5}),
    "summary": (lambda run: run.summary["best"], 1),
    "state": (lambda run: run.state, "finished"),
    "pull": (lambda run: run.pull().n_exports, 1),
    "copies": (lambda run: len(run.download_history_exports("copies").paths), 1),
}
REFUSALS = {
    "files": lambda run: list(run.files()),
    "file": lambda run: run.file("note.txt"),
    "upload": lambda run: run.upload_file("here.txt"),
    "console": lambda run: list(run.console_logs()),
    "follow": lambda run: next(run.follow()),
    "system": lambda run: run.history(stream="system"),
    "the backend's sample": lambda run: run.history(sample="server"),
    "artifacts": lambda run: list(run.logged_artifacts()),
    "update": lambda run: run.update(),
    "state change": lambda run: run.update_state("pending"),
    "delete": lambda run: run.delete(),
    "stop": lambda run: run.stop(),
    "refresh": lambda run: run.load(force=True) and list(run.files()),
}


@pytest.fixture
def pulled(faulty, export):
    faulty.run |= {"config": '{"lr": {"value": 0.5}}', "summaryMetrics": '{"best": 1}'}
    faulty.offer(a=export)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert len(list(run.beta_scan_history())) == N_ROWS
    return faulty


def offline(server):
    return runlake.Api({"base_url": server.base_url}, offline=True)


@pytest.mark.parametrize("name", ANSWERS)
def test_offline_reads_use_the_cache_and_send_no_request(pulled, name):
    read, expected = ANSWERS[name]
    before = len(pulled.seen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.StaleWarning)
        warnings.simplefilter("ignore", errors.SampleWarning)
        assert read(offline(pulled).run(RUN_PATH)) == expected
    assert len(pulled.seen) == before


@pytest.mark.parametrize("name", REFUSALS)
def test_offline_refuses_what_only_the_backend_knows(pulled, tmp_path, name):
    (tmp_path / "home" / "here.txt").write_text("x")
    before = len(pulled.seen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.StaleWarning)
        run = offline(pulled).run(RUN_PATH)
        with pytest.raises(errors.OfflineError, match="RUNLAKE_OFFLINE"):
            REFUSALS[name](run)
    assert len(pulled.seen) == before


def test_offline_says_how_old_the_answer_is_and_what_is_missing(faulty):
    faulty.offer(a=export_bytes(0, 10))
    faulty.live_rows = [{"_step": step, "loss": 1.0} for step in range(10, 15)]
    faulty.history_keys["lastStep"] = 14
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert len(list(run.beta_scan_history())) == 15
    with pytest.warns(errors.StaleWarning, match=r"seconds ago\."):
        run = offline(faulty).run(RUN_PATH)
    with pytest.warns(errors.StaleWarning, match=r"seconds ago, without 5 rows"):
        rows = list(run.beta_scan_history())
    assert [row["_step"] for row in rows] == list(range(10))


def test_offline_refuses_a_run_that_was_never_pulled(faulty):
    with pytest.raises(errors.NotCached, match="not in the cache"):
        offline(faulty).run("team/project/other")


def test_offline_names_a_damaged_file(pulled):
    (file,) = list(runlake.Api().settings.cache_dir.rglob("*.parquet"))
    file.write_bytes(b"damaged")
    with pytest.warns(errors.StaleWarning), pytest.raises(errors.NotCached, match=file.name):
        list(offline(pulled).run(RUN_PATH).beta_scan_history())


def test_offline_refuses_keys_that_were_not_fetched(faulty, wide_export):
    faulty.offer(a=wide_export)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    list(run.beta_scan_history(["key001"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.StaleWarning)
        run = offline(faulty).run(RUN_PATH)
        assert len(list(run.beta_scan_history(["key001"]))) == 6_000
        with pytest.raises(errors.NotCached, match="only some keys"):
            run.beta_scan_history(["key002"])


@pytest.fixture
def short_patience(monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.5")


@pytest.mark.usefixtures("short_patience")
def test_a_finished_run_is_answered_while_the_backend_is_gone(pulled):
    run = runlake.Api({"base_url": pulled.base_url}, api_key=API_KEY).run(RUN_PATH)
    pulled.hang_up()
    with pytest.warns(errors.StaleWarning, match="does not answer") as told:
        assert len(list(run.beta_scan_history())) == N_ROWS
    assert len(told) == 1
    with pytest.warns(errors.StaleWarning, match="does not answer"):
        again = runlake.Api({"base_url": pulled.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert again.config == {"lr": 0.5}


@pytest.mark.usefixtures("short_patience")
def test_a_running_run_is_an_error_that_names_both_ways_out(pulled):
    pulled.run |= {"state": "running", "heartbeatAt": "2026-01-02T00:00:00"}
    run = runlake.Api({"base_url": pulled.base_url}, api_key=API_KEY).run(RUN_PATH)
    list(run.beta_scan_history())
    pulled.hang_up()
    with pytest.raises(errors.Unreachable, match=r"when it does.*RUNLAKE_OFFLINE=1"):
        run.beta_scan_history()
