"""A run that is scanned again and again while it grows, is exported and compacted."""

import random
import threading
from typing import Any

import pyarrow as pa
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.test_vendor_cache_defects import written
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server
from tests.thorough import some_of

import runlake

# Seeds, and how often a run changes.
ROUNDS = some_of([(0, 12), *((seed, 25) for seed in range(4))])


class GrowingRun:
    """A run that logs, is exported and compacted at random, one change at a time."""

    def __init__(self, server, seed):
        self._server = server
        self._chance = random.Random(seed)
        self._exported = []
        self._live = []
        self._n_exports = 0
        self._n_moments = 0
        server.run["state"] = "running"

    @property
    def rows(self):
        return [row for export in self._exported for row in export] + self._live

    def change(self):
        self._chance.choice([self._log, self._log, self._export, self._compact])()
        self._publish()

    def _log(self):
        first = len(self.rows)
        for step in range(first, first + self._chance.randint(1, 12)):
            row = {"_step": step, "loss": float(step)}
            self._live.append(row if step % 5 else {**row, "acc": step})

    def _export(self):
        n_rows = self._chance.randint(0, len(self._live))
        if n_rows:
            self._exported.append(self._live[:n_rows])
            self._live = self._live[n_rows:]

    def _compact(self):
        merged = [row for export in self._exported for row in export]
        self._exported = [merged] if merged else []

    def _publish(self):
        self._n_moments += 1
        self._server.live_rows = list(self._live)
        contents = {}
        for rows in self._exported:
            columns = {key: [row.get(key) for row in rows] for key in ("_step", "loss", "acc")}
            schema = {"_step": pa.int64(), "loss": pa.float64(), "acc": pa.int64()}
            name = f"{rows[0]['_step']}-{rows[-1]['_step']}"
            contents[name] = written(pa.table(columns, pa.schema(schema)), row_group_size=7)
        self._server.run["heartbeatAt"] = f"moment {self._n_moments}"
        self._server.offer(**contents)


@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
def test_every_scan_has_every_row_of_its_moment(faulty, rounds):
    seed, n_changes = rounds
    growing = GrowingRun(faulty, seed)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    for _ in range(n_changes):
        growing.change()
        rows = growing.rows
        assert list(run.scan_history()) == rows
        if any("acc" in row for row in rows):
            both = [row for row in rows if "acc" in row]
            assert list(run.scan_history(["loss", "acc"])) == both
            assert run.frame(["loss", "acc"]).to_dicts() == both


@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
def test_no_row_is_lost_that_moves_into_an_export_during_a_scan(faulty, rounds):
    seed, n_changes = rounds
    growing = GrowingRun(faulty, seed)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    for _ in range(n_changes):
        growing.change()
        before = growing.rows
        faulty.fail("graphql", 200, Fault(before=growing.change))
        found = list(run.scan_history())
        assert found[: len(before)] == before
        faulty._faults["graphql"].clear()


@pytest.mark.parametrize("rounds", ROUNDS, ids=str)
def test_a_follower_sees_each_row_once_whatever_happens_to_the_exports(faulty, rounds):
    seed, n_changes = rounds
    growing = GrowingRun(faulty, seed)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    followed: list[dict[str, Any]] = []

    def change_at_each_look():
        if faulty.run["state"] == "running":
            growing.change()
            if growing._n_moments > 2 * n_changes:
                faulty.run["state"] = "finished"
            faulty.fail("graphql", Fault(before=change_at_each_look))

    change_at_each_look()
    followed.extend(run.follow(poll=0.001))
    assert followed == growing.rows


@pytest.mark.parametrize("n_rows", some_of([80, 160]))
def test_scans_beside_a_run_that_logs_never_lose_a_row(tmp_path, n_rows):
    with running_server(tmp_path / "server", export_rows=10) as server:
        logged = LoggedRun(server, "beside")
        n_logged = 0
        run = None
        over = threading.Event()

        def log():
            nonlocal n_logged
            for first in range(0, n_rows, 8):
                logged.log(*steps(first, first + 8))
                n_logged = first + 8
            over.set()

        thread = threading.Thread(target=log)
        logged.log(*steps(0, 8))
        run = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(logged.path)
        thread.start()
        while not over.is_set():
            n_before = n_logged
            found = [row["_step"] for row in run.scan_history()]
            assert found == list(range(len(found)))
            assert len(found) >= n_before
        thread.join()
        logged.finish()
        assert len(list(run.scan_history())) == n_rows


def rewritten(first, n_rows, factor):
    loss = [float(step) * factor for step in range(first, first + n_rows)]
    return written(pa.table({"_step": list(range(first, first + n_rows)), "loss": loss}))


def goes_on(server):
    server.offer(a=rewritten(0, 50, 1), b=rewritten(50, 30, 1))


def is_compacted(server):
    server.offer(ab=rewritten(0, 60, 1))


def is_replaced(server):
    server.offer(a=rewritten(0, 50, -1))


def loses_rows(server):
    server.offer(a=rewritten(0, 20, 1))


def logs_live_rows(server):
    server.live_rows = [{"_step": step, "loss": 0.5} for step in range(45, 60)]
    server.offer(a=rewritten(0, 50, 1))


@pytest.mark.parametrize("change", [goes_on, is_compacted, is_replaced, loses_rows, logs_live_rows])
@pytest.mark.parametrize("keys", [None, ["loss"]])
def test_a_finished_run_that_changed_is_read_as_it_is_now(faulty, tmp_path, change, keys):
    faulty.offer(a=rewritten(0, 50, 1))
    # So far away that the first rows are decoded while it is asked.
    faulty.latency = 0.02
    settings = {"base_url": faulty.base_url, "cache_dir": str(tmp_path / "known")}
    run = runlake.Api(settings, api_key=API_KEY).run(RUN_PATH)
    list(run.beta_scan_history(keys=keys))
    before = list(run.beta_scan_history(keys=keys))
    change(faulty)
    faulty.run["heartbeatAt"] = "2026-01-02T00:00:00"
    settings["cache_dir"] = str(tmp_path / "new")
    expected = list(
        runlake.Api(settings, api_key=API_KEY).run(RUN_PATH).beta_scan_history(keys=keys)
    )
    assert expected != before
    assert list(run.beta_scan_history(keys=keys)) == expected
