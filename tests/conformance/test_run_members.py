"""A run's own members: both clients give the same answers and do the same to the backend."""

import builtins
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.members import CHANGE, DESCRIBE, LIVE_READS, READS
from tests.http_logging import LoggedRun, steps
from tests.server_process import next_line, run_python, run_script, script_under_way, wait_until

import runlake
from runlake import errors

LOG = """
import os, sys, wandb
for run_id in sys.argv[1:]:
    run = wandb.init(project="members", id=run_id, name="first", tags=["t"], notes="n",
                     group="g", job_type="train", config={"lr": 0.1, "net": {"depth": 2}})
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch", summary="min,max")
    run.define_metric("loss", step_metric="epoch", step_sync=False, hidden=True)
    for step in range(20):
        run.log({"loss": 1 / (step + 1), "epoch": step, "val/x": step})
    print("to stdout")
    print("to stderr", file=sys.stderr)
    with open("note.txt", "w") as file:
        file.write("saved")
    os.makedirs("sub", exist_ok=True)
    with open("sub/a.json", "w") as file:
        file.write("{}")
    run.save("note.txt")
    run.save("sub/a.json", base_path=".")
    run.alert("title", "text")
    run.finish()
"""
READ = (
    DESCRIBE
    + """
import json, sys, wandb
names = {"run": wandb.Api().run(sys.argv[1]), "read": read}
print(json.dumps([evaluate(expression, names) for expression in json.loads(sys.argv[2])]))
"""
)
SCRIPT = """
import sys, wandb
api = wandb.Api()
run = api.run(sys.argv[1])
"""


@pytest.fixture(scope="module")
def logged(backend, tmp_path_factory):
    """Paths of runs that the SDK logged, all alike: one to read, one for each client to change."""
    ids = ["read", "theirs", "ours"]
    run_script(LOG, backend, tmp_path_factory.mktemp("logging"), *ids)
    return {run_id: f"{backend.entity}/members/{run_id}" for run_id in ids}


