"""Wrong input: one clear error before any work, and an untouched cache."""

import socket
import subprocess
import sys

import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, steps
from tests.server_process import bare_environment, client_environment

import runlake
from runlake import errors


@pytest.mark.parametrize(
    "arguments",
    [
        {"keys": "loss"},
        {"keys": [1]},
        {"min_step": 1.5},
        {"max_step": "9"},
        {"page_size": 0},
        {"how": "some"},
    ],
    ids=str,
)
def test_a_wrong_argument_is_a_value_error_before_any_request(api, backend, arguments):
    run = api.run(LoggedRun(backend, "bad").log(*steps(0, 3)).close().path)
    with backend.counted() as requests, pytest.raises(ValueError, match=next(iter(arguments))):
        run.beta_scan_history(**arguments)
    assert requests == []


@pytest.mark.parametrize("name", ["\ud800", "a\udcff"], ids=ascii)
def test_a_name_that_is_no_unicode_text_is_an_error_before_any_request(api, backend, name):
    project = f"{backend.entity}/bad"
    asked = {
        "run": lambda: api.run(f"{project}/{name}"),
        "run of a URL": lambda: api.run(f"{backend.base_url}/{project}/runs/{name}"),
        "sweep": lambda: api.sweep(f"{project}/{name}"),
        "project": lambda: api.project(name, backend.entity),
        "entity": lambda: api.project("bad", name),
        "projects": lambda: api.projects(name),
        "runs": lambda: api.runs(f"{backend.entity}/{name}"),
        "from_path": lambda: api.from_path(f"{name}/bad"),
        "artifact": lambda: api.artifact(f"{project}/{name}:v0"),
        "artifact_type": lambda: api.artifact_type("dataset", name),
        "create_run": lambda: api.create_run(run_id=name, project="bad", entity=backend.entity),
    }
    with backend.counted() as requests:
        for what, ask in asked.items():
            with pytest.raises(errors.InvalidArgument, match="is no Unicode text"):
                pytest.fail(f"{what}: {ask()}")
    assert requests == []


@pytest.mark.parametrize("url", ["http://[::1/a/b/runs/c", "https://[x]/a/b", "http://a\u2100/a/b"])
def test_a_path_that_only_looks_like_a_url_is_an_error_before_any_request(api, backend, url):
    readers = (api.run, api.sweep, api.runs, api.project, api.from_path)
    with backend.counted() as requests:
        for read in readers:
            with pytest.raises(errors.InvalidArgument, match="is no URL"):
                pytest.fail(f"{read.__name__}: {read(url)}")
    assert requests == []


@pytest.mark.parametrize("host", ["xn--", "xn--a.com"])
def test_a_base_url_whose_host_is_no_name_is_an_error_that_names_the_setting(host):
    api = runlake.Api({"base_url": f"http://{host}"}, api_key="x" * 40)
    with pytest.raises(errors.SettingsError, match="Correct WANDB_BASE_URL"):
        api.run("a/b/c")


def test_an_address_of_ipv6_is_shown_with_its_brackets():
    api = runlake.Api({"base_url": "http://[::1]:1"}, api_key="x" * 40, offline=True)
    with pytest.raises(errors.OfflineError, match=r"http://\[::1\]:1,"):
        _ = api.viewer


def test_an_unknown_run_is_named(api, backend, tmp_path):
    with pytest.raises(errors.RunNotFoundError, match="nowhere/nothing"):
        api.run(f"{backend.entity}/nowhere/nothing")
    assert not (tmp_path / "cache").exists()


def test_a_wrong_key_is_an_authentication_error_that_does_not_show_it(backend, tmp_path):
    key = "x" * 40
    api = runlake.Api({"base_url": backend.base_url}, api_key=key)
    with pytest.raises(errors.AuthenticationError) as caught:
        api.run("a/b/c")
    assert key not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_missing_key_is_a_usage_error(backend):
    with pytest.raises(errors.UsageError, match="WANDB_API_KEY"):
        runlake.Api({"base_url": backend.base_url}).run("a/b/c")


