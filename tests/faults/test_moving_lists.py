"""Lists that change while they are read page by page, and lists that never end."""

import re
from collections.abc import Callable

import polars as pl
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake
from runlake.backend.graphql.walk import IDLE_PAGES
from runlake.errors import ProtocolError

ENTITY, PROJECT, RUN = RUN_PATH.split("/")
PLACE = {"id": "1", "name": PROJECT, "entity": {"name": ENTITY}}
ROWS = [{"_step": step, "loss": float(step)} for step in range(5)]


def artifact_node(name):
    return {
        "id": name,
        "artifactSequence": {"name": "set", "project": PLACE},
        "versionIndex": 0,
        "artifactType": {"name": "dataset"},
        "state": "COMMITTED",
        "tags": [],
    }


def collection_node(name):
    return {"id": name, "name": name, "type": {"name": "dataset"}, "project": PLACE}


def of_project(answer):
    return {"project": answer}


def files_of_artifact(found):
    return of_project({"artifactCollection": {"artifactMembership": {"files": found}}})


# Of each list: how it is opened, its operation, what a node looks like, where the answer has it.
LISTS = {
    "the runs of": (
        lambda api: api.runs(f"{ENTITY}/{PROJECT}"),
        "Runs",
        lambda name: {"id": name, "name": name},
        lambda found: of_project({"runs": found, "runCount": 3}),
    ),
    "the projects of": (
        lambda api: api.projects(ENTITY),
        "GetProjects",
        lambda name: {"id": name, "name": name},
        lambda found: {"models": found},
    ),
    "the files of run": (
        lambda api: api.run(RUN_PATH).files(),
        "RunFiles",
        lambda name: {"id": name, "name": name, "sizeBytes": 1},
        lambda found: of_project({"run": {"files": found, "fileCount": 3}}),
    ),
    "the console lines of run": (
        lambda api: api.run(RUN_PATH).console_logs(),
        "RunConsoleLogPage",
        lambda name: {"number": ord(name), "line": name},
        lambda found: of_project({"run": {"logLines": found}}),
    ),
    "the artifact types of": (
        lambda api: api.artifact_types(f"{ENTITY}/{PROJECT}"),
        "ProjectArtifactTypes",
        lambda name: {"id": name, "name": name},
        lambda found: of_project({"artifactTypes": found}),
    ),
    "the collections of type": (
        lambda api: api.artifact_collections(f"{ENTITY}/{PROJECT}", "dataset"),
        "ArtifactTypeArtifactCollections",
        collection_node,
        lambda found: of_project({"artifactType": {"artifactCollections": found}}),
    ),
    "the artifact collections of": (
        lambda api: api.project(PROJECT, ENTITY).collections(),
        "ProjectArtifactCollections",
        collection_node,
        lambda found: of_project({"artifactCollections": found}),
    ),
    "the versions of": (
        lambda api: api.artifacts("dataset", f"{ENTITY}/{PROJECT}/set"),
        "ProjectArtifacts",
        artifact_node,
        lambda found: of_project({"artifactType": {"artifactCollection": {"artifacts": found}}}),
    ),
    "the artifacts logged by run": (
        lambda api: api.run(RUN_PATH).logged_artifacts(),
        "RunOutputArtifacts",
        artifact_node,
        lambda found: of_project({"run": {"artifacts": found}}),
    ),
    "the files of artifact": (
        lambda api: api.artifact(f"{ENTITY}/{PROJECT}/set:v0").files(),
        "ArtifactMembershipFiles",
        lambda name: {"id": name, "name": name, "sizeBytes": 1},
        files_of_artifact,
    ),
}


class ListServer(FaultServer):
    """Serves a list of a test's items page by page; the last page is repeated for ever."""

    def list(self, what, *pages, total=None):
        _, self.operation, self.node, self.place = LISTS[what]
        self.pages, self.total, self.n_asked = pages, total, 0

    def answer(self, query, variables):
        operation = re.findall(r"(?:query|mutation) (\w+)", query)[0]
        if operation == "ArtifactMembershipByName":
            collection = {"name": "set", "project": PLACE}
            found = {"versionIndex": 0, "artifactCollection": collection}
            found["artifact"] = artifact_node("a")
            return of_project({"artifactCollectionMembership": found})
        if operation != self.operation:
            return super().answer(query, variables)
        names, cursor, has_next = self.pages[min(self.n_asked, len(self.pages) - 1)]
        self.n_asked += 1
        if cursor == "new":
            cursor = f"cursor {self.n_asked}"
        nodes = [{"node": self.node(name), "version": "v0"} for name in names]
        info = {"endCursor": cursor, "hasNextPage": has_next}
        return self.place({"edges": nodes, "pageInfo": info, "totalCount": self.total})


@pytest.fixture(scope="module")
def server():
    with ListServer() as running:
        yield running


@pytest.fixture(scope="module")
def one_api(server, tmp_path_factory):
    overrides = {"base_url": server.base_url, "cache_dir": tmp_path_factory.mktemp("cache")}
    return runlake.Api(overrides, api_key=API_KEY)


@pytest.fixture
def api(one_api):
    one_api.flush()
    return one_api


