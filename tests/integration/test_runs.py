"""Lists of runs: their requests, their memory, and pickling."""

import json
import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product

import httpx
import polars as pl
import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS

import runlake
from runlake import errors

N_RUNS = 500


@pytest.fixture(scope="module")
def many(backend):
    """A project of 500 runs, each with a config."""
    with httpx.Client(
        base_url=backend.base_url,
        auth=("api", backend.api_key),
        verify=NO_TLS,
        trust_env=False,
        timeout=60,
    ) as http:
        for start in range(0, N_RUNS, 100):
            mutations = (
                f'm{at}: upsertBucket(input: {{name: "run{at:04}", modelName: "many", '
                f'config: "{{\\"index\\": {{\\"value\\": {at}}}}}"}}) {{ bucket {{ id }} }}'
                for at in range(start, start + 100)
            )
            answer = http.post("/graphql", json={"query": f"mutation {{ {' '.join(mutations)} }}"})
            assert "errors" not in answer.json()
    return f"{backend.entity}/many"


@pytest.fixture(scope="module")
def logged(backend):
    """A project of three finished runs and one without history."""
    for name in ("a", "b", "c"):
        LoggedRun(backend, name, "logged").log(*steps(0, 1200)).finish()
    LoggedRun(backend, "empty", "logged").finish()
    return f"{backend.entity}/logged"


def graphql(requests):
    return [request["operation"] for request in requests if request["path"] == "/graphql"]


def test_many_runs_are_listed_page_by_page(api, backend, many):
    with backend.counted() as requests:
        runs = api.runs(many)
        names = [run.id for run in runs]
        assert len(runs) == N_RUNS
    assert names == [f"run{at:04}" for at in range(N_RUNS)]
    assert graphql(requests) == ["Runs"] * (N_RUNS // 50)


def test_length_and_head_cost_one_request(api, backend, many):
    with backend.counted() as requests:
        runs = api.runs(many, filters={"config.index": {"$lt": 300}}, order="-config.index")
        assert len(runs) == 300
        assert [run.id for run in runs[:3]] == ["run0299", "run0298", "run0297"]
        assert runs[10].id == "run0289"
    assert graphql(requests) == ["Runs"]
    assert runs[-1].id == "run0000"
    with pytest.raises(IndexError):
        runs[300]


def test_runs_that_come_meanwhile_shift_no_page(api, backend):
    for at in range(4):
        LoggedRun(backend, f"old{at}", "growing").close()
    runs = api.runs("growing", order="-created_at", per_page=2)
    assert [run.id for run in runs[:2]] == ["old3", "old2"]
    for at in range(3):
        LoggedRun(backend, f"new{at}", "growing").close()
    assert [run.id for run in runs] == ["old3", "old2", "old1", "old0"]


def test_a_list_is_the_same_object_until_it_is_flushed(api, many):
    runs = api.runs(many, {"state": "running"})
    assert api.runs(many, filters={"state": "running"}) is runs
    assert api.runs(many, {"state": "running"}, order="-created_at") is not runs
    api.flush()
    assert api.runs(many, {"state": "running"}) is not runs


@pytest.mark.usefixtures("many")
def test_the_entity_is_requested_once(api, backend):
    with backend.counted() as requests:
        assert api.runs("many")[0].id == "run0000"
        assert api.run("many/run0001").entity == backend.entity
        assert api.project("many").entity == backend.entity
    assert graphql(requests) == ["GetDefaultEntity", "Runs", "Run"]


@pytest.mark.usefixtures("many")
def test_a_configured_entity_and_project_stand_in(backend):
    overrides = {"base_url": backend.base_url, "entity": backend.entity, "project": "many"}
    api = runlake.Api(overrides, api_key=backend.api_key)
    with backend.counted() as requests:
        assert api.runs(per_page=1)[0].id == "run0000"
        assert api.run("run0001").id == "run0001"
    assert graphql(requests) == ["Runs", "Run"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "a/b/c"},
        {"path": "a//b"},
        {"path": 3},
        {"filters": ["state"]},
        {"filters": {"state": {1, 2}}},
        {"order": 1},
        {"per_page": 0},
        {"per_page": "9"},
    ],
    ids=str,
)
def test_a_wrong_argument_is_an_error_before_any_request(api, backend, arguments):
    with backend.counted() as requests, pytest.raises(errors.InvalidArgument):
        api.runs(**{"path": "many", **arguments})
    assert requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"samples": 0},
        {"keys": "loss"},
        {"x_axis": 1},
        {"format": "arrow"},
        {"stream": "all"},
        {"stream": "system", "keys": ["loss"]},
    ],
    ids=str,
)
def test_a_wrong_argument_of_histories_is_an_error_before_any_request(api, backend, arguments):
    runs = api.runs(f"{backend.entity}/many")
    with backend.counted() as requests, pytest.raises(errors.InvalidArgument):
        runs.histories(**arguments)
    assert requests == []


