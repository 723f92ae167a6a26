"""History that the real SDK logged reads the same through runlake and ``wandb.Api()``.

The SDK runs in processes of its own; rows travel as JSON. Its rows are normalised by the
documented differences only: cells that are None are dropped (it shows every column of the file),
rows without one of the keys are dropped (it does not filter exported rows), and the words by which
live rows carry non-finite numbers become those numbers (it leaves them as text).
"""

import json
import math
from collections.abc import Mapping

import pytest
from tests.server_process import next_line, run_script, running_server, script_under_way, wait_until
from tests.thorough import some_of

import runlake

# Gaps that the SDK can walk, page by page; wider ones are for the tests of our own planning.
FAR = 20_000
LIVE = {"partly live": 203, "exported": 0, "live only": 1203}
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
LOG = """
import sys, wandb, numpy, json
FAR = 20_000
run = wandb.init(project="conform", id=sys.argv[1], name="first", tags=["t"], notes="n",
                 config={"lr": 0.1, "net": {"depth": 2}},
                 settings=wandb.Settings(x_file_stream_transmit_interval=0.5))
run.define_metric("val", summary="min")
run.config.update({"added": 1})
for step in range(1200):
    row = {f"k{i}": step * i / 7 for i in range(5)}
    row |= {"loss": 1 / (step + 1), "count": step, "flag": step % 2 == 0, "text": f"s{step}",
            "nested": {"a": step, "b": {"c": 0.5}}, "list": [1, step], "val": step}
    if step == 3:
        row |= {"nan": float("nan"), "inf": float("inf"), "minus": -float("inf"), "none": None}
    if step % 50 == 0:
        row["sparse"] = step
    run.log(row)
run.log({"far": 1}, step=FAR)
run.log({"html": wandb.Html("<b>x</b>"), "hist": wandb.Histogram([1, 2, 3])}, step=FAR + 5)
run.log({"table": wandb.Table(columns=["a", "b"], data=[[1, "x"]])}, step=FAR + 9_000,
        commit=True)
run.summary["best"] = 0.25
with open("note.txt", "w") as file:
    file.write("saved")
run.save("note.txt")
print("logged", flush=True)
sys.stdin.readline()
run.finish()
"""
READ = """
import sys, json, wandb
run = wandb.Api().run(sys.argv[1])
calls = json.loads(sys.argv[2])
print(json.dumps({
    "id": run.id, "name": run.name, "state": run.state, "path": run.path, "url": run.url,
    "config": run.config, "lastHistoryStep": run.lastHistoryStep,
    "storage_id": run.storage_id, "rawconfig": run.rawconfig,
    "summary": run.summary_metrics, "files": sorted(f.name for f in run.files()),
    "scans": [list(run.scan_history(**call)) for call in calls],
}))
"""
CALLS = [
    {},
    {"page_size": 7, "min_step": 95, "max_step": 130},
    {"keys": ["loss"]},
    {"keys": ["loss"], "min_step": 100, "max_step": 200},
    {"keys": ["loss", "sparse"]},
    {"keys": ["nested.a", "nested.b.c"], "max_step": 5},
    {"keys": ["nan", "inf", "minus"]},
    {"keys": ["far"]},
    {"min_step": FAR},
    {"keys": ["hist"]},
    {"keys": ["text", "flag", "list"], "min_step": 1000},
]


@pytest.fixture(scope="module", params=some_of(LIVE))
def pair(request, tmp_path_factory):
    """A run as both clients see it: finished, or while it goes on."""
    directory = tmp_path_factory.mktemp("conform")
    rows = {"exported": 500, "partly live": 1000, "live only": 10**6}[request.param]
    with running_server(directory / "server", export_rows=rows) as server:
        path = f"{server.entity}/conform/r1"
        with script_under_way(LOG, server, directory / "logging", "r1") as script:
            assert next_line(script) == "logged\n"
            if request.param == "exported":
                script.communicate("finish\n")
                assert script.returncode == 0
            run = _run(server, path, directory)
            wait_until(lambda: run.lastHistoryStep == FAR + 9_000, pause=0.2)
            wait_until(lambda: "added" in _run(server, path, directory).config, pause=0.2)
            n_live = LIVE[request.param]
            # Rows that move into an export while the SDK reads are lost to it.
            wait_until(lambda: run.explain().n_live_steps == n_live, pause=0.2)
            run = _run(server, path, directory)
            found = run_script(READ, server, directory / "sdk", path, json.dumps(CALLS))
            yield run, json.loads(found)


def _run(server, path, directory):
    overrides = {"base_url": server.base_url, "cache_dir": directory / "ours"}
    return runlake.Api(overrides, api_key=server.api_key).run(path)


@pytest.mark.parametrize("index", range(len(CALLS)), ids=[json.dumps(call) for call in CALLS])
def test_scans_agree(pair, index):
    run, theirs = pair
    call = CALLS[index]
    ours = list(run.beta_scan_history(**call))
    expected = [_normalised(row) for row in theirs["scans"][index]]
    expected = [row for row in expected if set(call.get("keys", [])) <= row.keys()]
    assert expected
    assert list(map(_comparable, ours)) == list(map(_comparable, expected))
    assert [row["_step"] for row in ours] == sorted({row["_step"] for row in ours})


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "name",
        "path",
        "url",
        "config",
        "rawconfig",
        "lastHistoryStep",
        "storage_id",
        "summary",
    ],
)
def test_properties_agree(pair, name):
    run, theirs = pair
    if name == "rawconfig":
        assert run.rawconfig.keys() == theirs["rawconfig"].keys()
    else:
        assert _comparable({name: getattr(run, name)}) == _comparable({name: theirs[name]})


def test_rows_come_from_where_the_run_has_them(pair, request):
    run, _ = pair
    plan = run.explain()
    assert plan.n_live_steps == LIVE[request.node.callspec.id]


def test_all_rows_of_the_run_are_there(pair):
    run, _ = pair
    steps = [row["_step"] for row in run.beta_scan_history()]
    assert steps == [*range(1200), FAR, FAR + 5, FAR + 9_000]


def _normalised(row):
    return {k: NON_FINITE.get(str(v), v) for k, v in row.items() if v is not None}


def _comparable(row):
    """NaN equals nothing, not even itself; hence its name."""
    return {key: _named(value) for key, value in row.items()}


def _named(value):
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items() if item is not None}
    return [_named(item) for item in value] if isinstance(value, list) else value
