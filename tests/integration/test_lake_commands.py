"""The command line of the lake: snapshots, publications, verification and copies."""

import json
import re

import pytest
from tests.command_shell import run_command
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment, running_server

import runlake


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("there"), export_rows=1000) as server:
        yield server


@pytest.fixture(scope="module")
def project(backend):
    for number in range(3):
        run = LoggedRun(backend, f"r{number}", "lake-commands", number=number)
        run.log(*steps(0, 4))
        if number == 0:
            log_artifact(run, "weights", {"w.bin": b"w" * 100})
        run.finish()
    return f"{backend.entity}/lake-commands"


@pytest.fixture(scope="module")
def shell(backend, project, tmp_path_factory):
    """Return a function that runs a command line on a lake with three runs."""
    environment = client_environment(backend, tmp_path_factory.mktemp("shell"))

    def run(*words, status=0, **changed):
        done = run_command(environment | changed, *words)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    assert "3 new" in run("pull", project, "--files")
    return run


def test_a_snapshot_is_taken_listed_cited_verified_and_deleted(shell, project):
    text = shell("lake", "snapshot", "paper")
    assert "Snapshot 'paper' of a lake of runs: 3 runs" in text
    assert f"{project}/r0  sha256:" in text
    assert shell("lake", "cite", "paper") == text
    cited = json.loads(shell("lake", "cite", "paper", "--json"))
    assert cited["digest"] in text
    assert len(cited["runs"]) == 3
    assert cited["recipe"] in text
    (row,) = json.loads(shell("lake", "snapshots", "--json"))
    assert (row["name"], row["n_runs"], row["digest"]) == ("paper", 3, cited["digest"])
    assert shell("lake", "snapshots").splitlines()[1].startswith("paper\t")
    verified = json.loads(shell("lake", "verify", "paper", "--json"))
    assert {one["status"] for one in verified} == {"intact"}
    assert shell("lake", "delete-snapshot", "paper") == ""
    assert json.loads(shell("lake", "snapshots", "--json")) == []
    shell("lake", "cite", "paper", status=1)
    shell("lake", "snapshot", "", status=2)


def test_verify_fails_if_a_pull_would_change_something(shell, backend, project):
    rows = json.loads(shell("lake", "verify", "--json"))
    assert [one["status"] for one in rows] == ["complete"] * 3
    assert [one["n_missing_artifacts"] for one in rows] == [1, 0, 0]
    assert "1 artifact," in shell("pull", project, "--artifacts")
    rows = json.loads(shell("lake", "verify", "--json"))
    assert [one["n_missing_artifacts"] for one in rows] == [0, 0, 0]
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    changed = api.run(f"{project}/r1")
    changed.notes = "new"
    changed.update()
    text = shell("lake", "verify", status=1)
    assert re.search(r"r1\tchanged\tits fields have changed: .*\bnotes", text)
    shell("pull", project)
    shell("lake", "verify")


def test_a_lake_is_published_whole_or_in_part(shell, tmp_path):
    place = tmp_path / "place"
    filters = json.dumps({"config.number": {"$gt": 0}})
    report = json.loads(shell("lake", "publish", place, "--filters", filters, "--json"))
    assert report["n_runs"] == 2
    assert len(runlake.Lake(place)) == 2
    assert "Published 3 runs" in shell("lake", "publish", place)
    frame = runlake.Lake(place).scan(["loss"]).collect()
    assert frame.height == 12
    shell("lake", "publish", place, "--secrets", "perhaps", status=2)
    shell("lake", "publish", place, "--filters", "{", status=2)
    shell("lake", "publish", place, "--at", "none", status=1)


def test_runs_are_pushed_to_another_backend(shell, project, there):
    key = {"WANDB_API_KEY": there.api_key}
    told = json.loads(shell("push", there.base_url, project, "--dry-run", "--json", **key))
    assert (told["is_dry_run"], len(told["pushed"]), told["n_rows"]) == (True, 3, 12)
    one = f"{project}/r1"
    text = shell("push", there.base_url, one, "--project", "copies", **key)
    assert "Pushed 1 of 1 run:" in text
    again = json.loads(
        shell("push", there.base_url, one, "--project", "copies", "--json", status=1, **key)
    )
    assert "has a run" in again["failed"][one]
    filters = json.dumps({"config.number": 2})
    more = json.loads(
        shell("push", there.base_url, "--filters", filters, "--project", "copies", "--json", **key)
    )
    assert list(more["pushed"]) == [f"{project}/r2"]
    api = runlake.Api({"base_url": there.base_url}, api_key=there.api_key)
    assert [row["loss"] for row in api.run(more["pushed"][f"{project}/r2"]).scan_history()] == [
        1 / (step + 1) for step in range(4)
    ]
    shell("push", there.base_url, one, "--filters", filters, status=2)
    shell("push", there.base_url, f"{project}/none", status=1, **key)
