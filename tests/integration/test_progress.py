"""`progress=True|False|callable` of everything that may take long; bars never reach a pipe."""

import os
import pty
import sys
import tempfile
import threading

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, log_seeds, steps
from tests.server_process import client_environment
from tests.warm_start import CLIENT, start_python

import runlake
from runlake import ProgressUpdate
from runlake.errors import InvalidType

CONTENT = b"0123456789" * 20_000


@pytest.fixture(scope="module")
def path(backend, tmp_path_factory):
    run = LoggedRun(backend, "progress", "progress").log(*steps(0, 2500))
    log_artifact(run, "files", {"a.bin": CONTENT, "b/c.bin": b"1", "empty": b""})
    folder = tmp_path_factory.mktemp("progress")
    (folder / "a.bin").write_bytes(CONTENT)
    settings = {"base_url": backend.base_url, "cache_dir": str(folder / "cache")}
    found = run.finish().path
    uploader = runlake.Api(settings, api_key=backend.api_key)
    uploader.run(found).upload_file(folder / "a.bin", root=folder)
    log_seeds(backend, "progress seeds", 4)
    return found


DOWNLOADS = {
    "pull": lambda api, path, progress: api.run(path).pull(progress=progress),
    "copies": lambda api, path, progress: api.run(path).download_history_exports(
        "here", progress=progress
    ),
    "file": lambda api, path, progress: (
        api.run(path).file("a.bin").download("here", replace=True, progress=progress).close()
    ),
    "artifact": lambda api, path, progress: _artifact(api, path).download(progress=progress),
    "checkout": lambda api, path, progress: _artifact(api, path).checkout(progress=progress),
    "entry": lambda api, path, progress: (
        _artifact(api, path).get_entry("a.bin").download(progress=progress)
    ),
    "listed file": lambda api, path, progress: (
        next(iter(_artifact(api, path).files(["a.bin"])))
        .download("here", replace=True, progress=progress)
        .close()
    ),
}
OF_RUNS = {
    "scan": lambda runs, progress: runs.scan(["loss"], progress=progress),
    "histories": lambda runs, progress: runs.histories(keys=["loss"], progress=progress),
    "polars": lambda runs, progress: runs.histories(format="polars", progress=progress),
    "system": lambda runs, progress: runs.histories(stream="system", progress=progress),
    "pull": lambda runs, progress: runs.pull(progress=progress),
}


def _artifact(api, path):
    return api.artifact(f"{path.rpartition('/')[0]}/files:latest")


def _runs(api, path):
    return api.runs(f"{path.partition('/')[0]}/progress seeds")


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_function_gets_the_bytes_of_a_download(api, path, name):
    updates: list[ProgressUpdate] = []
    DOWNLOADS[name](api, path, updates.append)
    assert all(type(one) is ProgressUpdate for one in updates)
    first, last = updates[0], updates[-1]
    assert (first.done, first.unit) == (0, "B")
    assert last.done > 0
    assert last.what
    assert last.total in (None, last.done)
    assert [one.done for one in updates] == sorted(one.done for one in updates)


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_function_gets_the_number_of_runs(api, path, name):
    updates: list[ProgressUpdate] = []
    OF_RUNS[name](_runs(api, path), updates.append)
    assert updates == [ProgressUpdate(done, 4, "runs", "4 runs") for done in range(5)]
    assert updates[2].fraction == 0.5


def test_cached_runs_report_nothing(api, path):
    runs = _runs(api, path)
    runs.pull()
    updates: list[ProgressUpdate] = []
    runs.scan(["loss"], progress=updates.append)
    assert updates == []


@pytest.mark.parametrize("wrong", [1, "yes", [], object()])
def test_another_option_is_refused(api, path, wrong):
    for read in DOWNLOADS.values():
        with pytest.raises(InvalidType, match="progress must be"):
            read(api, path, wrong)
    for ask in OF_RUNS.values():
        with pytest.raises(InvalidType, match="progress must be"):
            ask(_runs(api, path), wrong)


def test_an_error_of_the_function_ends_the_download(api, path):
    def refuse(update):
        if update.done:
            raise KeyError("enough")

    for name in ("pull", "file", "artifact"):
        with pytest.raises(KeyError, match="enough"):
            DOWNLOADS[name](api, path, refuse)
    with pytest.raises(KeyError, match="enough"):
        OF_RUNS["scan"](_runs(api, path), refuse)
    assert len(api.run(path).frame()) == 2500


SCRIPT = """
import sys, runlake
api = runlake.Api()
path, choice = sys.argv[1], {"True": True, "False": False, "None": None}[sys.argv[2]]
project = path.rpartition("/")[0]
api.run(path).pull(progress=choice)
api.runs(project + " seeds").scan(["loss"], progress=choice)
api.artifact(project + "/files:latest").download(progress=choice)
api.run(path).file("a.bin").download("here", progress=choice).close()
"""


@pytest.mark.parametrize(
    ("choice", "is_terminal"), [(True, True), (True, False), (False, True), (None, False)]
)
def test_bars_are_shown_on_terminals_alone(backend, path, tmp_path, choice, is_terminal):
    reader, terminal = pty.openpty()
    # A full terminal would make the script wait.
    screen: list[bytes] = []
    drain = threading.Thread(target=_drain, args=(reader, screen))
    drain.start()
    with (
        os.fdopen(terminal, "wb") as shell,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        script = start_python(
            ["-c", SCRIPT, path, str(choice)],
            CLIENT,
            env={**client_environment(backend, tmp_path / "shell"), "TERM": "xterm"},
            cwd=tmp_path / "shell",
            stdout=output,
            stderr=shell if is_terminal else errors,
        )
        assert script.wait(60) == 0
        output.seek(0)
        errors.seek(0)
        printed, said = output.read(), errors.read()
    drain.join()
    os.close(reader)
    shown = (b"".join(screen) if is_terminal else said).decode()
    assert printed == b""
    # Without the argument, work of less than a second shows no bar; here it may take longer.
    if is_terminal and choice:
        for words in ("exports", "4/4", "files of files", "a.bin"):
            assert words in shown, shown
    elif not is_terminal or choice is False:
        assert shown == ""


def _drain(reader, screen):
    try:
        while found := os.read(reader, 65536):
            screen.append(found)
    except OSError:
        # Linux raises an error where the other end is closed.
        return


def test_the_setting_switches_bars_off_that_were_not_requested(api, monkeypatch):
    from runlake.exports.progress import Silence
    from runlake.public.progress import ShownProgress, progress_of

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("RUNLAKE_PROGRESS", "0")
    quiet = runlake.Api(api_key=api.api_key)._client
    assert isinstance(progress_of(quiet.settings), Silence)
    assert isinstance(progress_of(quiet.settings, True), ShownProgress)
    assert isinstance(progress_of(api.settings), ShownProgress)
    assert isinstance(progress_of(api.settings, False), Silence)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert isinstance(progress_of(api.settings, True), Silence)
