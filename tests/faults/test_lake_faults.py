"""A pull of a project meets failing runs, kills, interrupts, other processes and a full disk."""

import json
import random
import signal
import subprocess
import time

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY
from tests.faults.project_server import N_ROWS, ProjectServer, small_export
from tests.server_process import bare_environment
from tests.thorough import some_of
from tests.warm_start import CLIENT, start_python

import runlake
from runlake import errors

PULL = """
import sys, runlake
lake = runlake.Lake()
print("go", flush=True)
print(lake.pull(sys.argv[1], workers=int(sys.argv[2]) or None).to_json(), flush=True)
"""


@pytest.fixture
def lake_at(monkeypatch):
    """Return a function that opens a lake for a server."""
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)

    def lake_at(server):
        monkeypatch.setenv("WANDB_BASE_URL", server.base_url)
        return runlake.Lake()

    return lake_at


def client_environment(server, cache):
    return {
        **bare_environment(),
        "WANDB_BASE_URL": server.base_url,
        "WANDB_API_KEY": API_KEY,
        "WANDB_CACHE_DIR": str(cache),
        "HOME": str(cache),
    }


def check_rows(server, cache, names):
    """Assert that runs are read from disk alone, each with its own rows."""
    settings = {"base_url": server.base_url, "cache_dir": str(cache)}
    api = runlake.Api(settings, api_key=API_KEY, offline=True)
    for name in names:
        number = int(name[3:])
        with pytest.warns(errors.StaleWarning):
            frame = api.run(f"{server.path}/{name}").frame()
        assert frame["n"].to_list() == [number] * N_ROWS
        assert frame["loss"].to_list() == [number + step / 8 for step in range(N_ROWS)]


@pytest.mark.parametrize("n_runs", some_of([24, 1000]))
def test_a_failing_twentieth_is_reported_and_asked_for_again(lake_at, monkeypatch, n_runs):
    # A stalled run fails after this time; a busy server of a thousand runs needs some itself.
    seconds = "2" if n_runs < 100 else "10"
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", seconds)
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", seconds)
    with ProjectServer(n_runs) as server:
        names = list(server.fields)
        bad = names[3::6] if n_runs < 100 else names[7::20]
        always = 50
        faults = [
            Fault(status=404),
            Fault(body=b"PAR1 no parquet at all PAR1"),
            Fault(status=500),
            Fault(stall_after=3),
        ]
        for at, name in enumerate(bad):
            server.fail(name, *[faults[at % len(faults)]] * always)
        lake = lake_at(server)
        first = lake.pull(server.path)
        assert set(first.failed) == {f"{server.path}/{name}" for name in bad}
        assert len(first.new) == n_runs - len(bad)
        assert all(one.reason and one.retry for one in first.failed.values())
        assert all("signature" not in one.reason for one in first.failed.values())
        server._faults.clear()
        server.seen.clear()
        second = lake.pull(server.path)
        assert set(second.new) == set(first.failed)
        assert set(second.unchanged) == set(first.new)
        asked = {seen.path.rsplit("/", 1)[1] for seen in server.seen if seen.origin == "storage"}
        assert asked == set(bad)
        check_rows(server, lake.path.parent, [*bad, *names[:3]])


