"""JSON of training scripts."""

import json
import math

import pytest

from runlake.server.runs.stream import BadBody, parse_stream
from runlake.server.runs.wire_json import MAX_DEPTH, check_size, read_body, read_json, read_stream


def test_numbers_that_json_lacks_and_lone_surrogates_are_read():
    assert math.isnan(read_json('{"a": NaN}')["a"])
    assert read_json('"\\ud83d\\ude00 \\ud83d"') == "\U0001f600 \ufffd"
    assert read_json('{"\\uD800": 1}') == {"\ufffd": 1}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused(depth):
    with pytest.raises(ValueError, match="nested deeper"):
        read_json("[" * depth + "1" + "]" * depth)
    assert read_json("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert len(read_json("[" + "[]," * 500 + "[]]")) == 501


def test_a_body_is_an_object():
    assert read_body(b"") == {}
    assert read_body(b'{"a": "\xff"}') == {"a": "\ufffd"}
    for body in (b"[]", b"3", b"{"):
        with pytest.raises(ValueError, match=r"."):
            read_body(body)


@pytest.mark.parametrize("read", [read_body, read_stream])
@pytest.mark.parametrize("body", [b"[]," * 2_100_000, b"{}," * 850_000, b"0," * 4_200_000])
def test_a_body_of_too_many_values_is_refused_before_it_is_parsed(read, body):
    with pytest.raises(ValueError, match="so many values that they would take more than 268,435"):
        read(b'{"a":[' + body + b"0]}")


def test_a_row_of_many_points_is_no_too_large_body():
    check_size([b'{"points":[' + b"[0.5,1.5,2.5]," * 500_001 + b"[1,2]]}"])


def test_brackets_in_console_output_are_not_values_and_those_in_lines_are(monkeypatch):
    monkeypatch.setattr("runlake.server.runs.wire_json.MAX_BYTES", 10_000)
    monkeypatch.setattr("runlake.server.runs.stream.CERTAINLY_FEW", 0)
    lines = ["[[[[ \\" * 200, '"{[,' * 200]
    body = {"files": {"output.log": {"offset": 0, "content": lines}}}
    assert read_stream(json.dumps(body).encode()) == body
    assert parse_stream(body).streams["output"].texts == tuple(lines)
    row = json.dumps({"_step": 0, "points": [[1, 2]] * 100})
    for name in ("wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json"):
        body = {"files": {name: {"offset": 0, "content": [row]}}}
        assert read_stream(json.dumps(body).encode()) == body
        with pytest.raises(BadBody, match="the lines have so many values"):
            parse_stream(body)
