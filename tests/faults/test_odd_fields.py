"""Runs and sweeps with some unreadable fields: the other fields are read."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake

PROJECT = RUN_PATH.rpartition("/")[0]
ROWS = [{"_step": step, "loss": float(step)} for step in range(5)]
ODD = {
    "no JSON": "{",
    "HTML": "<html>",
    "a list": "[1]",
    "a text": '"x"',
    "a number": "5",
    "not a number": "NaN",
    "nested deep": "[" * 100_000,
    "a list of the answer": [1],
    "a number of the answer": 5,
}


class OddServer(FaultServer):
    """Serves a run whose fields a test chooses, and records the updates that are sent."""

    sent: dict[str, Any]
    sweep: object

    def answer(self, query, variables):
        if "upsertBucket" in query:
            self.sent.update(variables)
            return {"upsertBucket": {"bucket": {"id": "1"}}}
        if "GetSweep" in query:
            return {"project": {"sweep": self.sweep}}
        return super().answer(query, variables)


@pytest.fixture(scope="module")
def server():
    with OddServer() as running:
        running.live_rows = ROWS
        running.history_keys["lastStep"] = 4
        yield running


@pytest.fixture
def odd(server):
    server.run = {"state": "finished", "config": '{"lr": {"value": 0.1}}', "summaryMetrics": "{}"}
    server.sent = {}
    return server


@pytest.fixture
def api(odd):
    return runlake.Api({"base_url": odd.base_url}, api_key=API_KEY)


def heard(call):
    """Return the result and the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call()
    return found, [str(one.message) for one in caught]


@pytest.mark.parametrize("field", ["summaryMetrics", "systemMetrics", "config"])
def test_a_field_that_is_no_json_object_costs_only_itself(odd, api, field):
    members = {"summaryMetrics": "summary", "systemMetrics": "system_metrics", "config": "config"}
    for odd_value in ODD.values():
        api.flush()
        odd.run[field] = odd_value
        run, said = heard(lambda: api.run(RUN_PATH))
        assert said == [
            f"The {field} of run '{RUN_PATH}' is no JSON object; it is shown as empty."
        ] or (field == "config" and said == [])
        assert {name: dict(getattr(run, name)) for name in members.values()} == {
            "summary": {},
            "system_metrics": {},
            "config": {} if field == "config" else {"lr": 0.1},
        }
        assert [row["loss"] for row in run.scan_history()] == [row["loss"] for row in ROWS]


def test_a_list_with_such_a_run_is_read_as_any_other(odd, api):
    odd.run["summaryMetrics"] = "NaN"
    runs = api.runs(PROJECT)
    assert len(list(runs)) == 1
    frame, said = heard(runs.frame)
    assert frame["summary"].to_list() == [{}] or frame["summary"].struct.fields == []
    assert len(said) == 1
    assert runs.scan(["loss"]).collect().height == len(runs.histories()) == 5
    assert heard(lambda: list(api.runs(PROJECT, lazy=False)))[0][0].config == {"lr": 0.1}


def test_a_file_that_could_not_be_read_is_not_overwritten(odd, api):
    odd.run |= {"config": "[1, 2]", "summaryMetrics": "NaN"}
    run, _ = heard(lambda: api.run(RUN_PATH))
    run.tags = ["a"]
    run.update()
    assert (odd.sent["tags"], odd.sent["config"]) == (["a"], "[1, 2]")
    assert "summaryMetrics" not in odd.sent
    run.config["lr"] = 1
    run.summary["loss"] = 2
    run.update()
    assert '"lr"' in odd.sent["config"]
    assert odd.sent["summaryMetrics"] == '{"loss": 2}'


@pytest.mark.parametrize("text", ["{", "- a", "x", "a: [", "metric: 5"])
def test_a_sweep_whose_config_is_no_mapping_is_shown_without_it(odd, api, text):
    odd.sweep = {"id": "1", "name": "s1", "displayName": None, "config": text, "state": "FINISHED"}
    sweep = api.sweep(f"{PROJECT}/s1")
    found, said = heard(lambda: (sweep.name, sweep.order))
    assert found == ("s1", None)
    assert all(re.search("config of sweep .*s1 is no YAML mapping", one) for one in said)
    assert bool(said) == (text != "metric: 5")


ODD_PAGES = [
    5,
    "x",
    {"a": 1},
    [5],
    [None],
    ["{"],
    ["[1]"],
    ['{"_step": 1e999}'],
    ['{"_step": NaN}'],
    ['{"_step": "a"}'],
    ['{"_step": 0, "a": ' + "[" * 100_000 + "]" * 100_000 + "}"],
]


def test_live_rows_of_wrong_shape_are_an_error_of_ours(odd, api, monkeypatch):
    run = api.run(RUN_PATH)
    pages: Iterator[Any] = iter(())

    def answer(query, variables):
        if "parquetHistory" in query or "HistoryPage" not in query:
            return FaultServer.answer(odd, query, variables)
        page = next(pages)
        samples = [page, page] if isinstance(page, list) else page
        return {"project": {"run": {"history": page, "sampledHistory": samples}}}

    monkeypatch.setattr(odd, "answer", answer)
    for keys in (None, ["loss"]):
        for page in ODD_PAGES:
            pages = iter([page] * 3)
            with pytest.raises(runlake.errors.RunlakeError, match=RUN_PATH):
                list(run.scan_history(keys=keys))
