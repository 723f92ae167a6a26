"""``Run.follow``: rows of a run while it logs, is exported, and its backend is unreachable."""

import itertools
import queue
import signal
import threading
from typing import Any

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.faults.parquet import export_bytes
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server

import runlake

POLL = 0.05
SECONDS = 30


class Follower:
    """Follows a run on a thread of its own; rows are taken from it one by one."""

    def __init__(self, run, *args, **options):
        self._rows: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(
            target=self._follow, args=(run, args, {"poll": POLL, **options}), daemon=True
        )
        self._thread.start()

    def _follow(self, run, args, options):
        try:
            for row in run.follow(*args, **options):
                self._rows.put(row)
        except Exception as error:  # noqa: BLE001 - the test shows it
            self._rows.put(error)
        self._rows.put(None)

    def take(self, n_rows):
        rows = [self._rows.get(timeout=SECONDS) for _ in range(n_rows)]
        assert all(isinstance(row, dict) for row in rows), rows
        return [row["_step"] for row in rows]

    def rest(self):
        self._thread.join(SECONDS)
        rows = list(iter(lambda: self._rows.get(timeout=SECONDS), None))
        assert all(isinstance(row, dict) for row in rows), rows
        return [row["_step"] for row in rows]


@pytest.fixture
def small_exports(tmp_path):
    """Return a function that restarts the server; exports of 10 rows."""
    ports: dict[str, Any] = {}

    def start():
        return running_server(tmp_path / "server", export_rows=10, **ports)

    with start() as server:
        ports["port"] = int(server.base_url.rsplit(":", 1)[1])
        ports["storage_port"] = int(server.storage_url.rsplit(":", 1)[1])
        ports["api_key"] = server.api_key
        yield server, start


def open_run(server, path):
    return runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)


def test_a_run_that_was_followed_knows_how_it_ended(backend):
    logged = LoggedRun(backend, "followed").log(*steps(0, 3))
    run = open_run(backend, logged.path)
    follower = Follower(run)
    assert (run.state, follower.take(3)) == ("running", [0, 1, 2])
    logged.log(*steps(3, 5)).finish(exit_code=1)
    assert follower.rest() == [3, 4]
    assert (run.state, run.history_line_count) == ("failed", 5)
    assert run.heartbeat_at == open_run(backend, logged.path).heartbeat_at


def test_each_row_comes_once_and_in_order_while_exports_appear(small_exports):
    server, _ = small_exports
    logged = LoggedRun(server, "growing").log(*steps(0, 25))
    run = open_run(server, logged.path)
    follower = Follower(run, ["loss"])
    assert follower.take(25) == list(range(25))
    for start in range(25, 145, 8):
        logged.log(*steps(start, start + 8))
        assert follower.take(8) == list(range(start, start + 8))
    logged.log(*steps(145, 163))
    logged.finish()
    assert follower.rest() == list(range(145, 163))
    assert run.explain().n_live_steps < 10


def test_a_poll_without_new_rows_costs_one_request(small_exports):
    server, _ = small_exports
    logged = LoggedRun(server, "idle").log(*steps(0, 25))
    follower = Follower(open_run(server, logged.path))
    follower.take(25)
    looks = threading.Event()
    with server.counted() as requests:
        looks.wait(1)
    assert len(requests) > 3
    assert {request["operation"] for request in requests} == {"RunHistoryManifest"}
    logged.finish()
    assert follower.rest() == []


def test_rows_that_are_live_cost_a_page_and_no_look_at_exports():
    with FaultServer() as server:
        server.live_rows = [{"_step": step, "loss": 1.0} for step in range(20_000, 20_010)]
        server.offer(a=export_bytes())
        server.run["state"] = "running"
        rows = (
            runlake.Api({"base_url": server.base_url}, api_key=API_KEY)
            .run(RUN_PATH)
            .follow(poll=POLL)
        )
        assert len(list(itertools.islice(rows, 20_010))) == 20_010
        before = len(server.seen)
        server.run["heartbeatAt"] = "2026-01-02T00:00:00"
        server.live_rows.append({"_step": 20_010, "loss": 2.0})
        assert next(rows)["_step"] == 20_010
        asked = [seen.operation for seen in server.seen[before:]]
        assert asked.count("HistoryPage") == 1
        assert set(asked) == {"HistoryPage", "RunHistoryManifest"}


