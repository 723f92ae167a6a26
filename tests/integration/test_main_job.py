"""The main job: exports and live rows of a run, read as one."""

import warnings

import pytest
from tests.http_logging import LoggedRun, steps

from runlake.errors import NoRowsWarning


def test_rows_of_exports_and_live_rows_come_out_once_and_in_order(api, backend):
    logged = LoggedRun(backend, "live").log(*steps(0, 2500)).close()
    run = api.run(logged.path)
    pulled = run.pull()
    assert (pulled.n_exports, pulled.n_rows, pulled.n_live_rows) == (2, 2000, 500)
    rows = list(run.beta_scan_history())
    assert [row["_step"] for row in rows] == list(range(2500))
    assert rows[2400]["loss"] == 1 / 2401


def test_keys_and_step_range_give_exactly_the_logged_rows(api, backend):
    logged = LoggedRun(backend, "ranged").log(*steps(0, 1500, acc=1)).finish()
    rows = list(api.run(logged.path).beta_scan_history(["loss"], min_step=100, max_step=200))
    assert rows == [{"_step": step, "loss": 1 / (step + 1)} for step in range(100, 200)]


def test_a_warm_scan_costs_one_graphql_request_and_no_file(api, backend):
    logged = LoggedRun(backend, "warm").log(*steps(0, 1500)).finish()
    run = api.run(logged.path)
    list(run.beta_scan_history())
    with backend.counted() as requests:
        assert len(list(run.beta_scan_history(keys=["loss"]))) == 1500
    assert [r["operation"] for r in requests] == ["RunHistoryManifest"]


def test_a_run_that_moved_revalidates_its_exports_and_downloads_the_new_ones(api, backend):
    logged = LoggedRun(backend, "moving").log(*steps(0, 1200))
    run = api.run(logged.path)
    assert len(list(run.beta_scan_history())) == 1200
    logged.log(*steps(1200, 2100)).close()
    with backend.counted() as requests:
        assert [r["_step"] for r in run.beta_scan_history()] == list(range(2100))
    stored = [(r["status"], r["bytes_sent"] > 0) for r in requests if r["origin"] == "storage"]
    assert sorted(stored) == [(200, True), (304, False)]


def test_the_api_key_never_reaches_the_storage_origin(api, backend):
    logged = LoggedRun(backend, "origin").log(*steps(0, 1000)).finish()
    with backend.counted() as requests:
        list(api.run(logged.path).beta_scan_history())
    origins = {(r["origin"], r["has_authorization"]) for r in requests}
    assert origins == {("api", True), ("storage", False)}


def test_gaps_of_any_size_cost_no_requests(api, backend):
    where = [0, 10**6, 10**6 + 1, 10**9]
    logged = LoggedRun(backend, "gaps").log(*({"_step": s, "loss": s} for s in where)).close()
    run = api.run(logged.path)
    for keys in (None, ["loss"]):
        with backend.counted() as requests:
            assert [row["_step"] for row in run.beta_scan_history(keys)] == where
        assert len(requests) == 2
    with backend.counted() as requests:
        found = run.beta_scan_history(min_step=5, max_step=10**9)
        assert [row["_step"] for row in found] == [10**6, 10**6 + 1]
    assert len(requests) == 2


def test_rows_exported_while_a_scan_runs_are_not_lost(api, backend):
    logged = LoggedRun(backend, "moves").log(*steps(0, 1500))
    scan = api.run(logged.path).beta_scan_history(keys=["loss"])
    logged.log(*steps(1500, 2000)).close()
    assert [row["_step"] for row in scan] == list(range(1500))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["losss"], r"never logged 'losss'; closest keys: 'loss'"),
        (["loss", "rare"], r"loss 10 rows, rare 5 rows, together 0"),
        (["val"], r"'val' is the parent of 'val.acc'"),
    ],
)
def test_a_filter_that_matches_nothing_warns_once_and_says_why(api, backend, keys, why):
    rows = [{"_step": s, "loss": s, "val": {"acc": s}} for s in range(10)]
    rows += [{"_step": s, "rare": s} for s in range(10, 15)]
    logged = LoggedRun(backend, "empty").log(*rows).finish()
    run = api.run(logged.path)
    with pytest.warns(NoRowsWarning, match=why) as told:
        assert list(run.beta_scan_history(keys=keys)) == []
    assert len(told) == 1


