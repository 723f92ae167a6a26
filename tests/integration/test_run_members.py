"""A run's own members: their requests, their errors, and pickling between processes."""

import math
import multiprocessing
import os
import pickle
import pty
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, cast

import httpx
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, running_server

import runlake
from runlake import errors
from runlake.backend.http.transfer import download_file
from runlake.exports.manifest import fetch_manifest
from runlake.public.run.run import Run
from runlake.public.run.summary import Summary


@pytest.fixture
def logged(backend, request):
    """A finished run of the test's own, with config, summary and two files."""
    name = f"m-{abs(hash(request.node.nodeid)):x}"
    run = LoggedRun(backend, name)
    run.stream(
        {
            "files": {
                "wandb-summary.json": {"offset": 0, "content": ['{"loss": 1, "a": {"b": 2}}']},
                "output.log": {
                    "offset": 0,
                    "content": [f"2026-01-01T00:00:0{n} line {n}" for n in range(5)],
                },
            }
        }
    )
    run.log(*steps(0, 5)).finish()
    return run


@pytest.fixture
def run(api, logged):
    return api.run(logged.path)


@pytest.fixture
def text_file(tmp_path):
    file = tmp_path / "home" / "text.txt"
    file.write_text("some text")
    return file


def again(backend, run):
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    return api.run("/".join(run.path))


def operations(requests):
    return [request["operation"] for request in requests]


def test_an_update_is_two_requests_and_keeps_state_and_history(backend, run):
    run.name = "other"
    run.config["lr"] = 1
    run.summary["best"] = 2
    with backend.counted() as requests:
        run.update()
    assert operations(requests) == ["UpsertBucket", "UpsertBucket"]
    changed = again(backend, run)
    assert (changed.name, changed.config, changed.summary["best"]) == ("other", {"lr": 1}, 2)
    assert (changed.state, len(list(changed.scan_history()))) == ("finished", 5)


def test_an_update_of_a_light_run_does_not_wipe_config_and_summary(backend, run):
    run.config["kept"] = 1
    run.save()
    light = Run(run._client, run.entity, run.project, run.id, lazy=True)
    assert "config" not in light.load()
    light.notes = "new"
    light.update()
    changed = again(backend, run)
    assert (changed.notes, changed.config) == ("new", {"kept": 1})
    assert changed.summary_metrics == {"loss": 1, "a": {"b": 2}}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tags", "text"),
        ("tags", [1]),
        ("notes", 5),
        ("group", ["g"]),
        ("job_type", 1.5),
        ("description", b"bytes"),
        ("display_name", object()),
    ],
)
def test_an_update_with_a_value_of_the_wrong_type_sends_nothing(backend, run, member, value):
    setattr(run, member, value)
    with backend.counted() as requests, pytest.raises(errors.InvalidType, match=member):
        run.update()
    assert requests == []


@pytest.mark.parametrize(
    "value",
    [object(), {"deep": [object()]}, {1: 2}, b"\xff"],
    ids=["object", "object in a list", "key that is no string", "bytes"],
)
def test_values_that_json_cannot_carry_are_refused_and_change_nothing(backend, run, value):
    before = dict(run.summary_metrics)
    with backend.counted() as requests:
        with pytest.raises(TypeError, match="summary"):
            run.summary["bad"] = value
        with pytest.raises(errors.CommError):
            run.summary.update({"good": 1, "bad": value})
        run.config["bad"] = value
        with pytest.raises(errors.InvalidArgument, match="config"):
            run.update()
    assert requests == []
    assert run.summary_metrics == before


def test_a_summary_that_holds_itself_is_refused(run):
    loop: dict[str, object] = {}
    loop["loop"] = loop
    with pytest.raises(errors.InvalidArgument, match="holds itself"):
        run.summary["loop"] = loop


def test_a_summary_is_a_mapping_that_says_when_it_writes(backend, run):
    summary = run.summary
    assert (len(summary), list(summary), summary) == (2, ["loss", "a"], {"loss": 1, "a": {"b": 2}})
    assert hasattr(summary, "loss")
    assert not hasattr(summary, "nothing")
    with backend.counted() as requests:
        summary["a"]["b"] = 3
        summary["plain"] = 4
        assert summary.pop("loss") == 1
        del summary["a"]["b"]
    assert requests == []
    with backend.counted() as requests:
        summary["dict"] = {"x": {"y": 1}}
        summary["dict"]["x"].update({"z": 2})
        summary.update()
    assert operations(requests) == ["UpsertBucket"] * 3
    expected = {"a": {}, "plain": 4, "dict": {"x": {"y": 1, "z": 2}}}
    assert summary == expected == run.summary_metrics == again(backend, run).summary_metrics


