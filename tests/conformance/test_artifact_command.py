"""``wandb artifact put``, ``get`` and ``ls``, and the vendor page's examples about artifacts."""

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from tests.server_process import client_environment, run_script
from tests.warm_start import SDK, start_python

import runlake

PAGE_LOGGED = """
import wandb
import tempfile

with tempfile.NamedTemporaryFile(mode="w", delete=False, suffix=".txt") as tmp:
    tmp.write("This is a test artifact")
    tmp_path = tmp.name
run = wandb.init(project="artifact-example", id="logs")
artifact = wandb.Artifact("test_artifact", type="dataset")
artifact.add_file(tmp_path)
run.log_artifact(artifact)
run.finish()
"""
PAGE_USED = """
import wandb

run = wandb.init(project="artifact-example", id="uses")
run.use_artifact("test_artifact:latest")
run.finish()
"""


@pytest.fixture(scope="module")
def logged(backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    run_script(PAGE_LOGGED, backend, directory)
    run_script(PAGE_USED, backend, directory)


@pytest.fixture
def environment(backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)


@pytest.mark.usefixtures("logged", "environment")
@pytest.mark.parametrize("which", ["logged", "used"])
def test_the_example_of_the_page_prints_the_artifact(backend, which):
    run_id = {"logged": "logs", "used": "uses"}[which]
    wandb = runlake
    api = wandb.Api()
    finished_run = api.run(f"{backend.entity}/artifact-example/{run_id}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        listed = (
            finished_run.logged_artifacts()
            if which == "logged"
            else (finished_run.used_artifacts())
        )
        for artifact in listed:
            print(artifact.name)  # noqa: T201 - the page's example
    assert printed.getvalue() == "test_artifact:v0\n"


def test_the_command_puts_gets_and_lists(backend, tmp_path, api):
    environment = client_environment(backend, tmp_path / "home")
    del environment["WANDB_SILENT"]
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "x.txt").write_text("put")

    def artifact(*words):
        with tempfile.TemporaryFile("w+") as said:
            command = ["-m", "wandb", "artifact", *words]
            done = start_python(command, SDK, env=environment, cwd=tmp_path, stderr=said)
            assert done.wait(120) == 0
            said.seek(0)
            return said.read()

    artifact("put", "--name", "command/put", "--type", "dataset", "--alias", "here", "data")
    assert api.artifact("command/put:here").version == "v0"
    artifact("get", "command/put:here", "--root", "got")
    assert (tmp_path / "got" / "sub" / "x.txt").read_text() == "put"
    assert "put:v0" in artifact("ls", f"{backend.entity}/command")
    ours = api.artifact("command/put:v0").download(tmp_path / "ours")
    assert Path(ours, "sub", "x.txt").read_text() == "put"
