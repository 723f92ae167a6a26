"""Lists of runs, projects and the viewer: the real SDK and runlake get the same answers."""

import json
from typing import Any

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import run_script, running_server

import runlake

UPDATE = """
mutation UpsertBucket(
  $id: String, $config: JSONString, $summary: JSONString, $tags: [String!], $group: String,
  $jobType: String, $displayName: String, $host: String, $sweep: String, $notes: String
) {
  upsertBucket(input: {
    id: $id, config: $config, summaryMetrics: $summary, tags: $tags, groupName: $group,
    jobType: $jobType, displayName: $displayName, host: $host, sweep: $sweep, notes: $notes
  }) { bucket { id } }
}
"""
RUNS: dict[str, dict[str, Any]] = {
    "r0": {
        "config": {
            "lr": 0.1,
            "net": {"depth": 2},
            "opt.name": "sgd",
            "flag": True,
            "layers": [1, 2],
        },
        "summary": {"acc": 0.5, "val": {"loss": 2.0}, "val.loss": 1.0},
        "tags": ["a", "b"],
        "group": "g1",
        "displayName": "foo-zero",
        "sweep": "s1",
    },
    "r1": {
        "config": {"lr": 0.01, "net": {"depth": 4}, "opt.name": "adam", "flag": False},
        "summary": {"acc": 0.9, "bad": float("nan"), "big": float("inf")},
        "tags": ["b"],
        "jobType": "eval",
        "displayName": "food",
        "host": "node-1",
        "sweep": "s1",
    },
    "r2": {"config": {"lr": "high"}, "summary": {"acc": 0.7}, "tags": [], "notes": "it's fine"},
    "r3": {"config": {"lr": 1}, "summary": {}, "tags": ["c"], "displayName": "bar"},
}
FILTERS = {
    '{"state": "finished"}': "r0 r1 r2",
    '{"state": {"$ne": "finished"}}': "r3",
    '{"config.lr": {"$gt": 0.05}}': "r0 r3",
    '{"config.lr": 1}': "r3",
    '{"config.lr.value": {"$lte": 0.1}}': "r0 r1",
    '{"config.lr": {"$type": "x"}}': None,
    '{"config.net.depth": {"$gte": 3}}': "r1",
    '{"config.net.value.depth": {"$gte": 3}}': "r1",
    '{"config.opt.name": "sgd"}': "r0",
    '{"config.opt.name": {"$nin": ["sgd"]}}': "r1 r2 r3",
    '{"config.flag": true}': "r0",
    '{"config.flag": 1}': "",
    '{"config.layers": [1, 2]}': "r0",
    '{"config.lr": {"$regex": "^hi"}}': "r2",
    '{"config.flag": {"$exists": true}}': "r0 r1",
    '{"config.flag": null}': "r2 r3",
    '{"$or": [{"config.lr": "high"}, {"config.flag": true}]}': "r0 r2",
    '{"$nor": [{"state": "finished"}]}': "r3",
    '{"$and": [{"config.lr": {"$gt": 0.01}}, {"state": "finished"}]}': "r0",
    '{"config.lr": {"$not": {"$gt": 0.05}}}': "r1 r2",
    '{"summary_metrics.val.loss": 1.0}': "r0",
    '{"summary_metrics.acc": {"$gt": 0.5, "$lt": 0.9}}': "r2",
    '{"summary_metrics.big": {"$gt": 1e300}}': "r1",
    '{"summary_metrics.bad": {"$gt": 0}}': "",
    '{"tags": "b"}': "r0 r1",
    '{"tags": {"$in": ["a", "c"]}}': "r0 r3",
    '{"tags": {"$nin": ["b"]}}': "r2 r3",
    '{"tags": {"$ne": "b"}}': "r2 r3",
    '{"tags": null}': "r2",
    '{"tags": {"$regex": "^c$"}}': "r3",
    '{"display_name": {"$regex": "^foo"}}': "r0 r1",
    '{"displayName": "bar"}': "r3",
    '{"group": "g1"}': "r0",
    '{"jobType": "eval"}': "r1",
    '{"job_type": {"$in": ["eval"]}}': "r1",
    '{"host": "node-1"}': "r1",
    '{"username": "local"}': "r0 r1 r2 r3",
    '{"name": {"$in": ["r1", "r3"]}}': "r1 r3",
    '{"$and": [{"sweep": "s1"}]}': "r0 r1",
    '{"notes": "it\'s fine"}': "r2",
    '{"createdAt": {"$gte": "2020-01-01T00:00:00"}}': "r0 r1 r2 r3",
    '{"created_at": {"$lt": "2020-01-01T00:00:00Z"}}': "",
    '{"duration": {"$lt": 3600}}': "r0 r1 r2 r3",
    '{"keys_info.keys.loss": {"$exists": true}}': "r0 r1 r2 r3",
    '{"keys_info.keys.rare": {"$exists": true}}': "r1",
    '{"nothing": 1}': None,
    '{"$where": 1}': None,
    '{"createdAt": {"$gt": "yesterday"}}': None,
    '{"name": {"$regex": "("}}': None,
    '{"name": {"$in": "r1"}}': None,
    '{"$or": [{"$and": []}]}': "r0 r1 r2 r3",
}
ORDERS = {
    "+created_at": "r0 r1 r2 r3",
    "-created_at": "r3 r2 r1 r0",
    "": "r0 r1 r2 r3",
    "-summary_metrics.acc": "r1 r2 r0 r3",
    "+summary_metrics.acc": "r0 r2 r1 r3",
    "+config.net.depth": "r0 r1 r2 r3",
    "-config.net.value.depth": "r1 r0 r2 r3",
    "-name": "r3 r2 r1 r0",
    "+state": "r0 r1 r2 r3",
    "+tags": None,
    "+nothing": None,
}
BEST = {
    "-summary_metrics.acc": "r1",
    "acc": "r1",
    "-acc": "r1",
    "+acc": "r0",
    "val.loss": "r0",
    "+config.lr": "r1",
    "config.lr": "r0",
}
READ = """
import json, sys, wandb
api = wandb.Api()
filters, orders = json.loads(sys.argv[1]), json.loads(sys.argv[2])

def listed(**question):
    api.flush()
    try:
        runs = api.runs("lists", per_page=2, **question)
        names = [run.id for run in runs]
    except Exception as error:
        return None
    assert len(runs) == len(names), question
    return names

runs = api.runs("lists")
first = api.run("local/lists/r0")
project = api.project("lists")
created = api.create_project("made", "local")
print(json.dumps({
    "filters": [listed(filters=json.loads(one)) for one in filters],
    "orders": [listed(order=one) for one in orders],
    "runs": [
        {name: getattr(run, name) for name in sys.argv[3].split()} for run in api.runs("lists")
    ],
    "slices": [[run.id for run in part] for part in (runs[1:3], runs[:1])],
    "lazy": [runs[0]._lazy, sorted(api.runs("lists", lazy=False)[0]._attrs)],
    "projects": [p.name for p in api.projects()],
    "project": [project.name, project.entity, project.path, project.url, project.id,
                project.created_at, project.owner.username, repr(project), project.is_benchmark],
    "viewer": [api.viewer.username, api.viewer.email, api.viewer.entity, api.viewer.teams,
               api.viewer.api_keys, repr(api.viewer)],
    "default_entity": api.default_entity,
    "sweep": [first.sweep.id, first.sweep.name, first.sweep.state, first.sweep.url,
              first.sweep.config, repr(first.sweep), first.sweep.path,
              first.sweep.expected_run_count, len(first.sweep.runs), first.sweep_name,
              first.sweep.username],
    "best": [first.sweep.best_run(order).id for order in json.loads(sys.argv[4])],
    "sweeps": [sweep.id for sweep in project.sweeps()],
    "histories": {
        "default": runs.histories(keys=["loss"], samples=100),
        "every": runs.histories(),
        "polars": runs.histories(keys=["loss"], format="polars").to_dict(as_series=False),
        "pandas": runs.histories(keys=["loss"], format="pandas").to_dict("list"),
        "rare": runs.histories(keys=["loss", "rare"]),
        "none": runs.histories(keys=["none"]),
        "none_polars": list(runs.histories(keys=["none"], format="polars").shape),
        "none_pandas": list(runs.histories(keys=["none"], format="pandas").shape),
    },
}))
"""
FIELDS = (
    "id name state tags group job_type created_at heartbeat_at notes description commit "
    "history_line_count sweep_name read_only storage_id url path entity config summary_metrics"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("lists"), export_rows=1000) as server:
        for name, facts in RUNS.items():
            rows = steps(0, 20)
            rows += [{"_step": 20, "loss": 0.5, "rare": 1}] if name == "r1" else []
            run = LoggedRun(server, name, "lists").log(*rows)
            wrapped = {key: {"value": value} for key, value in facts["config"].items()}
            answer = run.graphql(
                UPDATE,
                {
                    **facts,
                    "id": run.storage_id,
                    "config": json.dumps(wrapped),
                    "summary": json.dumps(facts["summary"]),
                },
            )
            assert "errors" not in answer, answer
            if name == "r3":
                run.close()
            else:
                run.finish()
        yield server