@pytest.fixture(scope="module")
def theirs(backend, logged, tmp_path_factory):
    """The SDK's answers to every call of the table."""
    return _theirs(backend, logged["read"], READS, tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(backend, logged, tmp_path_factory):
    """The answers of runlake, in the same order."""
    with pytest.warns(DeprecationWarning, match="entity"):
        return _ours(backend, logged["read"], READS, tmp_path_factory.mktemp("ours"))


def _theirs(backend, path, expressions, directory):
    printed = run_script(READ, backend, directory, path, json.dumps(expressions))
    return dict(zip(expressions, json.loads(printed), strict=True))


def _ours(backend, path, expressions, directory):
    start = Path.cwd()
    directory.mkdir(exist_ok=True)
    os.chdir(directory)
    try:
        names: dict[str, Any] = {}
        exec(DESCRIBE, names)
        names["run"] = _api(backend).run(path)
        return {expression: names["evaluate"](expression, names) for expression in expressions}
    finally:
        os.chdir(start)


def _api(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.mark.parametrize("expression", READS)
def test_both_clients_answer_alike(expression, ours, theirs):
    _assert_alike(ours[expression], theirs[expression])


def test_both_clients_answer_alike_for_a_run_under_way(backend, tmp_path):
    run = LoggedRun(backend, "under-way").log(*steps(0, 3)).close()
    theirs = _theirs(backend, run.path, LIVE_READS, tmp_path / "theirs")
    ours = _ours(backend, run.path, LIVE_READS, tmp_path / "ours")
    for expression in LIVE_READS:
        _assert_alike(ours[expression], theirs[expression], expression)


def _assert_alike(answer, expected, expression=""):
    if isinstance(expected, dict) and "raises" in expected:
        assert expected["raises"] in _ancestors(answer["raises"]), expression
    else:
        assert answer == expected, expression


def _ancestors(name):
    """Return the names of the base classes by which an error can be caught."""
    kind = getattr(errors, name, None) or vars(builtins).get(name, KeyError)
    return {ancestor.__name__ for ancestor in kind.__mro__}


def test_both_clients_change_a_run_alike(backend, logged, tmp_path):
    run_script(SCRIPT + CHANGE, backend, tmp_path / "sdk", logged["theirs"])
    run = _api(backend).run(logged["ours"])
    exec(CHANGE, {"run": run})
    changed, expected = (_api(backend).run(logged[name]) for name in ("ours", "theirs"))
    for field in ("name", "notes", "tags", "group", "job_type", "description", "state"):
        assert getattr(changed, field) == getattr(expected, field), field
    assert changed.name == "renamed"
    assert changed.state == "finished"
    assert _comparable(changed.config) == _comparable(expected.config)
    assert _comparable(changed.summary_metrics) == _comparable(expected.summary_metrics)
    assert len(list(changed.scan_history())) == 20


def _comparable(values):
    times = {"_runtime", "_timestamp", "_wandb"}  # the SDK writes its run time under "_wandb"
    kept = {key: value for key, value in values.items() if key not in times}
    return json.loads(json.dumps(kept), parse_constant=str)


CREATE = """
import sys, wandb
from wandb.apis.public import Run
api = wandb.Api()
run = Run.create(api, project="made", run_id=sys.argv[1], state="pending")
"""
CREATED = [
    "run.id",
    "run.name",
    "run.state",
    "run.path",
    "run.url",
    "run.config",
    "run.rawconfig",
    "run.summary_metrics",
    "run.system_metrics",
    "run.tags",
    "run.notes",
    "run.description",
    "run.created_at",
    "run.user",
    "run.lastHistoryStep",
    "list(run.scan_history())",
    "run.metadata",
    "len(run.files())",
    "run.update_state('pending')",
    "run.update_state('failed'), run.state",
    "run.update_state('pending'), run.state",
    "run.load(force=True)['displayName'], run.name",
    "run.stop()",
    "run.delete()",
    "run.delete()",
    "run.load(force=True)",
    "run.wait_until_finished()",
    "list(run.console_logs())",
]


def test_both_clients_lead_a_created_run_to_its_end_alike(backend, tmp_path):
    script = (
        DESCRIBE
        + CREATE
        + "import json\n"
        + "print(json.dumps([evaluate(e, {'run': run}) for e in json.loads(sys.argv[2])]))"
    )
    printed = run_script(script, backend, tmp_path / "sdk", "made", json.dumps(CREATED))
    names: dict[str, Any] = {}
    exec(DESCRIBE, names)
    names["run"] = runlake.Run.create(_api(backend), "made", "made", state="pending")
    for expression, expected in zip(CREATED, json.loads(printed), strict=True):
        _assert_alike(names["evaluate"](expression, names), expected, expression)


UPLOAD = """
import os
os.makedirs("folder/deep", exist_ok=True)
for name in ("folder/deep/a.txt", "folder/empty.bin", "ünï %cöde.txt"):
    with open(name, "w") as file:
        file.write("" if "empty" in name else name)
names = [run.upload_file("folder/deep/a.txt").name,
         run.upload_file("folder/empty.bin", root="folder").name,
         run.upload_file(os.path.abspath("ünï %cöde.txt")).name]
state = run.state, [run.file(name).size for name in names]
run.file(names[1]).delete()
"""


def test_both_clients_upload_and_delete_files_alike(backend, tmp_path, monkeypatch):
    paths = [LoggedRun(backend, f"up-{who}").log(*steps(0, 3)).finish().path for who in "ab"]
    run_script(SCRIPT + UPLOAD, backend, tmp_path / "sdk", paths[0])
    monkeypatch.chdir(tmp_path)
    names = {"run": _api(backend).run(paths[1])}
    exec(UPLOAD, names)
    assert names["state"] == ("finished", [17, 0, 16])
    theirs, ours = (_api(backend).run(path) for path in paths)
    listed = [[(f.name, f.size, f.md5, f.mimetype) for f in r.files()] for r in (ours, theirs)]
    assert listed[0] == listed[1]
    assert [name for name, *_ in listed[0]] == ["folder/deep/a.txt", "ünï %cöde.txt"]
    assert theirs.state == ours.state == "finished"


OFFLINE = """
import os, wandb
os.environ["WANDB_MODE"] = "offline"
run = wandb.init(project="members", id="offline", name="later", config={"lr": 0.1}, tags=["o"])
for step in range(30):
    run.log({"loss": step})
print("printed offline")
with open("kept.txt", "w") as file:
    file.write("kept")
run.save("kept.txt")
run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]])})
print("in " + os.path.dirname(run.dir))
run.finish()
"""


def test_an_offline_run_that_is_synced_is_all_there(backend, tmp_path):
    printed = run_script(OFFLINE, backend, tmp_path / "log")
    (directory,) = re.findall("^in (.*)$", printed, re.MULTILINE)
    run_python(["-m", "wandb", "sync", directory], backend, tmp_path / "log")
    run = _api(backend).run(f"{backend.entity}/members/offline")
    assert (run.state, run.name, run.config, run.tags) == ("finished", "later", {"lr": 0.1}, ["o"])
    assert [row["loss"] for row in run.scan_history(["loss"])] == list(range(30))
    with run.file("kept.txt").download() as file:
        assert file.read() == "kept"
    (table,) = run.files(pattern="media/table/table%.json")
    assert table.size > 0
    assert "printed offline" in [line.content for line in run.console_logs()]
    assert run.metadata["os"]


STOPPED = """
import time, wandb
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="members", id="stopped", settings=fast)
run.log({"loss": 1})
print("logged", flush=True)
try:
    for _ in range(600):
        time.sleep(0.1)
        run.log({"loss": 1})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.thorough
def test_a_run_that_is_asked_to_stop_stops(backend, tmp_path):
    with script_under_way(STOPPED, backend, tmp_path / "log") as script:
        assert next_line(script) == "logged\n"
        run = _api(backend).run(f"{backend.entity}/members/stopped")
        wait_until(lambda: run.lastHistoryStep >= 0)
        assert run.stop() is None
        assert next_line(script) == "interrupted\n"


def test_metrics_are_those_that_were_defined(backend, logged):
    found = {
        metric.name or metric.glob: metric for metric in _api(backend).run(logged["read"]).metrics()
    }
    assert found.keys() == {"epoch", "loss", "val/*"}
    assert found["val/*"].summary == ("min", "max")
    assert {found[name].step_metric for name in ("loss", "val/*")} == {"epoch"}
    assert (found["loss"].hidden, found["loss"].step_sync) == (True, False)
    assert found["val/*"].step_sync
    assert all(metric.is_defined for metric in found.values())
