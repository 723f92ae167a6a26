"""Finding runs, projects and sweeps: by paths, URLs, display names, filters and lists."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun

import runlake
from runlake import errors

PROJECT = "to find"
UPSERT = """
mutation UpsertBucket(
  $id: String!, $displayName: String, $tags: [String!], $sweep: String, $config: JSONString
) {
  upsertBucket(
    input: {id: $id, displayName: $displayName, tags: $tags, sweep: $sweep, config: $config}
  ) { bucket { id } }
}
"""


@pytest.fixture(scope="module")
def place(backend):
    """Four runs, two of one display name, in three sweeps."""
    facts: dict[str, dict[str, object]] = {
        "r1": {"displayName": "brave-sun-1", "tags": ["a", "b"], "sweep": "s1"},
        "r2": {"displayName": "calm", "tags": ["a"], "sweep": "s2"},
        "r3": {"displayName": "calm", "tags": ["b", "c", "a"], "sweep": "s3"},
        "r4": {"displayName": "r1", "config": '{"layers": {"value": [1, 2]}, "lr": {"value": 3}}'},
    }
    for name, values in facts.items():
        run = LoggedRun(backend, name, PROJECT)
        assert "errors" not in run.graphql(UPSERT, {"id": run.storage_id, **values})
        run.close()
    return f"{backend.entity}/{PROJECT}"


def ids(runs):
    return {run.id for run in runs}


def operations(requests):
    return [request["operation"] for request in requests if request["path"] == "/graphql"]


def test_sweeps_of_a_project_are_listed_without_loading_it(api, backend, place):
    with backend.counted() as requests:
        sweeps = api.project(PROJECT, backend.entity).sweeps(per_page=2)
        assert len(sweeps) == 3
        assert sweeps[0].id in {"s1", "s2", "s3"}
        assert operations(backend.requests()[-1:]) == ["GetSweeps"]
        assert ids(sweeps) == {"s1", "s2", "s3"}
        assert [sweep.state for sweep in sweeps] == [sweep.state for sweep in sweeps[:]]
    assert operations(requests) == ["GetSweeps"] * 2
    assert isinstance(sweeps, runlake.apis.public.Sweeps)
    assert repr(sweeps) == f"<Sweeps {place}>"
    assert len(sweeps[0].runs) == 1


def test_sweeps_that_a_backend_cannot_filter_or_order_are_not_listed_as_if_it_did(api, place):
    project = api.project(*reversed(place.split("/")))
    with pytest.raises(errors.UnsupportedError, match="too old to filter sweeps"):
        project.sweeps(filters={"state": "FINISHED"})
    with pytest.raises(errors.InvalidArgument):
        project.sweeps(filters=["state"])
    with pytest.warns(UserWarning, match="order is not used"):
        project.sweeps(order="+name")


def test_a_project_that_is_not_there_is_a_value_error(api, backend):
    for read in (
        lambda project: project.id,
        lambda project: list(project.sweeps()),
        lambda project: len(project.sweeps()),
    ):
        with pytest.raises(ValueError, match="nowhere") as caught:
            read(api.project("nowhere", backend.entity))
        assert isinstance(caught.value, errors.ProjectNotFoundError)


def test_names_in_the_urls_of_projects_are_quoted(api, backend, place):
    project = api.project(PROJECT, backend.entity)
    assert project.url == f"{backend.base_url}/{backend.entity}/to%20find/workspace"
    assert project.path == place.split("/")
    assert "a%2Fb%3F" in api.project("a/b?", backend.entity).url


def test_every_page_of_a_project_is_a_path_to_it(api, backend, place):
    run, sweep = api.run(f"{place}/r1"), api.sweep(f"{place}/s1")
    project = api.project(PROJECT, backend.entity)
    root = project.url.removesuffix("/workspace")
    for url in (project.url, root, f"{root}/", f"{root}/table?nw=x", run.url, sweep.url):
        assert api.project(url).path == project.path
        assert ids(api.runs(url)) == {"r1", "r2", "r3", "r4"}
    assert api.sweep(sweep.url).id == api.sweep(f"{sweep.url}?x=y").id == "s1"
    kinds = {run.url: run, sweep.url: sweep, project.url: project, root: project}
    for url, found in kinds.items():
        assert type(api.from_path(url)) is type(found)
        assert api.from_path(url).path == found.path


def test_a_url_of_something_else_is_refused(api, backend, place):
    run, sweep = api.run(f"{place}/r1"), api.sweep(f"{place}/s1")
    calls = {
        "no URL of a sweep": [lambda: api.sweep(run.url)],
        "no URL of a run": [lambda: api.run(sweep.url), lambda: api.run(api.project("p").url)],
        "no URL of a project": [
            lambda: api.project(backend.base_url),
            lambda: api.runs("http://127.0.0.1/x"),
        ],
        "another backend": [
            lambda: api.project("https://wandb.ai/a/b"),
            lambda: api.runs("https://wandb.ai/a/b"),
            lambda: api.sweep("https://wandb.ai/a/b/sweeps/c"),
            lambda: api.from_path("https://wandb.ai/a/b"),
        ],
    }
    for said, reads in calls.items():
        for read in reads:
            with pytest.raises(errors.InvalidArgument, match=said):
                read()


def test_a_display_name_in_place_of_an_id_is_named_with_the_id(api, place):
    assert api.run(f"{place}/r1").name == "brave-sun-1"
    with pytest.raises(errors.RunNotFoundError, match=f"whose id is 'r1': read '{place}/r1'"):
        api.run(f"{place}/brave-sun-1")
    with pytest.raises(errors.RunNotFoundError, match=r"several runs; .* one of 'r2', 'r3'"):
        api.run(f"{place}/calm")
    with pytest.raises(errors.RunNotFoundError, match="Check the spelling"):
        api.run(f"{place}/nobody")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"tags": {"$all": ["a", "b"]}}, {"r1", "r3"}),
        ({"tags": {"$all": ["a"]}}, {"r1", "r2", "r3"}),
        ({"tags": {"$all": []}}, set()),
        ({"tags": {"$not": {"$all": ["a"]}}}, {"r4"}),
        ({"config.layers": {"$all": [2, 1]}}, {"r4"}),
        ({"config.layers": {"$all": [[1, 2]]}}, {"r4"}),
        ({"config.layers": {"$all": [3]}}, set()),
        ({"config.lr": {"$all": [3]}}, {"r4"}),
        ({"displayName": {"$all": ["calm"]}}, {"r2", "r3"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_all_finds_what_has_all_values(api, place, filters, found):
    runs = api.runs(place, filters)
    assert ids(runs) == found
    assert len(runs) == len(found)


def test_times_in_filters_may_be_datetimes(api, place):
    now = datetime.now(UTC)
    zone = timezone(timedelta(hours=5))
    for moment in (now, now.replace(tzinfo=None), now.astimezone(zone)):
        later, earlier = moment + timedelta(hours=1), moment - timedelta(hours=1)
        assert len(ids(api.runs(place, {"createdAt": {"$gt": earlier, "$lt": later}}))) == 4
        assert ids(api.runs(place, {"$or": [{"createdAt": {"$gt": later}}]})) == set()
    assert len(ids(api.runs(place, {"created_at": {"$lte": (now + timedelta(2)).date()}}))) == 4
    with pytest.raises(errors.InvalidArgument, match=r"JSON knows: .* is a object"):
        api.runs(place, {"createdAt": object()})
    with pytest.raises(errors.InvalidArgument, match="JSON knows"):
        api.project(PROJECT).collections({"name": object()})


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"lr": 1}, "perhaps 'config.lr' or 'summary_metrics.lr'"),
        ({"createdat": 1}, "perhaps 'createdAt' or"),
        ({"summary.loss": 1}, "perhaps 'summary_metrics.loss'"),
        ({"sumary_metrics.loss": 1}, "perhaps 'summary_metrics.loss'"),
        ({"configs.lr": 1}, "perhaps 'config.lr'"),
        ({"id": "r1"}, "perhaps 'name'"),
        ({"tags": {"$All": ["a"]}}, "unknown operator '\\$All' for 'tags', perhaps '\\$all'"),
        ({"$ands": []}, "unknown operator '\\$ands', perhaps '\\$and'"),
        ({"tags": {"$all": "a"}}, "\\$all wants a list"),
    ],
    ids=str,
)
def test_a_hint_is_printed_once_and_is_useful(api, place, filters, said):
    with pytest.raises(errors.BackendError, match=said) as caught:
        list(api.runs(place, filters))
    text = str(caught.value)
    assert text.count("perhaps") == said.count("perhaps")
    assert text.count("'runs'") <= 1


def test_the_target_of_an_update_is_among_its_variables(api, place, monkeypatch):
    from runlake.public.run import run as module

    sent = []
    monkeypatch.setattr(module, "mutate", lambda *given, **_: (sent.append(given[2]), {})[1])
    run = api.run(f"{place}/r1")
    monkeypatch.setattr(type(run), "_send_summary", lambda *_: None)
    run.update()
    entity, project = place.split("/")
    assert {"entity": entity, "project": project, "name": "r1"}.items() <= sent[0].items()


def test_a_run_that_uses_an_artifact_twice_over_is_listed_once(api, backend):
    run = LoggedRun(backend, "maker", "uses")
    log_artifact(run, "data", {"a.txt": b"a"})
    artifact = api.artifact("uses/data:v0")
    api.run(run.path).use_artifact(artifact)
    api.run(run.path).use_artifact(artifact, use_as="again")
    run.close()
    assert [user.id for user in artifact.used_by()] == ["maker"]