@pytest.fixture(scope="module")
def gaps(backend):
    """A run with great gaps between its exports and its live row."""
    rows = [*steps(0, 1000), *steps(10**6, 10**6 + 1000), *steps(10**9, 10**9 + 1)]
    return LoggedRun(backend, "gap-steps").log(*rows).close().path


@pytest.mark.parametrize("keys", [None, ["loss"]], ids=str)
@pytest.mark.parametrize(
    ("first", "stop", "why"),
    [
        (1000, 10**6, "steps known to have one are 999 and 1,000,000"),
        (10**6 + 1000, 10**9, "steps known to have one are 1,000,999 and 1,000,000,000"),
        (10**9 + 1, None, "its last step is 1,000,000,000"),
    ],
    ids=str,
)
def test_a_range_in_a_gap_of_steps_warns_and_names_the_nearest(api, gaps, keys, first, stop, why):
    run = api.run(gaps)
    with pytest.warns(NoRowsWarning, match=why) as told:
        assert list(run.beta_scan_history(keys, min_step=first, max_step=stop)) == []
    assert len(told) == 1


def test_a_filter_that_matches_nothing_lists_the_steps_of_each_key(api, backend):
    logged = LoggedRun(backend, "spans")
    rows = [{"_step": s, "a": 1} for s in range(1000)] + [
        {"_step": s, "b": 1} for s in range(1000, 1500)
    ]
    run = api.run(logged.log(*rows).close().path)
    why = r"a 1,000 rows \(within steps 0 to 999\), b 500 rows \(within steps 1,000 to 1,499\)"
    with pytest.warns(NoRowsWarning, match=why):
        assert list(run.beta_scan_history(["a", "b"])) == []


def test_any_of_the_keys_gives_the_rows_of_each(api, backend):
    rows = [{"_step": 0, "a": 1}, {"_step": 1, "b": 2}, {"_step": 2, "c": 3}]
    for finish in (False, True):
        logged = LoggedRun(backend, f"any-{finish}").log(*rows)
        logged = logged.finish() if finish else logged.close()
        found = list(api.run(logged.path).scan_history(["a", "b"], how="any"))
        assert found == [{"_step": 0, "a": 1}, {"_step": 1, "b": 2}]


def test_a_run_without_history_gives_no_rows_and_no_warning(api, backend):
    logged = LoggedRun(backend, "nothing").finish()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(api.run(logged.path).beta_scan_history(keys=["loss"])) == []


def test_odd_values_are_the_same_live_and_exported(api, backend):
    row = {
        "_step": 0,
        "nan": float("nan"),
        "inf": float("inf"),
        "text": "a",
        "flag": True,
        "list": [1, 2.5],
        "nested": {"x": {"y": 1}},
        "media": {"_type": "image-file", "path": "p.png", "size": 3},
        "none": None,
        "empty": [],
        "big": 2**53 + 1,
    }
    mixed = [{"_step": 1, "text": 5, "list": ["a"]}, {"_step": 2, "text": {"_type": "t", "a": 1}}]
    live = LoggedRun(backend, "odd-live").log(row, *mixed).close()
    done = LoggedRun(backend, "odd-done").log(row, *mixed).finish()
    one, other = (list(api.run(run.path).beta_scan_history()) for run in (live, done))
    assert repr([sorted(r.items()) for r in one]) == repr([sorted(r.items()) for r in other])
    assert other[0]["nested.x.y"] == 1
    assert other[0]["big"] == 2**53 + 1
    assert "none" not in other[0]
    assert other[1]["text"] == 5


def test_frames_and_sql_agree_with_the_rows(api, backend):
    logged = LoggedRun(backend, "frames").log(*steps(0, 2300, acc=2)).close()
    run = api.run(logged.path)
    rows = list(run.beta_scan_history(["loss", "acc"], min_step=900, max_step=2200))
    frame = run.frame(["loss", "acc"], min_step=900, max_step=2200)
    assert frame.to_dicts() == rows
    assert run.sql("SELECT count(*), min(loss) FROM history").fetchall() == [(2300, 1 / 2300)]