def test_a_refused_filter_says_what_is_wrong(api, many):
    with pytest.raises(errors.BackendError, match=r"'\$typo'.*'config.lr'"):
        len(api.runs(many, {"config.lr": {"$typo": 1}}))
    with pytest.raises(errors.BackendError, match=r"'displayname'.*'displayName'"):
        len(api.runs(many, {"displayname": "x"}))


def nested(depth):
    filters: dict[str, object] = {"config.index": 1}
    for _ in range(depth):
        filters = {"$or": [{"$and": [filters, filters]}]}
    return filters


def alternatives(count):
    return {"$or": [{"config.index": at} for at in range(count)]}


@pytest.mark.parametrize(("filters", "count"), [(nested(7), 1), (alternatives(1500), N_RUNS)])
def test_a_large_filter_is_answered(api, many, filters, count):
    assert len(api.runs(many, filters)) == count
    assert len(api.runs(many, {"config.index": {"$in": list(range(-90_000, 10))}})) == 10


@pytest.mark.parametrize("filters", [nested(9), alternatives(5000)], ids=["deep", "wide"])
def test_a_filter_that_is_too_large_is_refused(api, many, filters):
    with pytest.raises(errors.BackendError, match="too large"):
        len(api.runs(many, filters))


def test_a_missing_project_is_named(api, backend):
    runs = api.runs(f"{backend.entity}/nowhere")
    with pytest.raises(errors.ProjectNotFoundError, match="Could not find project nowhere"):
        len(runs)
    assert issubclass(errors.ProjectNotFoundError, ValueError)
    with pytest.raises(errors.ProjectNotFoundError, match="nowhere"):
        _ = api.project("nowhere").created_at


@pytest.mark.parametrize("listed", ["sweeps", "artifacts_types", "collections"])
def test_a_list_of_a_missing_project_names_it(api, listed):
    found = getattr(api.project("nowhere"), listed)()
    with pytest.raises(errors.ProjectNotFoundError, match="Could not find project nowhere"):
        list(found)


@pytest.mark.usefixtures("many")
def test_another_entitys_projects_are_not_shown(api):
    assert list(api.projects("somebody")) == []
    with pytest.raises(errors.ProjectNotFoundError):
        len(api.runs("somebody/many"))


def test_a_lazy_run_loads_its_config_when_it_is_read(api, backend, many):
    run = api.runs(many, {"name": "run0007"})[0]
    with backend.counted() as requests:
        assert run.state == "running"
        assert run.config == {"index": 7}
        assert run.summary_metrics == {}
    assert graphql(requests) == ["Run"]


def test_an_upgraded_list_is_loaded_in_large_pages(api, backend, many):
    runs = api.runs(many, {"config.index": {"$lt": 120}})
    listed = list(runs)
    with backend.counted() as requests:
        assert api.runs(many, {"config.index": {"$lt": 120}}, lazy=False) is runs
        assert [run.config["index"] for run in runs] == list(range(120))
    assert graphql(requests) == ["Runs"] * 2
    assert list(runs) == listed


