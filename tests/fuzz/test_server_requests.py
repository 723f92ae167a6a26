"""Requests with anything in them are answered or refused, and never end in a fault of the server.

Each seed makes one request, or a few that belong together, of a GraphQL operation or a route.
"""

from pathlib import Path

from tests.fuzz.odd_documents import World
from tests.fuzz.odd_requests import Sender, Sent, send
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import RunningServer, running_server

MAX_GROWTH = 300 << 20
SEEDS_OF_A_WORLD = 125
IDS = """
query($e: String, $p: String, $r: String!) {
  project(name: $p, entityName: $e) {
    id
    run(name: $r) { id files { edges { node { id } } } }
    artifact(name: "set:v0") { id currentManifest { id } artifactSequence { id } }
    artifactCollection(name: "best") { id }
  }
}
"""
LINK = """
mutation($artifactID: ID!, $e: String, $p: String) {
  linkArtifact(input: {
    artifactID: $artifactID, artifactPortfolioName: "best", entityName: $e, projectName: $p
  }) { versionIndex }
}
"""
CREATE_FILE = """
mutation($e: String!, $p: String!, $r: String!) {
  createRunFiles(
    input: {entityName: $e, projectName: $p, runName: $r, files: ["a.txt"]}
  ) { files { uploadUrl } }
}
"""


def log_world(server: RunningServer, project: str) -> World:
    """Log a run with an artifact and a file, and return the plain values of arguments."""
    run = LoggedRun(server, "run", project).log(*steps(0, 120, text="x", nested={"a": 1}))
    run.summarize({"loss": 0.5, "a": {"b": 2}})
    run.stream({"files": {"output.log": {"offset": 0, "content": ["one", "two"]}}})
    artifact = log_artifact(run, "set", {"a.txt": b"a", "b/c.txt": b"c"})
    names = {"e": server.entity, "p": project, "r": "run"}
    run.graphql(LINK, {"artifactID": artifact, **names})
    files = run.graphql(CREATE_FILE, names)["data"]["createRunFiles"]["files"]
    path = files[0]["uploadUrl"].removeprefix(server.storage_url)
    assert send(server.storage_url, Sent("PUT", path, {}, b"text")).status == 200
    found = run.graphql(IDS, names)["data"]["project"]
    LoggedRun(server, "other", project).log(*steps(0, 3)).finish()
    run.close()
    file = found["run"]["files"]["edges"][0]["node"]["id"]
    version, portfolio = found["artifact"], found["artifactCollection"]["id"]
    sequence = version["artifactSequence"]["id"]
    return World(
        {
            **dict.fromkeys(("entityName", "entity", "artifactEntityName"), (server.entity,)),
            **dict.fromkeys(("projectName", "modelName", "project"), (project,)),
            **dict.fromkeys(("runName", "runId"), ("run", "other")),
            "name": [project, "run", "set:v0", "set", "best", "dataset", "a.txt"],
            "id": [found["id"], found["run"]["id"], artifact, sequence, portfolio],
            "clientID": ["client"],
            "sequenceClientID": ["sequence"],
            "files": [file],
            "names": ["a.txt", "a"],
            "artifactID": [artifact],
            "baseArtifactID": [artifact],
            "artifactManifestID": [version["currentManifest"]["id"]],
            "artifactPortfolioID": [portfolio],
            "artifactSequenceID": [sequence],
            "artifactCollectionName": ["set", "best"],
            "artifactTypeName": ["dataset"],
            "destinationArtifactTypeName": ["model"],
            "alias": ["latest", "v0", "best"],
            "metricName": ["_step"],
            "liveKeys": ["_step", "loss"],
            "order": ["-created_at", "+config.lr"],
        }
    )


def resident(pid, field):
    """Return a figure of a process's memory in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) << 10


def test_odd_requests_never_end_in_a_fault_of_the_server(request, tmp_path):
    is_thorough = request.config.getoption("--hypothesis-profile") == "thorough"
    n_requests = 3_000 if is_thorough else 200
    with running_server(tmp_path / "backend", export_rows=50) as server:
        world = log_world(server, "fuzz-0")
        pid = server.process.pid
        has_figures = Path(f"/proc/{pid}/status").exists()
        before = resident(pid, "VmRSS") if has_figures else 0
        sender = Sender(server, world)
        sender.try_known()
        seed = 0
        while sender.n_requests < n_requests:
            if seed and not seed % SEEDS_OF_A_WORLD:
                # Requests delete what they find.
                sender.world = log_world(server, f"fuzz-{seed}")
            sender.try_seed(seed)
            seed += 1
        assert sender.faults == [], "\n".join(sender.faults)
        assert server.process.poll() is None
        assert send(server.base_url, Sent("GET", "/healthz")).status == 200
        if has_figures:
            assert resident(pid, "VmHWM") - before <= MAX_GROWTH
    # What failed after an answer, as the writing of an export, is only in the log.
    log = (tmp_path / "backend" / "server.log").read_text()
    assert "Traceback" not in log, log
