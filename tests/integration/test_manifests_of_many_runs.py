"""Runs that are not cached: their manifests are requested together."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.http_logging import LoggedRun, steps

import runlake
from runlake import errors
from runlake.exports import manifests

N_RUNS = 5
ENTITY, PROJECT, _ = RUN_PATH.split("/")


@pytest.fixture(scope="module")
def logged(backend):
    """A project of finished runs, the last with live rows."""
    for at in range(N_RUNS):
        run = LoggedRun(backend, f"run{at}", "manifests").log(*steps(0, 1000 + at))
        run.close() if at == N_RUNS - 1 else run.finish()
    return f"{backend.entity}/manifests"


def graphql(requests):
    return [request["operation"] for request in requests if request["path"] == "/graphql"]


def test_a_cold_read_of_many_runs_requests_their_manifests_in_pages(api, backend, logged):
    runs = api.runs(logged)
    assert len(list(runs)) == N_RUNS
    with backend.counted() as requests:
        frame = runs.scan(["loss"]).collect()
    # Freshness, manifests, and the live rows of one run.
    assert graphql(requests)[:2] == ["Runs", "Runs"]
    assert "RunHistoryManifest" not in graphql(requests)
    for run in runs:
        assert frame.filter(run_id=run.id).drop("run_id").equals(run.frame(["loss"]))


def test_a_page_has_a_bounded_number_of_runs(api, backend, logged, monkeypatch):
    monkeypatch.setattr(manifests, "RUNS_PER_PAGE", 2)
    runs = api.runs(logged)
    assert len(list(runs)) == N_RUNS
    with backend.counted() as requests:
        assert len(runs.histories(5000, keys=["loss"])) == sum(1000 + at for at in range(N_RUNS))
    # A page of one run is requested as before.
    assert graphql(requests).count("Runs") == 3
    assert graphql(requests).count("RunHistoryManifest") == 1


def test_a_run_that_is_deleted_meanwhile_is_not_found(api, backend):
    for name in "abc":
        LoggedRun(backend, name, "manifests-deleted").log(*steps(0, 3)).finish()
    runs = api.runs("manifests-deleted")
    assert len(list(runs)) == 3
    api.run("manifests-deleted/b").delete()
    with pytest.raises(errors.RunNotFoundError, match="manifests-deleted/b"):
        runs.histories()


class ManyRuns(FaultServer):
    """Three runs with one export; a page of manifests is answered as a test says."""

    def __init__(self):
        super().__init__()
        self.requested = []
        self.manifests = None
        content = io.BytesIO()
        pq.write_table(pa.table({"_step": range(4), "loss": [0.0, 0.5, 1.0, 1.5]}), content)
        self.offer(one=content.getvalue())

    def answer(self, query, variables):
        answer = super().answer(query, {})
        project, name = answer["project"], variables.get("name")
        if "query Runs" in query:
            (edge,) = project["runs"]["edges"]
            nodes = [{**edge["node"], "name": name} for name in "abc"]
            if "parquetHistory" in query:
                self.requested.append("manifests")
                nodes = nodes if self.manifests is None else self.manifests(nodes)
            edges = [{"node": node, "cursor": str(at)} for at, node in enumerate(nodes)]
            project["runs"] = {"edges": edges, "pageInfo": {"hasNextPage": False}}
        elif name is not None:
            self.requested.append(name)
            project["run"]["name"] = name
        return answer

    def histories(self, api):
        self.requested.clear()
        runs = api.runs(f"{ENTITY}/{PROJECT}")
        return [row["loss"] for row in runs.histories(keys=["loss"])]


@pytest.fixture
def server():
    with ManyRuns() as running:
        yield running


@pytest.fixture
def client_api(server):
    return runlake.Api({"base_url": server.base_url}, api_key=API_KEY)


EXPECTED = [0.0, 0.5, 1.0, 1.5] * 3


def test_three_runs_are_one_request(server, client_api):
    assert server.histories(client_api) == EXPECTED
    assert server.requested == ["manifests"]


@pytest.mark.parametrize(
    ("answer", "alone"),
    [
        (lambda nodes: [*nodes[:2], "c"], "abc"),
        (lambda nodes: [*nodes[:2], {**nodes[2], "name": ["c"]}], "abc"),
        (lambda nodes: [*nodes[:2], {**nodes[2], "parquetHistory": []}], "abc"),
        (lambda nodes: nodes[:2], "c"),
        (lambda nodes: [None, *nodes[1:]], "a"),
        (lambda nodes: [{"name": "other"}, *nodes[1:]], "a"),
        (lambda _: [], "abc"),
    ],
)
def test_a_page_of_a_wrong_shape_costs_only_itself(server, client_api, answer, alone):
    server.manifests = answer
    assert server.histories(client_api) == EXPECTED
    assert sorted(server.requested) == sorted(["manifests", *alone])
    server.manifests = None
    client_api.flush()
    server.run["heartbeatAt"] = "2026-01-02T00:00:00"
    assert server.histories(client_api) == EXPECTED
    assert server.requested == ["manifests"]


def test_one_run_whose_manifest_is_malformed_has_its_own_error(server, client_api):
    server.manifests = lambda nodes: [
        {**nodes[0], "parquetHistory": {"parquetUrls": [3]}},
        *nodes[1:],
    ]
    with pytest.raises(errors.ProtocolError, match=f"{PROJECT}/a"):
        server.histories(client_api)


def test_a_backend_that_refuses_is_asked_about_many_runs_once(server, client_api):
    refusal = Fault(body=b'{"errors": [{"message": "the query is too complex"}]}')
    server.fail("graphql", Fault(), refusal)
    assert server.histories(client_api) == EXPECTED
    assert sorted(server.requested) == ["a", "b", "c", "manifests"]
    client_api.flush()
    server.run["heartbeatAt"] = "2026-01-02T00:00:00"
    assert server.histories(client_api) == EXPECTED
    assert sorted(server.requested) == ["a", "b", "c"]