def test_a_forced_load_shows_the_summary_of_the_backend(backend, run):
    again(backend, run).summary.update({"news": 1})
    assert "news" not in run.summary
    run.load(force=True)
    assert run.summary["news"] == 1


def test_nan_and_infinity_survive_an_update_of_something_else(backend, run):
    run.summary.update({"infinite": math.inf, "list": [math.nan]})
    run.config["nan"] = math.nan
    run.update()
    other = again(backend, run)
    other.notes = "x"
    other.update()
    changed = again(backend, run)
    assert changed.summary["infinite"] == math.inf
    assert math.isnan(changed.config["nan"])
    assert math.isnan(changed.summary["list"][0])


def test_fields_that_are_no_run_are_an_error(run):
    with pytest.raises(errors.CommError):
        Run(run._client, run.entity, run.project, run.id, cast("dict[str, Any]", ["no mapping"]))


@pytest.mark.usefixtures("text_file")
@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda run: run.file("none.txt"), FileNotFoundError, "none.txt"),
        (lambda run: run.file(5), TypeError, "string"),
        (lambda run: run.file(""), ValueError, "empty"),
        (lambda run: run.files(["a"], "%"), ValueError, "both"),
        (lambda run: run.files("a"), TypeError, "names"),
        (lambda run: run.files(pattern=5), TypeError, "pattern"),
        (lambda run: run.files(per_page=0), ValueError, "per_page"),
        (lambda run: run.console_logs(per_page="9"), ValueError, "per_page"),
        (lambda run: run.console_logs(last=0), ValueError, "last"),
        (lambda run: run.upload_file("none.txt"), FileNotFoundError, "none.txt"),
        (lambda run: run.upload_file("."), ValueError, "is not a file"),
        (lambda run: run.upload_file(None), TypeError, "path"),
        (lambda run: run.upload_file("text.txt", root=5), TypeError, "root"),
        (lambda run: run.upload_file("../home/text.txt", root="folder"), ValueError, "outside"),
        (lambda run: run.upload_file("/etc/hostname"), ValueError, "outside"),
        (lambda run: run.update_state(5), TypeError, "state"),
        (lambda run: run.update_state(""), ValueError, "state"),
        (lambda run: run.delete("yes"), TypeError, "delete_artifacts"),
        (lambda run: run.wait_until_finished(timeout=-1), ValueError, "timeout"),
        (lambda run: run.wait_until_finished(poll_interval="5"), TypeError, "poll_interval"),
        (lambda run: setattr(run, "id", ""), ValueError, "id"),
        (lambda run: setattr(run, "name", 5), TypeError, "name"),
        (lambda run: run.create("api"), TypeError, "Api"),
        (lambda run: run.download_history_exports(5), TypeError, "download_dir"),
    ],
)
def test_a_wrong_argument_is_one_error_of_both_kinds_and_changes_nothing(
    backend, run, call, kind, said
):
    with backend.counted() as requests, pytest.raises(kind, match=said) as caught:
        call(run)
    assert isinstance(caught.value, errors.CommError)
    assert set(operations(requests)) <= {"RunFiles"}
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


@pytest.mark.parametrize(
    "names",
    [
        {"state": "finished"},
        {"run_id": "a/b"},
        {"run_id": " a"},
        {"project": "a%b"},
        {"project": "p" * 129},
        {"run_id": 5},
        {"entity": 5},
    ],
    ids=str,
)
def test_a_run_with_a_wrong_name_is_not_created(api, backend, names):
    with backend.counted() as requests, pytest.raises(errors.InvalidArgument):
        Run.create(api, **names)
    assert requests == []


def test_creating_an_existing_run_keeps_its_data(api, run):
    run.config["kept"] = 1
    run.update()
    taken = Run.create(api, run.id, run.project)
    assert (taken.config, taken.summary["loss"]) == ({"kept": 1}, 1)


@pytest.mark.parametrize("state", ["pending", "failed", "finished", "nonsense"])
def test_a_forbidden_transition_is_refused_and_the_run_stays(backend, run, state):
    with pytest.raises(errors.BackendError, match="invalid state transition"):
        run.update_state(state)
    assert run.state == again(backend, run).state == "finished"


def test_waiting_for_a_run_has_an_end(api, backend):
    logging = LoggedRun(backend, "waiting")
    run = api.run(logging.log(*steps(0, 1)).path)
    with pytest.raises(TimeoutError, match="still running"):
        run.wait_until_finished(timeout=0.2, poll_interval=0.05)
    logging.finish(exit_code=1)
    run.wait_until_finished(timeout=20, poll_interval=0.05)
    assert run.state == "failed"