def test_histories_cost_no_request_per_run_that_did_not_move(api, backend, logged):
    def losses(runs):
        return runs.histories(keys=["loss"], samples=10_000, format="polars")

    first = losses(api.runs(logged))
    assert first.columns == ["_step", "loss", "run_id"]
    assert first.group_by("run_id").len().sort("run_id").rows() == [
        (name, 1200) for name in ("a", "b", "c")
    ]
    assert first["run_id"].unique(maintain_order=True).to_list() == ["a", "b", "c"]
    api.flush()
    runs = api.runs(logged)
    with backend.counted() as requests:
        assert losses(runs).equals(first)
        assert losses(runs).equals(first)
    assert [request["operation"] for request in requests] == ["Runs", "Runs"]


def test_a_run_that_was_started_again_after_it_was_read_is_read_again(api, backend):
    for name in ("one", "two"):
        LoggedRun(backend, name, "again").log(*steps(0, 3)).finish()
    runs = api.runs("again")
    assert len(runs.histories(keys=["loss"])) == 6
    assert runs.best("loss", mode="min")["_step"].to_list() == [2, 2]
    # A run that is used again without resuming gets a new history.
    LoggedRun(backend, "two", "again").log(*steps(3, 7)).finish()
    assert [row["_step"] for row in runs.histories(keys=["loss"])] == [*range(7)]
    assert runs.histories(keys=["loss"], format="polars")["_step"].to_list() == [*range(7)]
    assert runs.scan(["loss"]).collect()["_step"].to_list() == [*range(7)]
    assert runs.best("loss", mode="min")["_step"].to_list() == [2, 6]


def test_histories_see_what_was_logged_since_the_list_was_made(api, backend):
    going = LoggedRun(backend, "going", "moving").log(*steps(0, 3))
    LoggedRun(backend, "gone", "moving").log(*steps(0, 3)).finish()
    runs = api.runs("moving")
    assert len(runs.histories(keys=["loss"])) == 6
    going.log(*steps(3, 7))
    with backend.counted() as requests:
        assert len(runs.histories(keys=["loss"])) == 10
    assert sorted(graphql(requests)) == ["RunHistoryManifest", "Runs", "SampledHistoryPage"]
    going.finish()
    assert len(runs.histories(keys=["loss"])) == 10
    with backend.counted() as requests:
        assert len(runs.histories(keys=["loss"])) == 10
    assert graphql(requests) == ["Runs"]


def test_a_cached_export_that_went_missing_is_fetched_again(api, logged):
    runs = api.runs(logged)
    first = runs.histories(2000, keys=["loss"], format="polars")
    for file in runs[0].pull().directory.glob("*.parquet"):
        file.unlink()
    assert runs.histories(2000, keys=["loss"], format="polars").equals(first)


@pytest.fixture(scope="module")
def odd(backend):
    """A project of runs that have to be read in different ways."""
    rows = [{"_step": at, "loss": at * 7 % 13, "acc": at / 2} for at in range(2500)]
    rows[5]["acc"] = float("nan")
    rows[2400]["loss"] = float("inf")
    for row in rows[::3]:
        row["sparse"] = row["_step"]
    LoggedRun(backend, "exports", "odd").log(*rows).finish()
    LoggedRun(backend, "short", "odd").log(*rows[:40]).finish()
    LoggedRun(backend, "floats", "odd").log(*({**row, "loss": 0.5} for row in rows[:900])).finish()
    LoggedRun(backend, "live", "odd").log(*rows[:1500]).close()
    LoggedRun(backend, "twice", "odd").log(*rows[:1000], *rows[500:1100]).finish()
    LoggedRun(backend, "texts", "odd").log(*({**row, "loss": "x"} for row in rows[:700])).finish()
    LoggedRun(backend, "sparse", "odd").log(
        *({"_step": 3 * at, "rare": 1} for at in range(30))
    ).close()
    return f"{backend.entity}/odd"