def test_a_backend_that_is_down_is_unreachable(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    api = runlake.Api({"base_url": f"http://127.0.0.1:{port}"}, api_key="x" * 40)
    with pytest.raises(errors.Unreachable, match="Is the backend running"):
        api.run("a/b/c")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (1, ["query", "{entity}/http/none"], "Could not find run"),
        (2, ["query", "none"], "missing project"),
        (2, ["query", "{entity}/http/cli", "--keys", ","], "names no key"),
        (2, ["query", "SELECT 1"], "Name the run first"),
        (2, ["query", "{entity}/http/cli", "SELECT nope FROM history"], "SQL does not work"),
        (2, ["query", "{entity}/http/cli", "SELECT cast('a' AS int) FROM history"], "SQL does not"),
        (2, ["query", "{entity}/http/cli", ";"], "no result set"),
        (
            1,
            ["query", "{entity}/http/cli", "--output", "/nonexistent/x.csv"],
            "'/nonexistent/x.csv'",
        ),
        (
            1,
            ["query", "{entity}/http/cli", "--format", "csv", "--output", "/"],
            "cannot be written",
        ),
        (1, ["show", "{entity}/http/none"], "Could not find run"),
        (1, ["pull", "{entity}/http/none"], "Could not find run"),
        (2, ["show", "{entity}/http/\udcff"], "is no Unicode text"),
        (2, ["cache", "pin", "http://[::1/a/b/runs/c"], "is no URL"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_command_line_says_one_sentence_and_fails(backend, tmp_path, code, arguments, said):
    LoggedRun(backend, "cli").log(*steps(0, 3)).finish()
    done = _runlake(backend, tmp_path, *(a.format(entity=backend.entity) for a in arguments))
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backend_that_is_down_is_one_line_on_standard_error():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {**bare_environment(), "WANDB_BASE_URL": url, "WANDB_API_KEY": "x" * 40}
    done = run_command(environment, "show", "a/b/c")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Run at ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_reader_that_stops_early_ends_the_command_quietly(backend, tmp_path, form):
    rows = [{"_step": step, "text": "x" * 1000} for step in range(2000)]
    path = LoggedRun(backend, "long").log(*rows).finish().path
    command = [sys.executable, "-m", "runlake", "query", path, "--format", form]
    with subprocess.Popen(
        command,
        env={**client_environment(backend, tmp_path / "shell"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        told = process.stderr.read()
    assert told == b""


def test_pull_into_a_pipe_prints_the_whole_directory(backend, tmp_path):
    path = LoggedRun(backend, "piped").log(*steps(0, 3)).finish().path
    shell = tmp_path / ("deep" * 40)
    done = _runlake(backend, tmp_path, "pull", path, shell=shell)
    assert f"{shell}" in done.stdout
    assert done.stdout.rstrip().endswith("/piped")


def test_query_prints_the_logged_values(backend, tmp_path):
    path = LoggedRun(backend, "cli").log(*steps(0, 3)).finish().path
    done = _runlake(backend, tmp_path, "query", path, "--keys", "loss", "--format", "csv")
    assert done.stdout.splitlines() == ["_step,loss", "0,1.0", "1,0.5", "2,0.3333333333333333"]


def _runlake(backend, tmp_path, *arguments, shell=None):
    return run_command(client_environment(backend, shell or tmp_path / "shell"), *arguments)


def nested(depth):
    filters: dict[str, object] = {"state": "running"}
    for _ in range(depth):
        filters = {"$and": [filters]}
    return filters


@pytest.mark.parametrize("depth", [100, 400, 2_000, 20_000])
def test_filters_that_are_nested_deep_are_an_error_before_any_request(api, backend, depth):
    in_a_set = {"state": {("x", *nested(depth))}}
    project = api.project("bad", backend.entity)
    lists = (
        lambda filters: api.runs(f"{backend.entity}/bad", filters=filters),
        lambda filters: project.collections(filters=filters),
    )
    with backend.counted() as requests:
        for listed in lists:
            for wrong in (nested(depth), [nested(depth)], in_a_set):
                with pytest.raises(errors.InvalidArgument, match="filters"):
                    listed(wrong)
    assert requests == []


def test_filters_of_some_levels_are_sent(api, backend):
    run = api.run(LoggedRun(backend, "deep").log(*steps(0, 3)).close().path)
    runs = api.runs("/".join(run.path[:2]), filters=nested(5))
    assert run.id in [one.id for one in runs]


@pytest.mark.parametrize("query", ["", " ", "-- x", ";", None, 5, "\ud800", "\0"])
def test_sql_that_selects_nothing_is_an_error(api, backend, query):
    run = api.run(LoggedRun(backend, "nothing").log(*steps(0, 3)).close().path)
    with pytest.raises(errors.InvalidArgument, match="SQL"):
        run.sql(query)