def test_a_deleted_run_is_gone_with_its_files_and_its_id(api, run, text_file):
    file = run.upload_file("text.txt")
    storage_id = run.storage_id
    (export,) = fetch_manifest(api._client, run._path).exports
    run.delete()
    run.delete()
    for gone in (run.update, run.stop, lambda: run.load(force=True), file.delete):
        with pytest.raises(errors.BackendError):
            gone()
    for url in (file.url, export.url):
        with pytest.raises(errors.FileTransferError, match="404"):
            download_file(api._client, url, text_file, what="it")
    made = Run.create(api, run.id, run.project)
    assert made.storage_id != storage_id
    assert list(made.files()) == []


@pytest.mark.parametrize("name", ["../up.txt", "/etc/cron", "a/../../b", "..\\up.txt", "C:\\x"])
def test_a_file_whose_name_leads_out_is_not_written(run, tmp_path, name):
    file = runlake.File(run._client, {"name": name, "url": "http://x/"}, run)
    with pytest.raises(errors.InvalidArgument, match="leads out"):
        file.download(root=str(tmp_path / "down"))
    assert not (tmp_path / "down").exists()


def announce(backend, name):
    """Announce a file of the run ``names`` and return the answer."""
    mutation = """
    mutation CreateRunFiles($e: String!, $p: String!, $r: String!, $f: [String!]!) {
      createRunFiles(input: {entityName: $e, projectName: $p, runName: $r, files: $f}) {
        files { name uploadUrl }
      }
    }
    """
    logged = LoggedRun(backend, "names")
    entity, project, run_id = logged.path.split("/")
    answer = logged.graphql(mutation, {"e": entity, "p": project, "r": run_id, "f": [name]})
    logged.close()
    return answer


@pytest.mark.parametrize(
    "name", ["../up.txt", "/etc/cron", "a/../b", "", "/", ".", "./", "/./a", "x/" * 600 + "a"]
)
def test_the_backend_takes_no_file_whose_name_leads_out_or_is_too_long(backend, name):
    message = announce(backend, name)["errors"][0]["message"]
    assert "leads out of the run" in message or "longer than 1,024 bytes" in message


def test_a_file_has_one_name_however_it_is_written(backend, api):
    for name in ("./c.txt", "media//./c.txt", "media/c.txt/"):
        (file,) = announce(backend, name)["data"]["createRunFiles"]["files"]
        assert file["name"] == name
        assert httpx.put(file["uploadUrl"], content=name.encode()).is_success
    run = api.run(f"{backend.entity}/http/names")
    assert [file.name for file in run.files()] == ["c.txt", "media/c.txt"]
    assert [file.name for file in run.files(names=["./c.txt"])] == ["c.txt"]


@pytest.mark.usefixtures("text_file")
def test_a_download_is_whole_or_not_there(run, tmp_path):
    file = run.upload_file("text.txt")
    file._attrs["url"] = file.url.replace("signature=", "signature=0")
    with file.download(root=str(tmp_path / "down")) as content:
        assert content.read() == "some text"
    run.file("text.txt").delete()
    with pytest.raises(FileNotFoundError, match=r"text\.txt"):
        file.download(root=str(tmp_path / "other"))
    assert not [path for path in (tmp_path / "other").glob("**/*") if path.is_file()]


def test_files_come_page_by_page_and_can_be_deleted_on_the_way(backend, run, text_file):
    for number in range(5):
        (text_file.parent / f"file-{number}.txt").write_text(str(number))
        run.upload_file(f"file-{number}.txt")
    with backend.counted() as requests:
        for file in run.files(pattern="file-%", per_page=2):
            file.delete()
    assert operations(requests).count("RunFiles") == 3
    assert list(run.files(pattern="file-%")) == []


def test_console_lines_come_page_by_page(backend, run):
    with backend.counted() as requests:
        lines = [line.content for line in run.console_logs(per_page=2)]
    assert lines == [f"line {number}" for number in range(5)]
    assert operations(requests) == ["RunConsoleLogPage"] * 3
    with backend.counted() as requests:
        tail = list(run.console_logs(last=2))
    assert [line.number for line in tail] == [3, 4]
    assert tail[0].timestamp.isoformat() == "2026-01-01T00:00:03+00:00"
    assert operations(requests) == ["RunConsoleLogTail"]


def test_metadata_is_none_until_the_run_has_it(run, tmp_path):
    assert run.metadata is None
    file = tmp_path / "home" / "wandb-metadata.json"
    file.write_text("not json")
    run.upload_file(file.name)
    with pytest.warns(UserWarning, match="is no JSON"):
        assert run.metadata is None
    file.write_text('{"os": "Linux"}')
    run.upload_file(file.name)
    assert run.metadata == {"os": "Linux"}


def test_metadata_offline_is_refused_and_not_none(backend, run):
    run.pull()
    settings = {"base_url": backend.base_url}
    offline = runlake.Api(settings, api_key=backend.api_key, offline=True)
    with pytest.warns(errors.StaleWarning):
        remembered = offline.run("/".join(run.path))
    with pytest.raises(errors.OfflineError, match="RUNLAKE_OFFLINE"):
        _ = remembered.metadata


