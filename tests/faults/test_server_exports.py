"""Exports of the embedded backend are written later: none is lost, doubled or stale."""

import random
import time

import httpx
import pytest
from tests.command_shell import run_command
from tests.http_logging import LoggedRun, steps
from tests.integration.test_server_check import pages
from tests.server_process import NO_TLS, running_server, wait_until
from tests.stored_objects import select
from tests.thorough import some_of

import runlake

PARQUET = """
query Run($entity: String, $project: String, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { parquetHistory(liveKeys: ["_step"]) { parquetUrls liveData } }
  }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("exports")) as running:
        yield running


def open_run(server, path):
    return runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)


def exports_for_the_sdk(server, path):
    entity, project, name = path.split("/")
    variables = {"entity": entity, "project": project, "name": name}
    answer = httpx.post(
        f"{server.base_url}/graphql",
        json={"query": PARQUET, "variables": variables},
        auth=("api", server.api_key),
        verify=NO_TLS,
        trust_env=False,
    )
    return answer.json()["data"]["project"]["run"]["parquetHistory"]


def test_a_reader_right_after_the_end_of_a_run_gets_complete_exports(server):
    path = LoggedRun(server, "ended").log(*steps(0, 30)).finish().path
    pulled = open_run(server, path).pull()
    assert (pulled.n_rows, pulled.n_live_rows) == (30, 0)


def test_a_run_that_starts_over_is_exported_for_readers_that_know_objects(server):
    LoggedRun(server, "again").log(*steps(0, 30)).finish()
    path = f"{server.entity}/http/again"
    run = open_run(server, path)
    assert len(list(run.beta_scan_history())) == 30
    assert len(exports_for_the_sdk(server, path)["parquetUrls"]) == 1

    LoggedRun(server, "again").log(*({"_step": step, "loss": -1.0} for step in range(5))).finish()
    pulled = open_run(server, path).pull()
    assert (pulled.n_rows, pulled.n_live_rows) == (5, 0)
    for opened in (run, open_run(server, path)):
        assert [row["loss"] for row in opened.beta_scan_history()] == [-1.0] * 5
    # The SDK has a file of the first export under the same position.
    found = exports_for_the_sdk(server, path)
    assert found["parquetUrls"] == []
    assert [row["_step"] for row in found["liveData"]] == [*range(5)]


def test_exports_that_a_kill_interrupts_are_written_after_the_restart(tmp_path):
    n_logged = 0
    with running_server(tmp_path, export_rows=100) as server:
        key, logged = server.api_key, LoggedRun(server, "killed")
        for _ in range(13):
            logged.log(*steps(n_logged, n_logged + 25))
            n_logged += 25
        path = logged.close().path
        server.kill()
    with running_server(tmp_path, api_key=key, export_rows=100) as server:
        run = open_run(server, path)
        pulled = run.pull()
        assert [row["_step"] for row in run.beta_scan_history()] == [*range(n_logged)]
        assert pulled.n_live_rows == n_logged % 100
        assert "could not be exported" not in (tmp_path / "server.log").read_text()


@pytest.mark.parametrize("drops", some_of([True, False]))
@pytest.mark.parametrize("n_rounds", some_of([2, 20]))
def test_kills_while_lines_are_compressed_or_dropped_lose_no_row(tmp_path, n_rounds, drops):
    random.seed(n_rounds)
    n_rows = 500
    options = {"export_rows": 50} | ({"drop_exported_lines": True} if drops else {})
    data_dir, key = tmp_path / "data", None
    for number in range(n_rounds):
        with running_server(data_dir, api_key=key, **options) as server:
            key = server.api_key
            for earlier in range(number):
                assert pages(server, f"killed{earlier}", n_rows) == steps(0, n_rows)
            LoggedRun(server, f"killed{number}").log(*steps(0, n_rows)).finish()
            time.sleep(random.uniform(0.1, 0.6))
            server.kill()
    waiting = "SELECT (SELECT count(*) FROM lines)"
    if drops:
        waiting += " + (SELECT count(content) FROM line_blocks)"
    with running_server(data_dir, api_key=key, **options) as server:
        wait_until(lambda: select(data_dir, waiting) == [0])
        for number in range(n_rounds):
            assert pages(server, f"killed{number}", n_rows) == steps(0, n_rows)
        LoggedRun(server, "killed0").log(*steps(0, 60, again=True)).finish()
        wait_until(lambda: select(data_dir, waiting) == [0])
        assert pages(server, "killed0", n_rows) == steps(0, 60, again=True)
        assert pages(server, "killed1", n_rows) == steps(0, n_rows)
    assert run_command({}, "server", "check", "--data-dir", data_dir).returncode == 0