@pytest.fixture(scope="module")
def sdk(server, tmp_path_factory):
    """The answers of the real SDK."""
    questions = (
        json.dumps(list(FILTERS)),
        json.dumps(list(ORDERS)),
        FIELDS,
        json.dumps(list(BEST)),
    )
    return json.loads(run_script(READ, server, tmp_path_factory.mktemp("sdk"), *questions))


@pytest.fixture
def api(server):
    return runlake.Api({"base_url": server.base_url}, api_key=server.api_key)


def listed(api, **question):
    try:
        runs = api.runs("lists", per_page=2, **question)
        names = [run.id for run in runs]
    except runlake.CommError:
        return None
    assert len(runs) == len(names)
    return names


@pytest.mark.parametrize("index", range(len(FILTERS)), ids=list(FILTERS))
def test_a_filter_keeps_the_same_runs(api, sdk, index):
    text, expected = list(FILTERS.items())[index]
    ours = listed(api, filters=json.loads(text))
    assert ours == sdk["filters"][index]
    assert ours == (None if expected is None else expected.split())


@pytest.mark.parametrize("index", range(len(ORDERS)), ids=list(ORDERS))
def test_an_order_gives_the_same_list(api, sdk, index):
    text, expected = list(ORDERS.items())[index]
    ours = listed(api, order=text)
    assert ours == sdk["orders"][index]
    assert ours == (None if expected is None else expected.split())


