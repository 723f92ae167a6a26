"""The real SDK logs: resume, crash, files, and a server that is killed under it."""

import json

import pytest
from tests.server_process import run_script, running_server

import runlake

RESUME = """
import wandb
for part in range(2):
    run = wandb.init(project="p", id="again", resume="allow" if part == 0 else "must")
    print(run.step)
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
import os, wandb, time
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="p", id="silent", settings=fast)
run.log({"loss": 1})
time.sleep(1.5)
os._exit(1)
"""
SURVIVE = """
import sys, time, wandb
fast = wandb.Settings(x_file_stream_transmit_interval=0.2)
run = wandb.init(project="p", id="survivor", settings=fast)
for step in range(300):
    run.log({"loss": step})
    if step == 150:
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
    assert printed.split() == ["0", "10"]
    rows = list(read("again").beta_scan_history(["loss"]))
    assert [row["_step"] for row in rows] == list(range(20))
    assert [row["loss"] for row in rows] == [0] * 10 + [1] * 10


def test_a_run_that_ends_with_an_error_has_failed(backend, read, tmp_path):
    run_script(FAIL, backend, tmp_path / "log")
    assert read("fails").state == "failed"


def test_a_run_that_falls_silent_has_crashed_and_is_exported(tmp_path):
    with running_server(tmp_path / "server", crash_after=1) as server:
        run_script(
            SILENT.replace("os._exit(1)", "run.finish = None; os._exit(0)"),
            server,
            tmp_path / "log",
        )
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        run = api.run(f"{server.entity}/p/silent")
        for _ in range(200):
            if run.load(force=True)["state"] == "crashed":
                break
        assert run.state == "crashed"
        pulled = run.pull()
        assert (pulled.n_rows, pulled.n_live_rows) == (1, 0)


def test_what_was_acknowledged_survives_the_killing_of_the_server(tmp_path):
    import subprocess
    import sys

    from tests.server_process import client_environment

    directory = tmp_path / "log"
    with running_server(tmp_path / "server", export_rows=100) as server:
        port = server.base_url.rsplit(":", 1)[1]
        storage = server.storage_url.rsplit(":", 1)[1]
        job = subprocess.Popen(
            [sys.executable, "-c", SURVIVE],
            env=client_environment(server, directory),
            cwd=directory,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert job.stdout is not None
        assert job.stdout.readline().strip() == "half"
        server.kill()
    with running_server(
        tmp_path / "server",
        export_rows=100,
        port=port,
        storage_port=storage,
        api_key=server.api_key,
    ) as again:
        assert job.wait(60) == 0
        job.stdout.close()
        api = runlake.Api({"base_url": again.base_url}, api_key=again.api_key)
        rows = list(api.run(f"{again.entity}/p/survivor").beta_scan_history(["loss"]))
        assert rows == [{"_step": step, "loss": step} for step in range(300)]
        assert json.dumps(again.api_key) not in again.access_log.read_text()