def test_a_backend_that_was_away_is_waited_for(small_exports, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
    server, start = small_exports
    logged = LoggedRun(server, "outage").log(*steps(0, 12)).close()
    follower = Follower(open_run(server, logged.path))
    assert follower.take(12) == list(range(12))
    server.kill()
    threading.Event().wait(1)
    with start() as again:
        resumed = LoggedRun(again, "outage")
        resumed.log(*steps(12, 40), offset=12)
        assert follower.take(28) == list(range(12, 40))
        resumed.finish()
        assert follower.rest() == []


def test_a_backend_that_is_away_at_the_first_look_is_an_error(monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
    with FaultServer() as server:
        run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
        server.hang_up()
        with pytest.raises(runlake.errors.Unreachable):
            next(run.follow(poll=POLL))


def test_following_goes_on_after_an_error_of_the_server_in_mid_read(faulty_run):
    server, run = faulty_run
    server.live_rows = [{"_step": step} for step in range(5)]
    rows = run.follow(poll=POLL)
    assert [next(rows)["_step"] for _ in range(5)] == list(range(5))
    server.live_rows += [{"_step": step} for step in range(5, 8)]
    server.fail("graphql", 200, *[503] * 5)
    assert [next(rows)["_step"] for _ in range(3)] == [5, 6, 7]


@pytest.fixture
def faulty_run(monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
    with FaultServer() as server:
        server.run["state"] = "running"
        yield server, runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)


def test_a_rewound_run_yields_the_rows_that_are_logged_again(faulty_run):
    server, run = faulty_run
    server.live_rows = [{"_step": step, "try": 1} for step in range(8)]
    server.run["historyLineCount"] = 8
    follower = Follower(run)
    assert follower.take(8) == list(range(8))
    server.run["historyLineCount"] = 5
    server.live_rows = server.live_rows[:5]
    looked = len(server.seen)
    while len(server.seen) < looked + 3:
        threading.Event().wait(POLL)
    server.live_rows = server.live_rows + [{"_step": step, "try": 2} for step in range(5, 9)]
    assert follower.take(4) == [5, 6, 7, 8]
    server.run["state"] = "finished"
    assert follower.rest() == []


def test_rows_that_a_rewound_run_logs_between_two_polls_are_yielded_once(faulty_run):
    server, run = faulty_run
    server.live_rows = [{"_step": step, "try": 1} for step in range(8)]
    server.run["historyLineCount"] = 8
    follower = Follower(run)
    assert follower.take(8) == list(range(8))

    def rewind():
        server.live_rows, server.run["historyLineCount"] = server.live_rows[:5], 5
        server.fail("graphql", Fault(before=log_again))

    def log_again():
        server.live_rows += [{"_step": step, "try": 2} for step in range(5, 7)]
        server.run["historyLineCount"] = 7

    server.fail("graphql", Fault(before=rewind))
    assert follower.take(2) == [5, 6]
    server.live_rows += [{"_step": step, "try": 2} for step in range(7, 10)]
    server.run["historyLineCount"] = 10
    assert follower.take(3) == [7, 8, 9]
    server.run["state"] = "finished"
    assert follower.rest() == []


def test_one_answer_of_a_backend_that_lags_brings_no_row_again(faulty_run):
    server, run = faulty_run
    rows = [{"_step": step} for step in range(8)]
    server.live_rows = rows
    server.run["historyLineCount"] = 8
    follower = Follower(run)
    follower.take(8)

    def lag():
        server.live_rows, server.run["historyLineCount"] = rows[:5], 5
        server.fail("graphql", Fault(before=catch_up))

    def catch_up():
        server.live_rows, server.run["historyLineCount"] = [*rows, {"_step": 8}], 9
        server.run["state"] = "finished"

    server.fail("graphql", Fault(before=lag))
    assert follower.rest() == [8]


def test_only_rows_with_the_keys_are_yielded_from_the_first_requested_step(small_exports):
    server, _ = small_exports
    rows = steps(0, 40)
    for row in rows[::7]:
        row["acc"] = 1
    logged = LoggedRun(server, "sparse").log(*rows).finish()
    run = open_run(server, logged.path)
    assert list(run.follow(["acc"], min_step=8)) == list(run.scan_history(["acc"], min_step=8))
    assert [row["_step"] for row in run.follow(["acc", "loss"], how="any")] == list(range(40))


def test_a_run_that_is_over_and_empty_ends_at_once(small_exports):
    server, _ = small_exports
    logged = LoggedRun(server, "empty").finish()
    assert list(open_run(server, logged.path).follow()) == []


def test_an_interrupt_ends_the_wait_between_two_looks(faulty_run):
    server, run = faulty_run
    server.live_rows = [{"_step": 0}]
    rows = run.follow(poll=600)
    assert next(rows) == {"_step": 0}
    here = threading.get_ident()
    timer = threading.Timer(0.3, signal.pthread_kill, [here, signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    assert list(rows) == []


def test_following_can_be_closed_in_mid_read(faulty_run):
    server, run = faulty_run
    server.live_rows = [{"_step": step} for step in range(5000)]
    rows = run.follow(poll=600)
    next(rows)
    rows.close()
    assert list(rows) == []


@pytest.mark.parametrize("poll", [0, -1, "5", True, float("nan"), float("inf")])
def test_a_wrong_time_to_wait_is_an_error_before_any_request(faulty_run, poll):
    server, run = faulty_run
    before = len(server.seen)
    with pytest.raises(ValueError, match="poll must be"):
        run.follow(poll=poll)
    assert len(server.seen) == before


@pytest.mark.parametrize(
    "history_keys", [None, {}, {"lastStep": None}, {"lastStep": -1}, {"lastStep": 4}]
)
def test_exported_rows_are_returned_whatever_the_last_step_is(faulty_run, history_keys):
    server, run = faulty_run

    def offer(**exports):
        server.history_keys = {}
        server.offer(**exports)
        server.history_keys = history_keys

    offer(a=export_bytes(n_rows=10))
    rows = run.follow(poll=POLL)
    assert [next(rows)["_step"] for _ in range(10)] == list(range(10))
    offer(a=export_bytes(n_rows=10), b=export_bytes(10, 5))
    assert [next(rows)["_step"] for _ in range(5)] == list(range(10, 15))
    server.run["state"] = "finished"
    assert list(rows) == []


def test_rows_that_nothing_lists_come_while_they_are_logged(faulty_run):
    server, run = faulty_run
    server.lists_live_steps = False
    server.history_keys = None
    server.live_rows = [{"_step": step} for step in range(5)]
    server.run["historyLineCount"] = 5
    rows = run.follow(poll=POLL)
    assert [next(rows)["_step"] for _ in range(5)] == list(range(5))
    server.live_rows += [{"_step": step} for step in range(5, 8)]
    server.run["historyLineCount"] = 8
    assert [next(rows)["_step"] for _ in range(3)] == [5, 6, 7]
    server.run["state"] = "finished"
    assert list(rows) == []
