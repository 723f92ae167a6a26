"""Scripts as users write them for wandb: the same output with the SDK, runlake, and both."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from tests.conformance.script_project import log_project
from tests.server_process import run_python
from tests.thorough import some_of

HERE = Path(__file__).parent
# These delete what the others read.
LAST = ["edit_artifacts", "delete_runs_and_files"]
SCRIPTS = sorted(
    (HERE / "scripts").glob("*.py"),
    key=lambda script: (LAST.index(script.stem) + 1 if script.stem in LAST else 0, script),
)
WAYS = ("runlake", "accelerate")


@pytest.fixture(scope="module")
def outcome(backend, tmp_path_factory):
    """Return the output of each script, and the files that all made, for a way to run them."""
    folder = tmp_path_factory.mktemp("scripts")

    @cache
    def run(way):
        _run(way, backend, folder)
        return _outcome(way, folder)

    return run


def _run(way, backend, folder):
    log_project(backend, f"scripts-{way}")
    place = folder / way / "files"
    place.mkdir(parents=True)
    arguments = [way, backend.entity, f"scripts-{way}", place.parent / "printed.json", *SCRIPTS]
    command = [str(HERE / "run_scripts.py"), *map(str, arguments)]
    run_python(command, backend, folder / way / "home", cwd=place)


def _outcome(way, folder):
    printed = (folder / way / "printed.json").read_text().replace(f"scripts-{way}", "PROJECT")
    place = folder / way / "files"
    files = {
        str(file.relative_to(place)): file.read_text().replace(f"scripts-{way}", "PROJECT")
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }
    return json.loads(printed), files


@pytest.mark.parametrize("way", some_of(WAYS))
@pytest.mark.parametrize("script", [script.stem for script in SCRIPTS])
def test_a_script_prints_the_same_as_with_the_sdk(outcome, script, way):
    theirs, ours = (outcome(name)[0][script] for name in ("wandb", way))
    assert "Traceback" not in theirs, theirs
    assert ours == theirs


@pytest.mark.parametrize("way", some_of(WAYS))
def test_scripts_make_the_same_files_as_with_the_sdk(outcome, way):
    theirs, ours = (outcome(name)[1] for name in ("wandb", way))
    assert len(theirs) > 10
    assert ours == theirs