KEYS = [None, ["loss"], ["acc"], ["loss", "sparse"], ["rare"]]
# `make test` takes every second one.
SAMPLES = [
    pytest.param(keys, samples, marks=pytest.mark.thorough if (k + n) % 2 else ())
    for (k, keys), (n, samples) in product(enumerate(KEYS), enumerate([1, 2, 50, 5000]))
]


@pytest.mark.parametrize(("keys", "samples"), SAMPLES, ids=str)
@pytest.mark.filterwarnings("ignore::runlake.SampleWarning", "ignore::runlake.NoRowsWarning")
def test_histories_are_the_history_of_each_run(api, odd, keys, samples):
    runs = api.runs(odd)
    expected = [
        {**row, "run_id": run.id}
        for run in runs
        for row in run.history(samples, keys, pandas=False)
    ]
    assert expected
    assert repr(runs.histories(samples, keys)) == repr(expected)
    frame = runs.histories(samples, keys, format="polars")
    columns = sorted({key for row in expected for key in row})
    assert frame.columns == columns
    assert frame.select("run_id", "_step").rows() == [(r["run_id"], r["_step"]) for r in expected]


def test_one_warning_names_the_number_of_samples(api, logged):
    with pytest.warns(runlake.SampleWarning, match="3 of 4 runs") as caught:
        frame = api.runs(logged).histories(format="polars")
    assert len(caught) == 1
    assert frame.group_by("run_id").len()["len"].to_list() == [500] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert api.runs(logged).histories(keys=["none"]) == []


def test_the_histories_of_runs_with_other_types_keep_every_value(api, backend):
    values = {"w": 1, "x": 0.5, "y": "text", "z": [1, 2]}
    for name, value in values.items():
        LoggedRun(backend, name, "mixed").log({"_step": 0, "key": value, name: 1}).finish()
    runs = api.runs("mixed")
    rows = runs.histories()
    assert [row["key"] for row in rows] == list(values.values())
    frame = runs.histories(format="polars")
    assert [json.loads(text) for text in frame["key"]] == list(values.values())
    assert frame.columns == ["_step", "key", "run_id", "w", "x", "y", "z"]
    numbers = api.runs("mixed", {"name": {"$in": ["w", "x"]}}).histories(format="polars")
    assert numbers["key"].dtype == pl.Float64


def test_a_frame_of_runs_has_a_row_per_run_and_reads_no_history(api, backend):
    configs: list[dict[str, object]] = [
        {"lr": 1, "net": {"depth": 2}},
        {"lr": 0.5, "mixed": 1},
        {"mixed": "x", "list": [1]},
    ]
    for at, config in enumerate(configs):
        run = LoggedRun(backend, f"r{at}", "table").log(*steps(0, 3)).finish()
        found = api.run(run.path)
        text = json.dumps({key: {"value": value} for key, value in config.items()})
        mutation = "mutation M($id: String, $c: JSONString, $t: [String!]) { upsertBucket(input: "
        mutation += "{id: $id, config: $c, tags: $t}) { bucket { id } } }"
        other = LoggedRun(backend, "other", "elsewhere")
        other.graphql(mutation, {"id": found.storage_id, "c": text, "t": ["t"] * (at == 1)})
        other.close()
    runs = api.runs("table", per_page=2)
    with backend.counted() as requests:
        frame = runs.frame()
    assert graphql(requests) == ["Runs"] * 2
    assert frame["id"].to_list() == ["r0", "r1", "r2"]
    assert frame["tags"].to_list() == [[], ["t"], []]
    assert frame["history_line_count"].to_list() == [3, 3, 3]
    assert datetime.now(UTC) - frame["created_at"][0] < timedelta(minutes=5)
    config = frame["config"].struct.unnest()
    assert config["lr"].to_list() == [1.0, 0.5, None]
    assert frame["config"].struct.field("net").struct.field("depth").to_list() == [2, None, None]
    assert config["mixed"].to_list() == [None, "1", '"x"']
    assert config["list"].to_list() == [None, None, [1]]
    assert frame.schema["summary"] == pl.Struct([])
    with backend.counted() as requests:
        assert runs.frame().equals(frame)
    assert requests == []


