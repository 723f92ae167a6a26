"""A run that continues after its exports, while the backend lists no or not all live steps."""

import warnings

import pyarrow as pa
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.test_vendor_cache_defects import written

import runlake
from runlake import errors

EXPORTED = [{"_step": step, "loss": float(step)} for step in range(10)]
LIVE = [{"_step": step, "loss": float(step), "late": step} for step in range(10, 16)]
ROWS = EXPORTED + LIVE


@pytest.fixture
def run(faulty):
    """A run of ten exported rows and six live rows that no list names."""
    faulty.live_rows = LIVE
    faulty.lists_live_steps = False
    faulty.offer(a=written(pa.Table.from_pylist(EXPORTED)))
    counts = {"loss": 16, "late": 6}
    faulty.history_keys["keys"] = {
        key: {"typeCounts": [{"type": "number", "count": count}]} for key, count in counts.items()
    }
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def test_steps_behind_the_last_export_come_out_of_every_reader(run):
    steps = [row["_step"] for row in ROWS]
    assert list(run.beta_scan_history()) == ROWS
    assert list(run.beta_scan_history(keys=["loss"])) == [
        {"_step": step, "loss": float(step)} for step in steps
    ]
    assert run.frame()["_step"].to_list() == steps
    assert run.scan(["late"]).collect()["late"].to_list() == list(range(10, 16))
    assert [step for batch in run.arrow() for step in batch["_step"].to_pylist()] == steps
    assert run.sql("SELECT count(*), max(late) FROM history").fetchall() == [(16, 15)]
    assert [row["_step"] for row in run.history(pandas=False)] == steps
    assert run.best("late", "max").step == 15
    late = run.keys("late").row(0, named=True)
    assert (late["first_step"], late["last_step"]) == (10, 15)


def test_ranges_and_tails_reach_into_unlisted_steps(run):
    def steps(**bounds):
        return [row["_step"] for row in run.beta_scan_history(**bounds)]

    assert steps(min_step=8, max_step=12) == [8, 9, 10, 11]
    assert steps(min_step=12) == [12, 13, 14, 15]
    assert steps(min_step=11, max_step=13) == [11, 12]
    assert run.frame(tail=3)["_step"].to_list() == [13, 14, 15]
    assert run.frame(tail=8)["_step"].to_list() == list(range(8, 16))


def test_a_range_of_exported_steps_asks_for_no_live_rows(run, faulty):
    list(run.beta_scan_history())
    before = len(faulty.seen)
    assert len(list(run.beta_scan_history(max_step=10))) == 10
    assert len(faulty.seen) - before == 1


def test_the_plan_says_which_steps_are_looked_for(run):
    assert "steps [10, 16)" in str(run.explain())


def test_steps_that_are_listed_in_part_come_out_once(run, faulty):
    faulty.lists_live_steps = True
    faulty.live_rows = LIVE[:2]
    run.load(force=True)
    answer = faulty.answer

    def with_all(query, variables):
        faulty.live_rows = LIVE if "HistoryPage" in query else LIVE[:2]
        return answer(query, variables)

    faulty.answer = with_all
    assert list(run.beta_scan_history()) == ROWS


def test_exports_of_such_a_run_are_not_its_whole_history(run, tmp_path):
    with pytest.raises(errors.IncompleteRunHistoryError):
        run.download_history_exports(tmp_path)


def test_offline_the_answer_says_that_rows_are_missing(run, faulty, recwarn):
    list(run.beta_scan_history())
    warnings.simplefilter("always")
    settings = {"base_url": faulty.base_url}
    offline = runlake.Api(settings, api_key=API_KEY, offline=True).run(RUN_PATH)
    assert list(offline.beta_scan_history()) == EXPORTED
    assert "an unknown number of rows" in str(recwarn[-1].message)


def rows_of(*steps):
    return [{"_step": step, "loss": float(step)} for step in steps]


def exported(*steps):
    return written(pa.Table.from_pylist(rows_of(*steps)))


BEYOND = {
    "between exports": ([(0, 10), (20, 30)], (10, 13), 29),
    "below the first export": ([(10, 20)], (0, 3), 19),
    "above a last step that lags": ([(0, 10)], (10, 13), 9),
    "above, of a run without a last step": ([(0, 10)], (10, 13), None),
}


@pytest.fixture
def counted(faulty):
    """Return a function that makes a run of which the backend counts more lines than it lists."""

    def make(spans, live, last_step):
        faulty.live_rows = rows_of(*range(*live))
        faulty.lists_live_steps = False
        faulty.offer(**{f"e{span[0]}": exported(*range(*span)) for span in spans})
        faulty.history_keys = {"lastStep": last_step}
        return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)

    return make


@pytest.mark.parametrize("where", BEYOND)
def test_rows_that_are_counted_and_not_listed_come_out_of_every_reader(counted, faulty, where):
    spans, live, last_step = BEYOND[where]
    run = counted(spans, live, last_step)
    steps = sorted({step for span in (*spans, live) for step in range(*span)})
    assert [row["_step"] for row in run.beta_scan_history()] == steps
    assert [row["_step"] for row in run.beta_scan_history(["loss"])] == steps
    assert run.frame()["_step"].to_list() == steps
    assert [step for batch in run.arrow() for step in batch["_step"].to_pylist()] == steps
    assert run.sql("SELECT count(*) FROM history").fetchall() == [(len(steps),)]
    assert len(run.history(pandas=False)) == len(steps)
    assert run.frame(tail=2)["_step"].to_list() == steps[-2:]
    assert run.best("loss", "max").step == steps[-1]
    assert [row["_step"] for row in run.follow(poll=0.05)] == steps
    runs = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).runs("team/project")
    assert runs.scan(["loss"]).collect().height == len(steps)
    assert not run.pull().is_whole_history


def test_a_run_of_several_lines_per_step_is_searched_once(counted, faulty):
    run = counted([(0, 10), (20, 30)], (0, 0), 29)
    faulty.run["historyLineCount"] = 25
    for reading in (lambda: list(run.beta_scan_history()), run.frame):
        reading()
    before = len(faulty.seen)
    assert len(list(run.beta_scan_history())) == 20
    assert [seen.operation for seen in faulty.seen[before:]] == ["RunHistoryManifest"]
    assert [seen.operation for seen in faulty.seen].count("HistoryPage") == 2
    assert run.pull().is_whole_history


def test_a_run_whose_lines_are_all_exported_is_not_searched(counted, faulty):
    run = counted([(0, 10), (20, 30)], (0, 0), 29)
    assert len(list(run.beta_scan_history())) == 20
    assert "HistoryPage" not in [seen.operation for seen in faulty.seen]


def test_rows_that_are_exported_while_others_are_looked_for_leave_no_hole(counted, faulty):
    run = counted([(0, 10)], (10, 13), 9)
    assert run.state == "finished"

    def export_more():
        faulty.offer(e0=exported(*range(10)), e10=exported(10, 11))
        faulty.live_rows = rows_of(12)

    faulty.fail("graphql", Fault(), Fault(before=export_more))
    assert [row["_step"] for row in run.beta_scan_history()] == list(range(10))
    assert [row["_step"] for row in run.beta_scan_history()] == list(range(13))
