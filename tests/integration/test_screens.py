"""Everything that the library prints is safe for an ASCII standard output and a terminal."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment

import runlake

LOSS = "\u640d\u5931"
STEERING = "a\x1b]52;c;aGk=\x07\nb"
PRINT = r"""
import sys, warnings
import runlake

path, artifact = sys.argv[1:3]
warnings.simplefilter("always")
api = runlake.Api()
run = api.run(path)
pulled = run.pull()
project = path.rpartition("/")[0]
runs = api.runs(project)
shown = [pulled, run.explain(), run.explain(["\u640d\u5931"]), run, runs, runs[0], run.summary,
         run.files(), *run.files(), run.scan_history(), run.console_logs(), run.user, api,
         api.project(run.project), api.artifact(artifact), *api.artifact(artifact).files()]
for one in shown:
    print(one)
    print(repr(one) if hasattr(one, "_attrs") else "")
run.frame(["\u640d\u5921"])
run.history(samples=3, pandas=False)
"""


@pytest.fixture(scope="module")
def printed(backend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("screens")
    run = LoggedRun(backend, "\u65e5\u672c", "\u8a08\u753b")
    run.log(*steps(0, 30, **{LOSS: 1.5, STEERING: 2}))
    run.summarize({LOSS: "\u7d42", STEERING: "\x1b[31m"})
    log_artifact(run, "model", {"\u91cd\u307f.bin": b"1"})
    path = run.finish().path
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-c", PRINT, path]
    done = subprocess.run(
        [*command, f"{path.rpartition('/')[0]}/model:latest"],
        env=client_environment(backend, folder) | ascii_only,
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done


def test_names_in_japanese_are_printed_to_an_ascii_stdout(printed):
    lines = printed.stdout.decode("ascii")
    assert r"Read all of \u640d\u5931 of" in lines
    assert r"Pulled 'local/\u8a08\u753b/\u65e5\u672c' to" in lines


def test_names_in_japanese_are_warned_of_on_an_ascii_stderr(printed):
    assert b"NoRowsWarning" in printed.stderr
    assert b"SampleWarning" in printed.stderr


def test_control_characters_of_names_never_reach_a_terminal(printed):
    for output in (printed.stdout, printed.stderr):
        assert not set(output) & (set(range(0x20)) - set(b"\n\t"))


@pytest.mark.usefixtures("printed")
def test_names_are_printed_as_they_are_where_that_works(backend, api):
    run = api.run(f"{backend.entity}/\u8a08\u753b/\u65e5\u672c")
    assert f"Read all of {LOSS} of '{backend.entity}/\u8a08\u753b" in str(run.explain([LOSS]))
    assert str(Path(run.pull().directory)) in str(run.pull())
    assert isinstance(run, runlake.Run)


def test_an_error_holds_no_control_characters(api, backend):
    for path in (f"{backend.entity}/odd\x1b]52;c;aGk=\x07/none\u202e", "a/b/c/d\x9b31m"):
        with pytest.raises(runlake.Error) as refused:
            api.run(path)
        assert not set(str(refused.value)) & set("\x1b\x07\x9b\u202e")
