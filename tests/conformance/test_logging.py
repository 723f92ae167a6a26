"""The real SDK logs to the embedded backend: resume, crash, files, and a killed server."""

import contextlib
import json

import pytest
from tests.server_process import next_line, run_script, running_server, script_under_way, wait_until

import runlake

RESUME = """
import wandb
for part in range(2):
    run = wandb.init(project="p", id="again", resume="allow" if part == 0 else "must")
    print(run.resumed)
    for _ in range(10):
        run.log({"loss": part})
    run.finish()
"""
FAIL = """
import wandb
run = wandb.init(project="p", id="fails")
run.log({"loss": 1})
run.finish(exit_code=3)
"""
SILENT = """
import time, wandb
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="p", id="silent", settings=fast)
run.log({"loss": 1})
print("logged", flush=True)
time.sleep(100)
"""
SURVIVE = """
import sys, time, wandb
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="p", id="survivor", settings=fast)
for step in range(150):
    run.log({"loss": step})
    if step == 75:
        print("half", flush=True)
    time.sleep(0.02)
run.finish()
"""


@pytest.fixture
def read(backend):
    def run(run_id):
        overrides = {"base_url": backend.base_url}
        return runlake.Api(overrides, api_key=backend.api_key).run(f"{backend.entity}/p/{run_id}")

    return run


def test_a_resumed_run_goes_on_at_the_right_step(backend, read, tmp_path):
    printed = run_script(RESUME, backend, tmp_path / "log")
    assert printed.split() == ["False", "True"]
    rows = list(read("again").beta_scan_history(["loss"]))
    assert [row["_step"] for row in rows] == list(range(20))
    assert [row["loss"] for row in rows] == [0] * 10 + [1] * 10


def test_a_run_that_ends_with_an_error_has_failed(backend, read, tmp_path):
    run_script(FAIL, backend, tmp_path / "log")
    assert read("fails").state == "failed"


@pytest.mark.thorough
def test_a_run_that_falls_silent_has_crashed_and_is_exported(tmp_path):
    with running_server(tmp_path / "server", crash_after=1) as server:
        with script_under_way(SILENT, server, tmp_path / "log") as script:
            assert next_line(script) == "logged\n"
            api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
            run = api.run(f"{server.entity}/p/silent")
            wait_until(lambda: run.lastHistoryStep == 0, seconds=60)
            script.kill()
        wait_until(lambda: run.load(force=True)["state"] == "crashed")
        wait_until(lambda: run.pull().n_live_rows == 0)
        assert run.pull().n_rows == 1


def test_acknowledged_data_survives_a_killed_server(tmp_path):
    directory = tmp_path / "log"
    with contextlib.ExitStack() as stack:
        with running_server(tmp_path / "server", export_rows=100) as server:
            port = server.base_url.rsplit(":", 1)[1]
            storage = server.storage_url.rsplit(":", 1)[1]
            job = stack.enter_context(script_under_way(SURVIVE, server, directory))
            assert next_line(job) == "half\n"
            server.kill()
        again = stack.enter_context(
            running_server(
                tmp_path / "server",
                export_rows=100,
                port=port,
                storage_port=storage,
                api_key=server.api_key,
            )
        )
        assert job.wait(60) == 0
        api = runlake.Api({"base_url": again.base_url}, api_key=again.api_key)
        rows = list(api.run(f"{again.entity}/p/survivor").beta_scan_history(["loss"]))
        assert rows == [{"_step": step, "loss": step} for step in range(150)]
        assert json.dumps(again.api_key) not in again.access_log.read_text()
