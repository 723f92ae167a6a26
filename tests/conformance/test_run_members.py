"""A run's own members: both clients give the same answers and do the same to the backend."""

import json
import os
from pathlib import Path

import pytest
from tests.conformance.members import CHANGE, DESCRIBE, READS
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, run_script, script_under_way, wait_until

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
    """What the SDK says to every call of the table."""
    directory = tmp_path_factory.mktemp("theirs")
    printed = run_script(READ, backend, directory, logged["read"], json.dumps(READS))
    return dict(zip(READS, json.loads(printed), strict=True))


@pytest.fixture(scope="module")
def ours(backend, logged, tmp_path_factory):
    """What runlake says, in the same order."""
    directory = tmp_path_factory.mktemp("ours")
    start = Path.cwd()
    os.chdir(directory)
    try:
        names = {}
        exec(DESCRIBE, names)
        names["run"] = _api(backend).run(logged["read"])
        with pytest.warns(DeprecationWarning, match="entity"):
            return {expression: names["evaluate"](expression, names) for expression in READS}
    finally:
        os.chdir(start)


def _api(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.mark.parametrize("expression", READS)
def test_both_clients_answer_alike(expression, ours, theirs):
    answer, expected = ours[expression], theirs[expression]
    if isinstance(expected, dict) and "raises" in expected:
        assert expected["raises"] in _ancestors(answer["raises"])
    else:
        assert answer == expected


def _ancestors(name):
    kind = getattr(errors, name, None) or getattr(__builtins__, name, None)
    if kind is None:
        kind = __builtins__[name] if isinstance(__builtins__, dict) else KeyError
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
    kept = {key: value for key, value in values.items() if key not in {"_runtime", "_timestamp"}}
    return json.loads(json.dumps(kept), parse_constant=str)
