"""Lines that cannot be stored are refused; every stored line can be exported and read."""

import json
import math

import httpx
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, running_server, wait_until

import runlake


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own, whose log can be read."""
    directory = tmp_path_factory.mktemp("lines")
    with running_server(directory, export_rows=1000, crash_after=2) as running:
        yield running


def open_run(server, path):
    return runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(path)


def send(server, path, **body):
    """Send a file-stream request that may be malformed; lone surrogates are sent as they are."""
    url = f"{server.base_url}/files/{path}/file_stream"
    auth = ("api", server.api_key)
    return httpx.post(url, content=json.dumps(body), auth=auth, verify=NO_TLS, trust_env=False)


def history(*lines, offset=0):
    return {"wandb-history.jsonl": {"offset": offset, "content": list(lines)}}


BAD_LINES = {
    "no JSON": "nope",
    "a list": "[1]",
    "null": "null",
    "a text as step": '{"_step": "a", "x": 1}',
    "half a step": '{"_step": 0.5, "x": 1}',
    "a truth as step": '{"_step": true, "x": 1}',
    "a negative step": '{"_step": -3, "x": 1}',
    "a step beyond 64 bits": '{"_step": 9223372036854775808, "x": 1}',
    "an endless number": f'{{"_step": 0, "x": 1{"0" * 5000}}}',
    "lists without end": f'{{"_step": 0, "x": {"[" * 900}{"]" * 900}}}',
    "dicts without end": f'{{"_step": 0, "x": {"{" * 5000}',
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_line_that_cannot_be_stored_is_refused_with_its_whole_request(server, what):
    path = LoggedRun(server, f"bad-{abs(hash(what))}").close().path
    answer = send(server, path, files=history('{"_step": 0, "x": 1}', BAD_LINES[what]))
    assert answer.status_code == 400
    assert "line 1 of 'wandb-history.jsonl'" in answer.json()["errors"][0]["message"]
    assert open_run(server, path).lastHistoryStep == -1


@pytest.mark.parametrize(
    "body",
    [
        {"files": [1]},
        {"files": {"wandb-history.jsonl": {"offset": 2**31, "content": []}}},
        {"files": {"wandb-history.jsonl": []}},
        {"files": {"wandb-history.jsonl": {"offset": -1, "content": []}}},
        {"files": {"wandb-history.jsonl": {"offset": "a", "content": []}}},
        {"files": {"wandb-history.jsonl": {"content": "{}"}}},
        {"files": {"output.log": {"content": [1]}}},
        {"files": {"wandb-events.jsonl": {"content": ["1"]}}},
        {"files": {"wandb-summary.json": {"content": ["1"]}}},
        {"complete": True, "exitcode": "a"},
    ],
    ids=str,
)
def test_a_request_of_another_form_is_refused(server, body):
    path = LoggedRun(server, "form").close().path
    assert send(server, path, **body).status_code == 400


def nested(depth):
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


ODD_CELLS = {
    "integer beyond 64 bits": (2**70, 2**70),
    "integer beyond doubles": (10**400, 10**400),
    "integers beyond 64 bits": ([2**70, 1], [2**70, 1]),
    "media with a great integer": ({"_type": "q", "v": 10**400}, {"_type": "q", "v": 10**400}),
    "half a character": ("a\ud83d", "a\ufffd"),
    "half a character in a list": (["a\ud83d"], ["a\ufffd"]),
    "17 lists": (nested(17), nested(17)),
    "120 lists": (nested(120), nested(120)),
    "lists of all kinds": ([[1], [], ["a"]], [[1], [], ["a"]]),
    "empty dicts": ([{}], [{}]),
    "a smiley": ("\U0001f600", "\U0001f600"),
}


@pytest.mark.parametrize("what", ODD_CELLS)
def test_an_odd_cell_is_the_same_live_and_exported(server, what):
    logged, read = ODD_CELLS[what]
    lines = [json.dumps({"_step": 0, "x": logged, "y": 1}), '{"_step": 1, "x": "z", "y": 2}']
    path = LoggedRun(server, f"odd-{abs(hash(what))}").close().path
    assert send(server, path, files=history(*lines)).status_code == 200
    live = list(open_run(server, path).beta_scan_history())
    assert send(server, path, complete=True, exitcode=0).status_code == 200
    run = open_run(server, path)
    assert run.pull().n_rows == 2
    exported = list(run.beta_scan_history())
    expected = [{"_step": 0, "x": read, "y": 1}, {"_step": 1, "x": "z", "y": 2}]
    assert live == expected
    assert exported == expected
    assert run.frame(["y"])["y"].to_list() == [1, 2]


def test_a_column_of_lists_that_lie_deep_is_read_by_every_reader(server):
    rows = [{"_step": step, "deep": nested(50), "loss": step} for step in range(3)]
    run = open_run(server, LoggedRun(server, "deep").log(*rows).finish().path)
    assert list(run.beta_scan_history()) == rows
    assert [json.loads(text) for text in run.frame()["deep"]] == [row["deep"] for row in rows]
    assert run.sql("SELECT sum(loss) FROM history").fetchall() == [(3,)]


def test_surrogates_in_raw_text_and_keys_become_replacement_characters(server):
    path = LoggedRun(server, "raw").close().path
    files = history('{"_step": 0, "k\\ud83d": "\ud83d"}')
    files["output.log"] = {"offset": 0, "content": ["out \ud83d"]}
    assert send(server, path, files=files).status_code == 200
    assert list(open_run(server, path).beta_scan_history()) == [{"_step": 0, "k\ufffd": "\ufffd"}]


def test_rows_that_cannot_be_exported_stay_live_and_harm_no_other_run(tmp_path):
    with running_server(tmp_path / "full", export_rows=10, crash_after=1) as server:
        poison = LoggedRun(server, "poison").log(*steps(0, 5)).close().path
        # Where exports are written lies a file.
        storage = tmp_path / "full" / "storage"
        storage.mkdir(exist_ok=True)
        (storage / "incoming").write_text("in the way")
        assert send(server, poison, files=history(*_lines(5, 20), offset=5)).status_code == 200
        healthy = LoggedRun(server, "healthy").log(*steps(0, 5)).close().path
        wait_until(lambda: open_run(server, healthy).state == "crashed")
        assert open_run(server, poison).state == "crashed"
        assert len(list(open_run(server, poison).beta_scan_history())) == 20
        (storage / "incoming").unlink()
        healthy = LoggedRun(server, "well").log(*steps(0, 5)).finish().path
        wait_until(lambda: open_run(server, healthy).pull().n_rows == 5)
        assert "could not be exported" in (tmp_path / "full" / "server.log").read_text()


def _lines(first, stop):
    return [json.dumps(row) for row in steps(first, stop)]


def test_lines_that_fill_a_gap_are_counted_and_exported(server):
    logged = LoggedRun(server, "filled")
    logged.log(*[{"_step": step, "late": 1} for step in range(10, 20)], offset=10)
    logged.log(*[{"_step": step, "early": 1} for step in range(10)], offset=0)
    logged.log(*[{"_step": step, "early": 1} for step in range(10)], offset=0)
    run = open_run(server, logged.finish().path)
    assert [row["_step"] for row in run.beta_scan_history()] == list(range(20))
    with pytest.warns(runlake.NoRowsWarning, match="early 10 rows, late 10 rows"):
        assert list(run.beta_scan_history(keys=["early", "late"])) == []


def test_a_gap_that_stays_does_not_keep_an_ended_run_live(server):
    logged = LoggedRun(server, "gap").log(*steps(0, 5)).log(*steps(5, 10), offset=10**9)
    run = open_run(server, logged.finish().path)
    pulled = run.pull()
    assert (pulled.n_rows, pulled.n_live_rows) == (10, 0)
    send(server, logged.path, files=history(*_lines(10, 12), offset=5))
    assert [row["_step"] for row in run.beta_scan_history()] == list(range(12))


def test_a_value_that_no_double_holds_is_no_previous_value(server):
    rows: list[dict[str, object]] = [
        {"_step": 0, "x": 1.5},
        {"_step": 1, "x": 10**400},
        {"_step": 2, "x": math.nan},
    ]
    path = LoggedRun(server, "previous").log(*rows).finish().path
    assert open_run(server, path).history_keys["keys"]["x"]["previousValue"] == 1.5