@pytest.mark.parametrize("what", LISTS)
def test_a_run_that_the_backend_lists_on_two_pages_is_listed_once(server, api, what):
    server.list(what, ("ab", "1", True), ("bc", "2", True), ("c", "3", False), total=3)
    found = LISTS[what][0](api)
    listed = list(found)
    assert len(listed) == 3
    assert len({repr(one) for one in listed}) in {1, 3}
    assert list(found) == listed
    assert found[-1] is listed[-1]
    if what != "the files of artifact" and hasattr(found, "__len__"):
        assert len(found) == 3


ENDLESS: dict[str, list[tuple[str, str | None, bool]]] = {
    "leads back": [("a", "1", True), ("b", "2", True), ("c", "1", True)],
    "stays where it is": [("a", "1", True), ("b", "1", True)],
    "brings the same": [("ab", "new", True)],
    "brings nothing": [("a", "1", True), ("", "new", True)],
    "says not where": [("a", None, True)],
}


@pytest.mark.parametrize("what", LISTS)
def test_a_list_without_end_is_an_error_that_names_it(server, api, what):
    for pages in ENDLESS.values():
        api.flush()
        server.list(what, *pages)
        found = LISTS[what][0](api)
        for _ in range(2):
            with pytest.raises(ProtocolError, match=rf"{server.base_url} lists {what} .*{ENTITY}"):
                list(found)
            assert server.n_asked <= IDLE_PAGES + 2
        assert found[0] is not None


def test_runs_that_move_behind_the_cursor_end_no_list(server, api):
    same = [("a", "new", True)] * (IDLE_PAGES - 1)
    server.list("the runs of", ("a", "new", True), *same, ("b", "new", True), ("c", None, False))
    assert [run.id for run in api.runs(f"{ENTITY}/{PROJECT}")] == ["a", "b", "c"]


class TwicePages(FaultServer):
    """Lists its one run on two pages."""

    n_asked = 0
    leads_back = False

    def answer(self, query, variables):
        answer = super().answer(query, variables)
        if "query Runs" in query:
            self.n_asked += 1
            cursor = variables.get("cursor")
            has_next = cursor is None or self.leads_back
            answer["project"]["runs"]["pageInfo"] = {"endCursor": "1", "hasNextPage": has_next}
            answer["project"]["runCount"] = 2
        return answer


@pytest.fixture
def twice():
    with TwicePages() as running:
        running.live_rows = ROWS
        running.history_keys["lastStep"] = 4
        yield running


def test_a_run_on_two_pages_is_read_once_by_every_reader_of_many_runs(twice):
    runs = runlake.Api({"base_url": twice.base_url}, api_key=API_KEY).runs(f"{ENTITY}/{PROJECT}")
    rows = [{**row, "run_id": RUN} for row in ROWS]
    assert runs.histories() == rows
    frame = runs.histories(format="polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame["_step"].to_list() == list(range(5))
    assert runs.scan(["loss"]).collect()["loss"].to_list() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert runs.frame()["id"].to_list() == [RUN]
    assert [run.id for run in runs] == [RUN]
    assert len(runs) == 1


@pytest.mark.parametrize("reader", ["frame", "histories", "upgrade_to_full"])
def test_a_list_that_is_requested_again_ends_too(twice, reader):
    runs = runlake.Api({"base_url": twice.base_url}, api_key=API_KEY).runs(f"{ENTITY}/{PROJECT}")
    assert len(list(runs)) == 1
    twice.leads_back, twice.run = True, {**twice.run, "name": "another"}
    before = twice.n_asked
    with pytest.raises(ProtocolError, match=f"the runs of '{ENTITY}/{PROJECT}'"):
        getattr(runs, reader)()
    assert twice.n_asked - before <= 2


class RepeatingWalk(FaultServer):
    """Answers with the same rows wherever a page of live rows starts."""

    def answer(self, query, variables):
        kept = {name: variables[name] for name in ("name", "run", "keys") if name in variables}
        if "SampledHistoryPage" in query:
            return {"project": {"run": {"sampledHistory": [self.live_rows] * 2}}}
        return super().answer(query, kept if "HistoryPage" in query else variables)


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_walk_over_live_rows_whose_page_repeats_is_an_error(is_listed):
    with RepeatingWalk() as server:
        server.live_rows = ROWS
        server.lists_live_steps = is_listed
        server.history_keys["lastStep"] = 10**6
        run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
        readers: dict[str, Callable[[], object]] = {
            "rows": lambda: list(run.scan_history()),
            "rows of a key": lambda: list(run.scan_history(keys=["loss"])),
            "frame": run.frame,
            "arrow": lambda: run.arrow().read_all(),
            "sql": lambda: run.sql("SELECT count(*) FROM history").fetchall(),
            "range": lambda: list(run.scan_history(min_step=5, max_step=10**5)),
            "follow": lambda: list(run.follow()),
        }
        for name, read in readers.items():
            before = len(server.seen)
            with pytest.raises(ProtocolError, match=rf"{server.base_url}.*{RUN_PATH}.*lead back"):
                read()
            assert len(server.seen) - before <= 10, name