@pytest.mark.parametrize("name", FIELDS.split())
def test_a_field_of_a_listed_run_is_the_same(api, sdk, name):
    ours = [getattr(run, name) for run in api.runs("lists")]
    assert repr(ours) == repr([run[name] for run in sdk["runs"]])


def test_slices_and_laziness_are_the_same(api, sdk):
    runs = api.runs("lists")
    assert [[run.id for run in part] for part in (runs[1:3], runs[:1])] == sdk["slices"]
    assert sdk["lazy"][0] is runs[0].is_lazy is True
    full = api.runs("lists", lazy=False)[0].load()
    assert sdk["lazy"][1] == sorted({*full, "rawconfig"})


def test_projects_are_the_same(api, sdk):
    assert [project.name for project in api.projects()] == sdk["projects"] == ["made", "lists"]
    project = api.project("lists")
    assert [
        project.name,
        project.entity,
        project.path,
        project.url,
        project.id,
        project.created_at,
        project.owner.username,
        repr(project),
        project.is_benchmark,
    ] == sdk["project"]


def test_the_viewer_is_the_same(api, sdk):
    viewer = api.viewer
    assert [
        viewer.username,
        viewer.email,
        viewer.entity,
        viewer.teams,
        viewer.api_keys,
        repr(viewer),
    ] == sdk["viewer"]
    assert api.default_entity == sdk["default_entity"]


def test_the_sweep_of_a_run_is_the_same(api, sdk):
    run = api.run("local/lists/r0")
    sweep = run.sweep
    assert [
        sweep.id,
        sweep.name,
        sweep.state,
        sweep.url,
        sweep.config,
        repr(sweep),
        sweep.path,
        sweep.expected_run_count,
        len(sweep.runs),
        run.sweep_name,
        sweep.entity,
    ] == sdk["sweep"]
    with pytest.deprecated_call():
        assert sweep.username == sweep.entity
    assert sdk["sweeps"] == ["s1"]
    assert api.sweep("local/lists/s1").id == "s1"


@pytest.mark.parametrize("index", range(len(BEST)), ids=list(BEST))
def test_a_short_order_of_a_sweep_gives_the_same_best_run(api, sdk, index):
    order, expected = list(BEST.items())[index]
    best = api.sweep("local/lists/s1").best_run(order)
    assert best is not None
    assert best.id == sdk["best"][index] == expected


def test_histories_are_the_same(api, sdk):
    runs, theirs = api.runs("lists"), sdk["histories"]
    assert runs.histories(keys=["loss"], samples=100) == theirs["default"]
    assert runs.histories() == theirs["every"]
    assert runs.histories(keys=["loss", "rare"]) == theirs["rare"]
    polars = runs.histories(keys=["loss"], format="polars").to_dict(as_series=False)
    assert list(polars.items()) == list(theirs["polars"].items())
    pandas = runs.histories(keys=["loss"], format="pandas").to_dict("list")
    assert list(pandas.items()) == list(theirs["pandas"].items())
    assert runs.histories(keys=["none"]) == theirs["none"] == []
    for kind in ("polars", "pandas"):
        shape = list(runs.histories(keys=["none"], format=kind).shape)
        assert shape == theirs[f"none_{kind}"] == [0, 0]