def test_metadata_of_a_backend_that_went_away_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.2")
    with running_server(tmp_path / "server") as server:
        path = LoggedRun(server, "left").finish().path
        run = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)
    with pytest.raises(errors.Unreachable):
        _ = run.metadata


UPLOAD = """
import resource, sys
import runlake

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

run = runlake.Api().run(sys.argv[1])
run.upload_file("small.bin")
before = peak()
file = run.upload_file("folder/large.bin")
assert file.size == int(sys.argv[2]), file.size
print(peak() - before)
"""


def test_a_large_upload_needs_little_memory(backend, logged, tmp_path):
    directory = tmp_path / "up"
    (directory / "folder").mkdir(parents=True)
    (directory / "small.bin").write_bytes(b"x")
    n_bytes = 200 << 20
    with (directory / "folder" / "large.bin").open("wb") as large:
        large.truncate(n_bytes)
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, logged.path, str(n_bytes)],
        env=client_environment(backend, directory),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100


EXPORTS = """
import sys, runlake
runlake.Api().run(sys.argv[1]).download_history_exports("here")
"""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_download_of_exports_shows_its_progress_on_a_terminal_only(
    backend, run, tmp_path, is_terminal
):
    reader, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", EXPORTS, "/".join(run.path)],
        env={**client_environment(backend, tmp_path / "shell"), "TERM": "xterm"},
        cwd=tmp_path / "shell",
        stdout=subprocess.PIPE,
        stderr=terminal if is_terminal else subprocess.PIPE,
        check=True,
    )
    os.close(terminal)
    shown = os.read(reader, 10_000).decode() if is_terminal else done.stderr.decode()
    os.close(reader)
    assert ("1 export " in shown) == is_terminal
    assert done.stdout == b""


def test_exports_are_not_copied_where_a_file_is_in_the_way(run, text_file):
    with pytest.raises(errors.WandbApiFailedError, match=r"text\.txt"):
        run.download_history_exports(text_file)
    assert text_file.read_text() == "some text"


@pytest.mark.usefixtures("text_file")
def test_members_work_in_threads_and_in_other_processes(backend, run, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    run.upload_file("text.txt")
    members = [run, run.files(), run.file("text.txt"), run.summary, run.summary["a"]]
    expected = [_told(member) for member in members]
    assert [_told(pickle.loads(pickle.dumps(member))) for member in members] == expected
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(_told, members * 4)) == expected * 4
    for method in ("fork", "spawn"):
        if method == "spawn" or hasattr(os, "fork"):
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(1, mp_context=context) as processes:
                assert list(processes.map(_told, members)) == expected


def _told(member):
    if isinstance(member, Run):
        return member.name, member.metadata, [f.name for f in member.files()], member.url
    if isinstance(member, Summary):
        member.update()
        return dict(member)
    if isinstance(member, runlake.Files):
        return [file.name for file in member]
    return getattr(member, "md5", None) or dict(member)


@pytest.mark.usefixtures("text_file")
def test_another_user_can_neither_see_nor_change_a_run(tmp_path):
    with running_server(tmp_path / "server") as server:
        added = [sys.executable, "-m", "runlake", "server", "user", "add", "anna"]
        done = subprocess.run(
            [*added, "--data-dir", str(tmp_path / "server")],
            capture_output=True,
            text=True,
            check=True,
        )
        key = done.stdout.split()[-1]
        owner = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        anna = runlake.Api({"base_url": server.base_url}, api_key=key)
        mine = Run.create(owner, "mine", "p")
        file = mine.upload_file("text.txt")
        stolen = Run(anna._client, mine.entity, mine.project, mine.id, mine._attrs)
        theirs = runlake.File(anna._client, file._attrs, stolen)
        for change in (
            stolen.update,
            stolen.delete,
            stolen.stop,
            theirs.delete,
            lambda: stolen.update_state("failed"),
            lambda: stolen.upload_file("text.txt"),
            lambda: stolen.summary.update({"a": 1}),
            lambda: stolen.load(force=True),
        ):
            with pytest.raises(errors.BackendError):
                change()
        kept = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(
            "/".join(mine.path)
        )
        assert (kept.state, kept.summary_metrics) == ("running", {})
        assert [f.name for f in kept.files()] == ["text.txt"]


def test_copies_of_exports_have_the_names_of_the_sdk(api, backend, tmp_path):
    path = LoggedRun(backend, "run \u00fc", "my project").log(*steps(0, 3)).finish().path
    copies = api.run(path).download_history_exports(tmp_path)
    name = f"{backend.entity}_my project_run \u00fc_0.runhistory.parquet"
    assert [copy.name for copy in copies.paths] == [name]
