"""Starting the server: addresses, remembered ports, and errors at the start."""

import socket
import sqlite3
import threading
import time

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, running_server, wait_until

import runlake


def test_a_restarted_server_has_its_storage_port_again(tmp_path):
    with running_server(tmp_path / "data") as first:
        pass
    taken = socket.create_server(("127.0.0.1", int(first.storage_url.rpartition(":")[2])))
    with taken, running_server(tmp_path / "data", api_key=first.api_key) as second:
        assert second.storage_url != first.storage_url
    with running_server(tmp_path / "data", api_key=first.api_key) as third:
        assert third.storage_url == first.storage_url


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_a_server_listens_on_an_address_of_version_6(tmp_path):
    with running_server(tmp_path / "data", host="::1", export_rows=10) as server:
        assert server.base_url.startswith("http://[::1]:")
        path = LoggedRun(server, "six").log(*steps(0, 20)).finish().path
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        assert len(list(api.run(path).beta_scan_history())) == 20


@pytest.fixture
def no_database(tmp_path):
    directory = tmp_path / "no-database"
    directory.mkdir()
    (directory / "runlake.sqlite").write_bytes(b"garbage" * 1000)
    return directory


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--ready-file", "/nonexistent/r"], "ready file '/nonexistent/r'"),
        (["serve", "--access-log", "/nonexistent/a"], "access log '/nonexistent/a'"),
        (["serve", "--data-dir", "/dev/null/x"], "'/dev/null/x' cannot be used"),
        (["serve", "--data-dir", "{no_database}"], "no-database' cannot be used"),
        (["serve", "--host", "nohost.invalid"], "nohost.invalid cannot be used"),
        (["serve", "--user", "a/b"], "'a/b' must be letters"),
        (["server", "user", "list", "--data-dir", "{no_database}"], "no-database' cannot be used"),
        (["server", "user", "add", "x", "--data-dir", "{no_database}"], "cannot be used"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_server_that_cannot_start_says_why_in_one_sentence(
    tmp_path, no_database, arguments, said
):
    arguments = [argument.format(no_database=no_database) for argument in arguments]
    if "--data-dir" not in arguments:
        arguments += ["--data-dir", tmp_path / "data"]
    port = ["--port", "0"] if arguments[0] == "serve" else []
    done = run_command({}, *arguments, *port)
    assert done.returncode == (2 if "--user" in arguments else 1)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_name_of_the_first_user_is_checked_where_there_is_one_already(tmp_path):
    with running_server(tmp_path / "data"):
        pass
    done = run_command({}, "serve", "--port", "0", "--data-dir", tmp_path / "data", "--user", "a/b")
    assert (done.returncode, "'a/b' must be letters" in done.stderr) == (2, True)


UPLOAD = """
mutation CreateRunFiles($entity: String!, $run: String!) {
  createRunFiles(
    input: {entityName: $entity, projectName: "http", runName: $run, files: ["big.bin"]}
  ) { files { uploadUrl } }
}
"""


def test_an_upload_that_waits_for_the_database_delays_no_other_request(tmp_path):
    with running_server(tmp_path / "data") as server:
        logged = LoggedRun(server, "upload")
        answer = logged.graphql(UPLOAD, {"entity": server.entity, "run": "upload"})
        logged.close()
        url = answer["data"]["createRunFiles"]["files"][0]["uploadUrl"]
        statuses = []
        database = sqlite3.connect(tmp_path / "data" / "runlake.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        upload = threading.Thread(
            target=lambda: statuses.append(
                httpx.put(url, verify=NO_TLS, content=b"x", timeout=60).status_code
            )
        )
        upload.start()
        time.sleep(0.5)
        health = httpx.get(f"{server.base_url}/healthz", verify=NO_TLS, timeout=10)
        assert (health.text, statuses) == ("ok", [])
        database.execute("ROLLBACK")
        database.close()
        upload.join()
        assert statuses == [200]


def test_a_run_that_ends_while_it_is_found_silent_keeps_its_end(tmp_path):
    with running_server(tmp_path / "data", crash_after=1) as server:
        path = LoggedRun(server, "ends").close().path
        database = sqlite3.connect(tmp_path / "data" / "runlake.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE runs SET state = 'finished'")
        time.sleep(2)
        database.execute("COMMIT")
        database.close()
        other = LoggedRun(server, "other").close().path
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        wait_until(lambda: read_state(api, other) == "crashed")
        assert read_state(api, path) == "finished"


def test_a_silent_run_that_announced_its_preemption_was_preempted(tmp_path):
    with running_server(tmp_path / "data", crash_after=1) as server:
        path = LoggedRun(server, "taken").log(*steps(0, 3)).close().path
        url = f"{server.base_url}/files/{path}/file_stream"
        httpx.post(url, json={"preempting": True}, auth=("api", server.api_key), verify=NO_TLS)
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        wait_until(lambda: read_state(api, path) == "preempted")
        wait_until(lambda: api.run(path).pull().n_rows == 3)


def read_state(api, path):
    run = api.run(path)
    run.load(force=True)
    return run.state