def test_a_page_that_the_backend_refuses_is_requested_in_parts(lake_at):
    with ProjectServer(12) as server:
        refused = Fault(status=400, body=b'{"errors": [{"message": "too large"}]}')
        server.fail("graphql", refused)
        assert len(lake_at(server).pull(server.path).new) == 12
        assert server.operations[:2] == ["Runs", "Runs"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("n_rounds", some_of([2, 30]))
def test_a_pull_killed_at_any_moment_leaves_only_right_rows(tmp_path, lake_at, n_rounds):
    chance = random.Random(4)
    for number in range(n_rounds):
        with ProjectServer(60) as server:
            server.latency = 0.002
            cache = tmp_path / f"cache{number}"
            cache.mkdir()
            environment = client_environment(server, cache)
            # Without a number of workers, runs are pulled in batches.
            n_workers = "8" if number % 3 == 1 else "0"
            command = ["-c", PULL, server.path, n_workers]
            victim = start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE)
            assert victim.stdout is not None
            victim.stdout.readline()
            time.sleep(chance.random() * 0.8)
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
            lake_at(server)
            lake = runlake.Lake(cache)
            found = {run.run_id for run in lake._catalog.runs() if run.n_exports}
            on_disk = {file.parent.name for file in cache.rglob("manifest.json")}
            assert found == on_disk
            check_rows(server, cache, sorted(found)[:: max(1, len(found) // 8)])
            report = lake.pull(server.path)
            assert report.n_runs == 60
            assert not report.failed
            assert {path.rsplit("/", 1)[1] for path in report.unchanged} <= found
            assert lake.pull(server.path).n_requests == 2
            assert len(lake._catalog.runs()) == 60
            assert not list(cache.rglob("*.part"))


@pytest.mark.parametrize("n_workers", ["8", "0"], ids=["run by run", "in batches"])
def test_four_processes_fetch_each_export_once(tmp_path, lake_at, n_workers):
    with ProjectServer(40) as server:
        server.latency = 0.01
        environment = client_environment(server, tmp_path)
        command = ["-c", PULL, server.path, n_workers]
        pulls = [
            start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE) for _ in range(4)
        ]
        reports = []
        for pull in pulls:
            out, _ = pull.communicate(timeout=120)
            assert pull.returncode == 0
            reports.append(json.loads(str(out).splitlines()[-1]))
        assert [report["n_runs"] for report in reports] == [40] * 4
        assert not any(report["failed"] for report in reports)
        fetched = [seen.path for seen in server.seen if seen.origin == "storage"]
        assert len(fetched) == len(set(fetched)) == 40
        lake_at(server)
        lake = runlake.Lake(tmp_path)
        assert len(lake._catalog.runs()) == 40
        assert len(lake.pull(server.path).unchanged) == 40


def test_an_answer_that_a_batch_leaves_is_used_and_not_requested_again(lake_at):
    with ProjectServer(30) as server:
        # More bytes than a batch reads of one answer.
        server.store("run003", small_export(3, 200_000))
        server.fail("run005", Fault(status=403))
        server.fail("run007", Fault(cut_after=100))
        # The backend counts a row that is in no export.
        server.fields["run009"]["historyLineCount"] = N_ROWS + 1
        lake = lake_at(server)
        report = lake.pull(server.path)
        assert len(report.new) == 30
        n_requests = {name: server.count(name) for name in server.fields}
        assert n_requests.pop("run005") == n_requests.pop("run007") == 2
        assert set(n_requests.values()) == {1}
        names = [name for name in server.fields if name not in {"run003", "run009"}]
        check_rows(server, lake.path.parent, names[::3])


FULL = """
import resource, signal, sys, runlake
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    runlake.Lake().pull(sys.argv[1], workers=1)
except runlake.errors.CacheFull as error:
    print(error.report.to_json())
"""


def test_a_full_disk_in_the_middle_loses_nothing(tmp_path, lake_at):
    with ProjectServer(20) as server:
        # A file larger than the limit stands for a disk without room for it.
        server.store("run015", small_export(15, 200_000))
        environment = client_environment(server, tmp_path)
        command = ["-c", FULL, server.path, str(600_000)]
        done = start_python(command, CLIENT, env=environment, stdout=subprocess.PIPE)
        out, _ = done.communicate(timeout=100)
        report = json.loads(str(out))
        assert len(report["new"]) == 15
        assert report["is_interrupted"]
        lake_at(server)
        lake = runlake.Lake(tmp_path)
        check_rows(server, tmp_path, [path.rsplit("/", 1)[1] for path in report["new"]])
        server.store("run015", small_export(15))
        again = lake.pull(server.path)
        assert set(again.unchanged) == set(report["new"])
        assert len(again.new) == 5


def test_an_interrupt_says_what_was_done(lake_at):
    with ProjectServer(30) as server:
        lake = lake_at(server)
        server.fail("run020", Fault(before=lambda: signal.raise_signal(signal.SIGINT)))
        server.fail("run021", Fault(seconds_before=0.5))
        with pytest.raises(KeyboardInterrupt) as told:
            lake.pull(server.path, workers=2)
        report = told.value.report  # type: ignore[attr-defined]
        assert report.is_interrupted
        assert "Interrupted" in told.value.__notes__[0]
        assert 10 < len(report.new) < 30
        again = lake.pull(server.path)
        assert set(report.new) <= set(again.unchanged)
        assert again.n_runs == 30


def test_a_list_that_ends_in_an_error_keeps_what_was_pulled(lake_at):
    with ProjectServer(120) as server:
        answer = server.answer

        def breaking(query, variables):
            if "summaryMetrics" in query and variables["cursor"] is not None:
                return {"project": {"runs": "no list"}}
            return answer(query, variables)

        server.answer = breaking  # type: ignore[method-assign]
        lake = lake_at(server)
        with pytest.raises(errors.ProtocolError):
            lake.pull(server.path)
        server.answer = answer  # type: ignore[method-assign]
        assert lake.pull(server.path).n_runs == 120


def test_only_some_keys_of_a_large_export_are_incomplete(lake_at, wide_export):
    with ProjectServer(1) as server:
        server.store("run000", wide_export)
        lake = lake_at(server)
        path = f"{server.path}/run000"
        some = lake.pull(server.path, keys=["key007"])
        assert some.new == (path,)
        assert some.n_bytes < len(wide_export) / 4
        assert lake.pull(server.path, keys=["key007"]).unchanged == (path,)
        assert [run.n_bytes < len(wide_export) for run in lake._catalog.runs()] == [True]
        assert lake.pull(server.path).changed == (path,)
        assert lake.pull(server.path, keys=["key007"]).unchanged == (path,)