def test_an_empty_list_gives_an_empty_frame(api, many):
    runs = api.runs(many, {"name": "none"})
    assert (len(runs), list(runs)) == (0, [])
    assert runs.frame().height == 0
    assert runs.histories() == []
    assert runs.histories(format="polars").shape == (0, 0)


def test_a_created_project_and_run_are_there(api, backend):
    api.create_project("fresh", backend.entity)
    api.create_project("fresh", backend.entity)
    assert [project.name for project in api.projects()].count("fresh") == 1
    assert len(api.runs("fresh")) == 0
    run = api.create_run(project="fresh")
    assert (len(run.id), run.state, run.config, run.tags) == (8, "running", {}, [])
    api.flush()
    assert [found.id for found in api.runs("fresh")] == [run.id]
    assert api.create_run(run_id="named", project="fresh").path[1:] == ["fresh", "named"]
    with pytest.raises(errors.BackendError, match="no name of a project"):
        api.create_project("a/b", backend.entity)
    with pytest.raises(errors.BackendError, match="permission denied"):
        api.create_project("ours", "somebody")


@pytest.mark.usefixtures("many", "logged")
def test_projects_come_page_by_page(api, backend):
    with backend.counted() as requests:
        names = [project.name for project in api.projects(per_page=1)]
    assert {"many", "logged"} <= set(names)
    assert len(names) == len(set(names)) == len(graphql(requests)) - 1
    project = api.project("many")
    made_at = datetime.fromisoformat(project.created_at).replace(tzinfo=UTC)
    assert timedelta(0) < datetime.now(UTC) - made_at < timedelta(minutes=10)


def facts_of(thing):
    """Return a fact of each object that only the backend knows."""
    if isinstance(thing, runlake.Api):
        return thing.run("logged/a").state, [run.id for run in thing.runs("logged")]
    if isinstance(thing, runlake.Runs):
        return [run.id for run in thing], len(thing.histories(keys=["loss"], samples=2000))
    if isinstance(thing, runlake.Run):
        return thing.config, [row["_step"] for row in thing.beta_scan_history(max_step=3)]
    return thing.path, thing.created_at


@pytest.fixture
def things(api, backend, logged, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    partly = api.runs(logged, per_page=2)
    _ = partly[0]
    return [api, partly, api.runs(logged, order="-created_at")[0], api.project("logged")]


def test_everything_pickles_without_the_key(things, backend):
    for thing in things:
        pickled = pickle.dumps(thing)
        assert backend.api_key.encode() not in pickled
        assert facts_of(pickle.loads(pickled)) == facts_of(thing)


def test_everything_works_in_threads(things):
    for thing in things:
        expected = facts_of(thing)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(facts_of, [thing] * 16)) == [expected] * 16


def test_everything_works_in_process_pools(things):
    expected = [facts_of(thing) for thing in things]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(facts_of, things)) == expected


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_lists_and_rows_work_after_a_fork(things):
    # Frames do not: polars keeps threads, which a forked child lacks.
    api, runs, run, project = things
    expected = facts_of(api), len(list(runs)), facts_of(run), facts_of(project)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = [pool.submit(facts_of, api), pool.submit(list_length, runs)]
        found += [pool.submit(facts_of, run), pool.submit(facts_of, project)]
        assert tuple(future.result(30) for future in found) == expected


def list_length(runs):
    return len(list(runs))
