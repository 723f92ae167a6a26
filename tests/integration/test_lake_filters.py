"""A filter or an order names the same runs in a lake and at the backend."""

import math
from typing import Any

import pytest
from tests.http_logging import LoggedRun

import runlake

CONFIGS: dict[str, dict[str, Any]] = {
    "a": {"lr": 0.1, "net": {"depth": 2, "kind": "mlp"}, "tags": ["x", 1], "on": True},
    "b": {"lr": 0.01, "net": {"depth": 3.0}, "a.b": 1, "text": "Ünï", "on": False},
    "c": {"lr": math.nan, "net.depth": 7, "a": {"b": 2}, "big": 2**70},
    "d": {"lr": "0.1", "net": None, 'q"k': 1, "s/l": "it's", "on": 1},
    "e": {"lr": math.inf, "value": {"value": 3}, "list": [{"k": [1.0]}], "é": None},
    "f": {},
}
SUMMARIES: dict[str, dict[str, Any]] = {
    "a": {"loss": 0.5, "best": {"acc": 1}},
    "b": {"loss": "NaN", "best": {"acc": 0.5}},
    "c": {"loss": math.nan},
    "d": {"loss": -1},
    "e": {"loss": math.inf, "best.acc": 2},
    "f": {},
}
FILTERS: list[dict[str, Any]] = [
    {},
    {"config.lr": 0.1},
    {"config.lr.value": 0.1},
    {"config.lr": "0.1"},
    {"config.lr": None},
    {"config.lr": {"$ne": 0.1}},
    {"config.lr": {"$ne": None}},
    {"config.lr": {"$exists": True}},
    {"config.lr": {"$exists": False}},
    {"config.lr": {"$gt": 0.01}},
    {"config.lr": {"$gte": 0.01, "$lte": 0.1}},
    {"config.lr": {"$lt": 1e308}},
    {"config.lr": {"$gt": "0"}},
    {"config.lr": {"$in": [0.1, 0.01, None]}},
    {"config.lr": {"$nin": [0.1, "0.1"]}},
    {"config.lr": {"$not": {"$gt": 0.05}}},
    {"config.net.depth": {"$gte": 2}},
    {"config.net.depth": 3},
    {"config.net": {"depth": 3}},
    {"config.net": {"kind": "mlp", "depth": 2}},
    {"config.net": None},
    {"config.net.depth.value": 7},
    {"config.a.b": {"$in": [1, 2]}},
    {"config.on": True},
    {"config.on": 1},
    {"config.on": {"$lt": True}},
    {"config.big": {"$gt": 2**69}},
    {"config.big": 2**70},
    {"config.tags": {"$all": ["x"]}},
    {"config.tags": {"$all": ["x", 1]}},
    {"config.tags": ["x", 1]},
    {"config.tags": {"$all": []}},
    {"config.list": [{"k": [1]}]},
    {"config.value": {"value": 3}},
    {"config.value.value": 3},
    {"config.text": {"$regex": "^Ü"}},
    {"config.text": {"$regex": "n.$"}},
    {"config.text": {"$regex": "x|n"}},
    {"config.é": None},
    {"config.é": {"$exists": True}},
    {'config.q"k': 1},
    {"config.s/l": "it's"},
    {"config.s/l": {"$regex": "'"}},
    {"summary_metrics.loss": {"$lt": 1}},
    {"summary_metrics.loss": "NaN"},
    {"summary_metrics.loss": {"$gt": 1e300}},
    {"summaryMetrics.best.acc": {"$gte": 0.5}},
    {"summary_metrics.best": {"acc": 1.0}},
    {"state": "finished"},
    {"state": {"$in": ["running", "crashed"]}},
    {"name": "a"},
    {"name": {"$regex": "^[ab]$"}},
    {"display_name": {"$exists": True}},
    {"displayName": {"$ne": "a"}},
    {"tags": None},
    {"tags": {"$exists": False}},
    {"group": None},
    {"job_type": {"$ne": "train"}},
    {"created_at": {"$gt": "2020-01-01"}},
    {"createdAt": {"$lt": "2020-01-01T00:00:00Z"}},
    {"duration": {"$gte": 0}},
    {"historyLineCount": {"$gte": 2}},
    {"history_line_count": 1},
    {"keys_info.keys.acc": {"$exists": True}},
    {"keys_info.keys._step": {"$exists": True}},
    {"sweep": {"$exists": False}},
    {"$and": [{"config.lr": {"$gt": 0}}, {"name": {"$ne": "a"}}]},
    {"$or": [{"config.lr": 0.01}, {"config.net.depth": 7}, {"name": "f"}]},
    {"$nor": [{"config.lr": 0.01}, {"name": "f"}]},
    {"$not": {"config.lr": {"$gt": 0}}},
    {"$and": []},
    {"$or": []},
    {"$or": [{"$and": [{"name": "a"}, {"$not": {"name": "b"}}]}, {"$nor": [{}]}]},
]
ORDERS = [
    "+created_at",
    "-created_at",
    "-createdAt",
    "name",
    "-name",
    "+config.lr",
    "-config.lr",
    "-summary_metrics.loss",
    "+config.net.depth",
    "-summary_metrics.best.acc",
    "+historyLineCount",
]


@pytest.fixture(scope="module")
def both(backend, tmp_path_factory):
    """A client of the backend, the path of a project, and a lake with its runs."""
    for name, config in CONFIGS.items():
        run = LoggedRun(backend, name, "filtered")
        run.configure(**config).summarize(SUMMARIES[name])
        rows = [{"_step": step, "acc" if name < "c" else "loss": 1.0} for step in range(2)]
        run.log(*rows[: len(CONFIGS) - ord(name) + ord("a") - 1])
        run.finish(1 if name == "e" else 0)
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path_factory.mktemp("lake"))}
    api = runlake.Api(settings, api_key=backend.api_key)
    path = f"{backend.entity}/filtered"
    for one in api.runs(path, lazy=False):
        one.pull()
    return api, path, runlake.Lake(settings["cache_dir"])


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_filter_names_the_same_runs(both, filters):
    api, path, lake = both
    expected = [run.id for run in api.runs(path, filters)]
    assert lake.runs(filters, columns=["id"])["id"].to_list() == expected
    assert [run.id for run in lake.where(filters)] == expected


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_the_same(both, order):
    api, path, lake = both
    expected = [run.id for run in api.runs(path, order=order)]
    assert lake.runs(order=order, columns=["id"])["id"].to_list() == expected
    assert [run.id for run in lake.where({})] == list(CONFIGS)
