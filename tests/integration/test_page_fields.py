"""Large fields of listed runs: the first access loads them for the runs of the same page."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.server_process import NO_TLS

import runlake
from runlake import errors
from runlake.public.run import page_fields

N_RUNS = 12
ENTITY, PROJECT, RUN = RUN_PATH.split("/")


@pytest.fixture
def listed(backend, request):
    """A project of runs with a config, of the test alone."""
    project = f"page-{request.node.name[:60]}"
    mutations = (
        f'm{at}: upsertBucket(input: {{name: "run{at:02}", modelName: "{project}", '
        f'config: "{{\\"index\\": {{\\"value\\": {at}}}}}", '
        f'summaryMetrics: "{{\\"loss\\": {at / 2}}}"}}) {{ bucket {{ id }} }}'
        for at in range(N_RUNS)
    )
    answer = httpx.post(
        f"{backend.base_url}/graphql",
        json={"query": f"mutation {{ {' '.join(mutations)} }}"},
        auth=("api", backend.api_key),
        verify=NO_TLS,
        trust_env=False,
    )
    assert "errors" not in answer.json()
    return f"{backend.entity}/{project}"


def operations(requests):
    return [request["operation"] for request in requests if request["path"] == "/graphql"]


def test_the_first_access_loads_the_page(api, backend, listed):
    with backend.counted() as requests:
        runs = list(api.runs(listed))
        states = [run.state for run in runs]
    assert operations(requests) == ["Runs"]
    assert len(states) == N_RUNS
    with backend.counted() as requests:
        assert runs[3].config == {"index": 3}
        assert [run.is_lazy for run in runs] == [at != 3 for at in range(N_RUNS)]
        assert [run.config["index"] for run in runs] == list(range(N_RUNS))
        assert [run.summary["loss"] for run in runs] == [at / 2 for at in range(N_RUNS)]
        assert [run.system_metrics for run in runs] == [{}] * N_RUNS
        assert [run.history_keys is None for run in runs] == [True] * N_RUNS
    assert operations(requests) == ["Runs"]
    assert [run.rawconfig for run in runs] == [
        run.rawconfig for run in api.runs(listed, lazy=False)
    ]


def test_later_pages_are_requested_with_large_fields_once_those_are_read(api, backend, listed):
    with backend.counted() as requests:
        found = [run.config["index"] for run in api.runs(listed, per_page=4)]
    assert found == list(range(N_RUNS))
    assert operations(requests) == ["Runs"] * 4
    runs = api.runs(listed, {"state": "running"}, per_page=4)
    assert [run.config["index"] for run in runs[:4]] == [0, 1, 2, 3]
    assert all(run.is_lazy for run in runs[4:])
    assert "config" not in runs[5].load()


def test_a_page_of_many_runs_is_loaded_in_bounded_requests(api, backend, listed, monkeypatch):
    monkeypatch.setattr(page_fields, "MAX_TOGETHER", 5)
    runs = list(api.runs(listed))
    with backend.counted() as requests:
        found = [run.config["index"] for run in reversed(runs)]
    assert found == list(reversed(range(N_RUNS)))
    assert operations(requests) == ["Runs"] * 3


def test_threads_share_the_request_of_a_page(api, backend, listed):
    runs = list(api.runs(listed))
    with backend.counted() as requests, ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda run: run.config["index"], runs))
    assert found == list(range(N_RUNS))
    assert operations(requests) == ["Runs"]


def test_fields_that_no_run_took_in_time_are_loaded_again(api, backend, listed, monkeypatch):
    runs = list(api.runs(listed))
    assert runs[0].config == {"index": 0}
    monkeypatch.setattr(page_fields, "MAX_AGE_SECONDS", 0.0)
    with backend.counted() as requests:
        # Each request has twice as many runs as were read in time.
        assert [run.config["index"] for run in runs[1:4]] == [1, 2, 3]
    assert operations(requests) == ["Runs"] * 3


def test_a_run_that_is_deleted_meanwhile_is_not_found(api, backend, listed):
    runs = list(api.runs(listed))
    api.run(f"{listed}/run05").delete()
    assert runs[0].config == {"index": 0}
    api.run(f"{listed}/run07").delete()
    for at in (5, 7):
        with pytest.raises(errors.RunNotFoundError, match=f"run{at:02}"):
            runs[at].summary_metrics  # noqa: B018 - the access loads it
    with backend.counted() as requests:
        assert runs[8].config == {"index": 8}
    assert operations(requests) == []


def test_changes_through_another_object_are_seen(api, listed):
    runs = list(api.runs(listed))
    assert runs[0].summary["loss"] == 0.0
    other = api.run(f"{listed}/run01")
    other.config["index"] = 100
    other.update()
    other.summary.update({"loss": -1.0})
    assert runs[1].config == {"index": 100}
    assert runs[1].summary["loss"] == -1.0


def test_changes_of_one_run_leave_the_others_loaded(api, backend, listed):
    runs = list(api.runs(listed))
    with backend.counted() as requests:
        for run in runs[:3]:
            run.config["seen"] = True
            run.update()
    assert operations(requests).count("Runs") == 1
    assert "Run" not in operations(requests)
    assert [run.config.get("seen") for run in api.runs(listed, per_page=4)] == (
        [True] * 3 + [None] * (N_RUNS - 3)
    )


def test_a_run_that_is_loaded_by_force_is_not_replaced_by_older_fields(api, backend, listed):
    runs = list(api.runs(listed))
    assert runs[0].config == {"index": 0}
    with backend.counted() as requests:
        runs[1].load(force=True)
        assert runs[1].config == {"index": 1}
        runs[2].load_full_data(force=True)
    assert operations(requests) == ["Run"] * 3


def test_copies_do_not_have_the_fields_of_other_runs(api, backend, listed, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    runs = list(api.runs(listed))
    assert runs[0].config == {"index": 0}
    assert b"index" not in pickle.dumps(runs[1])
    for made in (copy.copy(runs[1]), pickle.loads(pickle.dumps(runs[1]))):
        with backend.counted() as requests:
            assert made.config == {"index": 1}
        assert operations(requests) == ["Run"]
    assert len(pickle.loads(pickle.dumps(api.runs(listed)))) == N_RUNS


class Pages(FaultServer):
    """Lists three runs; a list that has large fields is answered as the test says."""

    def __init__(self):
        super().__init__()
        self.large = []
        self.requested = []

    def answer(self, query, variables):
        name = variables.get("name")
        answer = super().answer(query, {})
        if "query Runs" in query:
            nodes = [{"id": n, "name": n, "state": "finished"} for n in "abc"]
            self.requested.append("list")
            if "summaryMetrics" in query:
                self.requested[-1] = "large"
                nodes = self.large
            edges = [{"node": node, "cursor": str(at)} for at, node in enumerate(nodes)]
            answer["project"]["runs"] = {"edges": edges, "pageInfo": {"hasNextPage": False}}
        elif name is not None:
            self.requested.append(name)
            answer["project"]["run"]["name"] = name
            answer["project"]["run"]["config"] = '{"alone": 1}'
        return answer


@pytest.mark.parametrize(
    "nodes",
    [
        [{"name": "a", "config": "{}"}, "b"],
        [{"name": ["a"]}],
        [{"name": 3}],
        [{}],
        [{"name": "other"}],
        [],
        [None],
    ],
)
def test_a_page_of_a_wrong_shape_costs_only_itself(nodes):
    with Pages() as server:
        server.large = nodes
        runs = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).runs(
            f"{ENTITY}/{PROJECT}"
        )
        assert [run.config for run in runs] == [{"alone": 1}] * 3
        assert server.requested == ["list", "large", "a", "b", "c"]


def test_a_page_that_the_backend_refuses_costs_only_itself():
    with Pages() as server:
        api = runlake.Api({"base_url": server.base_url}, api_key=API_KEY)
        runs = list(api.runs(f"{ENTITY}/{PROJECT}"))
        server.fail("graphql", Fault(413))
        assert [run.config for run in runs] == [{"alone": 1}] * 3
        assert server.requested == ["list", "large", "a", "b", "c"]


def test_a_backend_that_is_gone_is_asked_once(monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.1")
    with Pages() as server:
        api = runlake.Api({"base_url": server.base_url}, api_key=API_KEY)
        runs = list(api.runs(f"{ENTITY}/{PROJECT}"))
        server.hang_up()
        for run in runs:
            with pytest.raises(errors.Unreachable):
                run.config  # noqa: B018 - the access loads it
            assert run.is_lazy


def test_a_malformed_summary_warns_when_its_run_is_read():
    with Pages() as server:
        server.large = [{"name": name, "config": "{}", "summaryMetrics": "[1]"} for name in "abc"]
        runs = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).runs(
            f"{ENTITY}/{PROJECT}"
        )
        for name, run in zip("abc", runs, strict=True):
            with pytest.warns(UserWarning, match=f"{PROJECT}/{name}"):
                assert run.config == {}
        assert server.requested == ["list", "large"]


def test_a_frame_requests_each_run_once_in_large_pages(api, backend, listed):
    with backend.counted() as requests:
        frame = api.runs(listed, per_page=2).frame()
    assert operations(requests) == ["Runs"] * 2
    assert frame["config"].struct.field("index").to_list() == list(range(N_RUNS))
    with backend.counted() as requests:
        assert api.runs(listed, per_page=2).frame().equals(frame)
    assert operations(requests) == []


def test_a_frame_completes_a_list_that_was_fetched_in_part(api, backend, listed):
    runs = api.runs(listed, per_page=4)
    first = runs[1]
    with backend.counted() as requests:
        frame = runs.frame()
    assert operations(requests) == ["Runs"] * 3
    assert runs[1] is first
    assert first.config == {"index": 1}
    assert frame["id"].to_list() == [run.id for run in runs]
    assert frame["summary"].struct.field("loss").to_list() == [at / 2 for at in range(N_RUNS)]
