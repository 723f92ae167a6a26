"""``runlake.accelerate()``: the SDK's own objects read through runlake, until it is undone."""

import json

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import run_script

SCRIPT = """
import json, sys, warnings, runlake, wandb
path = sys.argv[1]
api = wandb.Api()
run = api.run(path)
own = list(run.scan_history(keys=["loss"], min_step=5, max_step=8))
acceleration = runlake.accelerate()
assert runlake.accelerate() is acceleration
answers = {
    "own": own,
    "rows": list(run.scan_history(keys=["loss"], min_step=5, max_step=8)),
    "beta": len(list(run.beta_scan_history())),
    "class": type(run.scan_history()).__module__,
    "history": len(run.history(samples=2000, keys=["loss"])),
}
copies = run.download_history_exports("out", require_complete_history=False)
answers["exports"] = len(copies.paths)
answers["copies"] = isinstance(copies, wandb.apis.public.DownloadHistoryResult)
try:
    run.download_history_exports("out")
except wandb.apis.public.IncompleteRunHistoryError as error:
    answers["incomplete"] = str(error)
try:
    run.scan_history(keys="loss")
except wandb.errors.CommError as error:
    answers["wrong"] = type(error.exc).__name__
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    run.history(samples=5)
    asked = [sys._getframe().f_lineno - 1]
    wandb.Api().runs(path.rpartition("/")[0]).histories(samples=5)
    asked.append(sys._getframe().f_lineno - 1)
    [row for row in run.scan_history(keys=["nothing"])]
    asked.append(sys._getframe().f_lineno - 1)
told = [one for one in told if issubclass(one.category, UserWarning)]
answers["warned"] = [[one.filename, one.lineno] for one in told]
answers["asked"] = [["<string>", line] for line in asked]
answers["told"] = repr(acceleration)
acceleration.undo()
answers["after"] = type(run.scan_history()).__module__
with runlake.accelerate(quiet=True):
    answers["inside"] = type(run.scan_history()).__module__
answers["outside"] = type(run.scan_history()).__module__
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(backend, tmp_path_factory):
    path = LoggedRun(backend, "accelerated", "accelerated").log(*steps(0, 1500)).close().path
    return json.loads(run_script(SCRIPT, backend, tmp_path_factory.mktemp("accelerate"), path))


def test_the_sdk_reads_through_runlake(answers):
    assert answers["rows"] == answers["own"]
    assert [row["_step"] for row in answers["rows"]] == [5, 6, 7]
    assert (answers["beta"], answers["history"], answers["exports"]) == (1500, 1500, 1)
    assert answers["class"].startswith("runlake.")
    assert answers["copies"]


def test_errors_are_those_that_the_script_catches(answers):
    assert "in no export yet" in answers["incomplete"]
    assert answers["wrong"] == "InvalidArgument"


def test_warnings_point_at_the_line_of_the_script_and_not_at_the_sdk(answers):
    assert answers["warned"] == answers["asked"]


def test_it_says_what_it_did_and_can_be_undone(answers):
    assert "scan_history" in answers["told"]
    assert answers["after"].startswith("wandb.")
    assert answers["inside"].startswith("runlake.")
    assert answers["outside"].startswith("wandb.")
