"""Scripts as users write them for wandb: the same output with the SDK, runlake, and both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.script_project import log_project
from tests.server_process import client_environment

HERE = Path(__file__).parent
# These delete what the others read.
LAST = ["edit_artifacts", "delete_runs_and_files"]
SCRIPTS = sorted(
    (HERE / "scripts").glob("*.py"),
    key=lambda script: (LAST.index(script.stem) + 1 if script.stem in LAST else 0, script),
)
WAYS = ("wandb", "runlake", "accelerate")


@pytest.fixture(scope="module")
def outcomes(backend, tmp_path_factory):
    """The output of each script, and the files that all scripts made, by the way they were run."""
    folder = tmp_path_factory.mktemp("scripts")
    processes = {way: _start(way, backend, folder) for way in WAYS}
    for way, process in processes.items():
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, (way, said)
    return {way: _outcome(way, folder) for way in WAYS}


def _start(way, backend, folder):
    log_project(backend, f"scripts-{way}")
    place = folder / way / "files"
    place.mkdir(parents=True)
    arguments = [way, backend.entity, f"scripts-{way}", place.parent / "printed.json", *SCRIPTS]
    return subprocess.Popen(
        [sys.executable, str(HERE / "run_scripts.py"), *map(str, arguments)],
        env=client_environment(backend, folder / way / "home"),
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _outcome(way, folder):
    printed = (folder / way / "printed.json").read_text().replace(f"scripts-{way}", "PROJECT")
    place = folder / way / "files"
    files = {
        str(file.relative_to(place)): file.read_text().replace(f"scripts-{way}", "PROJECT")
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }
    return json.loads(printed), files


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("script", [script.stem for script in SCRIPTS])
def test_a_script_prints_the_same_as_with_the_sdk(outcomes, script, way):
    theirs, ours = (outcomes[name][0][script] for name in ("wandb", way))
    assert "Traceback" not in theirs, theirs
    assert ours == theirs


@pytest.mark.parametrize("way", WAYS[1:])
def test_scripts_make_the_same_files_as_with_the_sdk(outcomes, way):
    theirs, ours = (outcomes[name][1] for name in ("wandb", way))
    assert len(theirs) > 10
    assert ours == theirs
