"""Runs as a table: a row per run, whatever fields a backend sent."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from runlake.history.runs.run_table import FIELDS, chosen_columns, flat_run_table, run_table
from runlake.server.store.run_values import config_values

FULL: dict[str, Any] = {
    "name": "r1",
    "displayName": "my run",
    "state": "finished",
    "group": "g",
    "jobType": "train",
    "sweepName": "s",
    "notes": "n\ud800",
    "tags": ["a", "b"],
    "user": {"username": "me"},
    "createdAt": "2026-01-02T03:04:05Z",
    "heartbeatAt": "2026-01-02T04:04:05+01:00",
    "historyLineCount": 7,
    "config": {"lr": 0.1, "net": {"depth": 2}},
    "summaryMetrics": {"loss": 1, "_runtime": 12.5},
}


def test_a_run_is_a_row():
    table = run_table([FULL])
    assert table.columns == [*FIELDS, "config", "summary"]
    (row,) = table.to_dicts()
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row == {
        "id": "r1",
        "run_id": "r1",
        "name": "my run",
        "state": "finished",
        "tags": ["a", "b"],
        "group": "g",
        "job_type": "train",
        "user": "me",
        "sweep": "s",
        "notes": "n\\ud800",
        "url": None,
        "created_at": moment,
        "heartbeat_at": moment,
        "duration": 0.0,
        "runtime": 12.5,
        "history_line_count": 7,
        "config": {"lr": 0.1, "net": {"depth": 2}},
        "summary": {"loss": 1, "_runtime": 12.5},
    }


def test_fields_that_are_missing_or_make_no_sense_are_null():
    odd = {"name": "r", "createdAt": "soon", "tags": "a", "user": None, "historyLineCount": -1}
    far = {"name": "f", "createdAt": "0001-01-01T00:00:00+23:00", "historyLineCount": 2**63}
    table = run_table([odd, far])
    for name in ("created_at", "tags", "user", "history_line_count", "state"):
        assert table[name].to_list() == [None, None]
    assert table.schema["created_at"] == pl.Datetime("us", "UTC")


def test_configs_of_different_shapes_are_one_column():
    table = run_table([{"config": {"lr": 1}}, {"config": {"lr": 0.5, "x": {"y": "z"}}}, {}])
    assert table["config"].to_list() == [
        {"lr": 1.0, "x": None},
        {"lr": 0.5, "x": {"y": "z"}},
        {"lr": None, "x": None},
    ]
    assert run_table([]).schema["config"] == pl.Struct([])


def test_a_flat_table_has_a_column_per_path_and_can_be_written_as_csv():
    runs: list[dict[str, Any]] = [
        FULL,
        {"name": "r2", "config": {"lr": "high", "net": {"sizes": [1, 2]}, "a.b": True}},
        {"name": "r3", "summaryMetrics": {"image": {"_type": "image-file", "path": "x.png"}}},
    ]
    table, mixed = flat_run_table(runs)
    assert mixed == ["config.lr"]
    assert table["config.lr"].to_list() == ["0.1", '"high"', None]
    assert table["config.net.depth"].to_list() == [2, None, None]
    assert table["config.net.sizes"].to_list() == [None, "[1, 2]", None]
    assert table["config.a.b"].to_list() == [None, True, None]
    assert table["summary.loss"].to_list() == [1, None, None]
    assert table["summary.image"][2] == '{"_type": "image-file", "path": "x.png"}'
    assert table["tags"].to_list() == ['["a", "b"]', None, None]
    assert pl.read_csv(table.write_csv().encode())["config.net.depth"].to_list() == [2, None, None]


def test_columns_are_fields_or_paths_into_config_and_summary():
    names = ["name", "config.net.depth", "config.lr", "summary", "duration"]
    table = chosen_columns([FULL, {"name": "r2", "config": {"net": 5, "lr": 1}}], names)
    assert table.columns == names
    assert table["config.net.depth"].to_list() == [2, None]
    assert table["config.lr"].to_list() == [0.1, 1.0]
    assert table["duration"].to_list() == [0.0, None]


def test_a_key_with_dots_goes_before_a_nested_key_of_the_same_path():
    runs = [{"config": {"a.b": 1, "a": {"b": 2, "c": 3}}}]
    table, _ = flat_run_table(runs)
    assert table["config.a.b"].to_list() == [1]
    assert table["config.a.c"].to_list() == [3]
    assert chosen_columns(runs, ["config.a.b"])["config.a.b"].to_list() == [1]


def test_a_runtime_that_is_no_number_of_64_bits_is_null():
    assert chosen_columns([{"summaryMetrics": {"_runtime": 10**400}}], ["runtime"]).item() is None


def test_lists_beside_other_values_are_json_text_once():
    values: list[Any] = [[1, 2], "x", 1.5, {}]
    runs = [{"config": {"a": value}} for value in values]
    table, mixed = flat_run_table(runs)
    assert table["config.a"].to_list() == ["[1, 2]", '"x"', "1.5", "{}"]
    assert mixed == ["config.a"]


def test_values_that_no_column_can_hold_are_text():
    runs: list[dict[str, Any]] = [
        {"config": {"big": 10**400, "half": "x\ud800", "key\ud800": 1}},
        {"config": {"big": 1}},
    ]
    table, mixed = flat_run_table(runs)
    assert table["config.big"].to_list() == [str(10**400), "1"]
    assert table["config.half"].to_list() == ["x\\ud800", None]
    assert table["config.key\\ud800"].to_list() == [1, None]
    assert mixed == ["config.big"]
    assert run_table(runs)["config"].struct.field("half").to_list() == ["x\\ud800", None]
    assert chosen_columns(runs, ["config.half"])["config.half"][0] == "x\\ud800"


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"a": {"b": {"c": 1}}, "a.b": {"c": 2}, "a.b.c": 3}, 3),
        ({"a.b.c": 3, "a.b": {"c": 2}, "a": {"b": {"c": 1}}}, 3),
        ({"a.b": {"c": 2}, "a": {"b.c": 1}}, 2),
        ({"a.b": {"c": None}, "a": {"b": {"c": 1}}}, None),
        ({"a.b": 2, "a": {"b": {"c": 1}}}, 1),
    ],
)
def test_of_values_with_one_path_every_table_has_that_of_the_longest_key(config, value):
    runs = [{"name": "r", "config": config}]
    path = "config.a.b.c"
    assert flat_run_table(runs)[0][path].to_list() == [value]
    assert chosen_columns(runs, [path])[path].to_list() == [value]
    # The filters of the backend take the same value.
    assert json.loads(config_values(json.dumps(config)))["a.b.c"] == value
