"""Artifacts in the embedded backend: refusals, sharing, deletion, old databases."""

import base64
import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import httpx
import pytest
from tests.http_artifacts import ArtifactUnderWay, log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import bare_environment, running_server

import runlake
from runlake.errors import CommError
from runlake.server.artifacts.artifacts import ArtifactStore
from runlake.server.store.database import MIGRATIONS, Database
from runlake.server.store.objects import Storage

NUMBERS = count()
DELETE_RUN = """
mutation DeleteRun($id: ID!, $deleteArtifacts: Boolean) {
  deleteRun(input: {id: $id, deleteArtifacts: $deleteArtifacts}) { clientMutationId }
}
"""
UPDATE = """
mutation UpdateArtifact($input: UpdateArtifactInput!) {
  updateArtifact(input: $input) { artifact { id } }
}
"""
DELETE = """
mutation DeleteArtifact($input: DeleteArtifactInput!) {
  deleteArtifact(input: $input) { artifact { id } }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("artifact-backend")) as server:
        yield server


@pytest.fixture
def run(server):
    logged = LoggedRun(server, f"r{next(NUMBERS)}", "p").log(*steps(0, 1))
    yield logged
    logged.close()


@pytest.fixture
def reader(server):
    return runlake.Api({"base_url": server.base_url, "project": "p"}, api_key=server.api_key)


def blobs(server):
    root = server.access_log.parent / "storage" / "wandb_artifacts"
    return {path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refusal(answer):
    return answer["errors"][0]["message"]


def test_an_upload_of_other_bytes_is_refused_and_cannot_be_committed(run):
    artifact = ArtifactUnderWay(run, "broken", {"a": b"as announced"})
    url = artifact.upload_urls()["a"]
    assert url is not None
    answer = httpx.put(url, content=b"other")
    assert answer.status_code == 400
    assert "MD5" in answer.text
    assert "not uploaded" in refusal(artifact.put_manifest().commit())
    assert artifact.upload().commit()["data"]["commitArtifact"]["artifact"]["versionIndex"] == 0


def test_an_upload_may_not_go_where_it_was_not_signed_for(run):
    url = ArtifactUnderWay(run, "signed", {"a": b"1"}).upload_urls()["a"]
    assert url is not None
    assert httpx.put(url.replace("md5=", "md5=0"), content=b"1").status_code == 403
    assert httpx.put(url.partition("&md5=")[0], content=b"other").status_code == 403


def test_known_content_is_not_requested_again(run):
    log_artifact(run, "first", {"a": b"shared content", "b": b"own content"})
    again = ArtifactUnderWay(run, "second", {"x": b"shared content", "y": b"new content"})
    urls = again.upload_urls()
    assert urls["x"] is None
    assert urls["y"] is not None


def test_the_same_content_is_the_same_version(run):
    first = log_artifact(run, "same", {"a": b"same"}, aliases=["latest"])
    second = log_artifact(run, "same", {"a": b"same"}, aliases=["latest", "again"])
    assert first == second


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\..\\b", ""])
def test_a_file_name_that_leads_out_is_refused(run, name):
    assert "leads out" in refusal(ArtifactUnderWay(run, "names", {name: b"1"}).announce())


@pytest.mark.parametrize("name", ["../a", "a\\..\\b"])
def test_a_reference_whose_name_leads_out_is_refused(run, name):
    refs = {name: {"digest": "x", "ref": "https://example.invalid/x"}}
    artifact = ArtifactUnderWay(run, "refs", {}, refs=refs)
    assert "leads out" in refusal(artifact.put_manifest().commit())


def test_a_manifest_with_another_digest_than_was_promised_is_refused(run):
    artifact = ArtifactUnderWay(run, "promised", {"a": b"1"}).upload()
    artifact.contents["b"] = artifact.contents["a"]
    assert "digest" in refusal(artifact.put_manifest().commit())


def test_a_committed_version_takes_no_more_files(run):
    artifact = ArtifactUnderWay(run, "closed", {"a": b"closed"})
    artifact.upload().put_manifest().commit()
    assert "takes no more files" in refusal(artifact.announce())
    assert artifact.commit()["data"]["commitArtifact"]["artifact"]["versionIndex"] == 0


def test_an_alias_names_one_version_and_cannot_look_like_another(run, reader):
    log_artifact(run, "aliased", {"a": b"0"}, aliases=["latest", "best"])
    log_artifact(run, "aliased", {"a": b"1"}, aliases=["latest"])
    assert reader.artifact("aliased:best").version == "v0"
    assert reader.artifact("aliased:latest").version == "v1"
    with pytest.raises(RuntimeError, match="kept for the version"):
        log_artifact(run, "aliased", {"a": b"2"}, aliases=["v7"])


def test_a_number_is_never_given_twice(run, reader):
    log_artifact(run, "counted", {"a": b"0"})
    last = log_artifact(run, "counted", {"a": b"1"})
    refused = run.graphql(DELETE, {"input": {"artifactID": last, "deleteAliases": False}})
    assert "latest" in refusal(refused)
    run.graphql(DELETE, {"input": {"artifactID": last, "deleteAliases": True}})
    log_artifact(run, "counted", {"a": b"1"})
    assert [one.version for one in reader.artifacts("dataset", "counted")] == ["v2", "v0"]


def test_a_deleted_version_takes_along_content_that_no_other_version_has(run, server, reader):
    log_artifact(run, "kept", {"shared": b"held by two"})
    gone = log_artifact(run, "going", {"shared": b"held by two", "own": b"held by one"})
    assert {b"held by two", b"held by one"} <= blobs(server)
    run.graphql(DELETE, {"input": {"artifactID": gone, "deleteAliases": True}})
    assert b"held by two" in blobs(server)
    assert b"held by one" not in blobs(server)
    reader.artifact("kept:v0").download("out")
    log_artifact(run, "back", {"own": b"held by one"})
    assert b"held by one" in blobs(server)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_run_is_deleted_with_its_artifacts_if_requested(server, reader, is_asked):
    run = LoggedRun(server, f"ends-{is_asked}", "p").log(*steps(0, 1))
    name = f"made-{is_asked}"
    log_artifact(run, name, {"a": name.encode()})
    storage_id = reader.run(run.path).storage_id
    run.graphql(DELETE_RUN, {"id": storage_id, "deleteArtifacts": is_asked})
    run.close()
    assert reader.artifact_exists(f"{name}:v0") is not is_asked
    if not is_asked:
        assert reader.artifact(f"{name}:v0").logged_by() is None


@pytest.fixture(scope="module")
def others_key(server):
    """The key of another user."""
    command = [sys.executable, "-m", "runlake", "server", "user", "add", "other"]
    added = subprocess.run(
        [*command, "--data-dir", str(server.access_log.parent)],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return added.stdout.strip().rpartition("=")[2]


def test_artifacts_of_another_user_are_not_there(run, server, others_key):
    artifact_id = log_artifact(run, "private", {"a": b"private"})
    other = runlake.Api({"base_url": server.base_url}, api_key=others_key)
    assert not other.artifact_exists(f"{server.entity}/p/private:v0")
    document = "query Q($id: ID!) { artifact(id: $id) { digest } }"
    by_md5 = f"{server.base_url}/artifacts/{server.entity}/{hashlib.md5(b'private').hexdigest()}"
    with httpx.Client(auth=("api", others_key)) as http:
        body = {"query": document, "variables": {"id": artifact_id}}
        answer = http.post(f"{server.base_url}/graphql", json=body)
        assert "not found" in refusal(answer.json())
        assert http.get(by_md5).status_code == 404
    assert httpx.get(by_md5).status_code == 401
    assert httpx.get(by_md5, auth=("api", server.api_key)).status_code == 302


EDITS: dict[str, Callable[[Any], object]] = {
    "alias": lambda artifact: (artifact.aliases.append("stolen"), artifact.save()),
    "description": lambda a: (setattr(a, "description", "defaced"), a.save()),
    "tag": lambda artifact: (artifact.tags.append("defaced"), artifact.save()),
    "deletion": lambda artifact: artifact.delete(delete_aliases=True),
    "link": lambda artifact: artifact.link("p/of-another"),
    "collection": lambda artifact: artifact.collection.save(),
}


@pytest.mark.parametrize("kind", EDITS)
def test_the_artifacts_of_another_user_cannot_be_edited(run, server, reader, others_key, kind):
    log_artifact(run, "mine", {"a": b"mine"})
    other = runlake.Api({"base_url": server.base_url}, api_key=others_key)
    artifact, mine = reader.artifact("mine:v0"), reader.artifact("mine:v0")
    vars(artifact)["_client"] = other.artifact_types("p")._client
    with pytest.raises(CommError, match=r"not found|not find|permission denied"):
        EDITS[kind](artifact)
    assert reader.artifact("mine:v0")._attrs == mine._attrs


def test_an_edit_that_is_refused_changes_nothing(run, reader):
    artifact_id = log_artifact(run, "whole", {"a": b"whole"}, aliases=["latest", "kept"])
    given = {
        "artifactID": artifact_id,
        "description": "half",
        "aliases": [{"artifactCollectionName": "whole", "alias": "half"}],
        "tagsToAdd": [{"tagName": "half"}, {"tagName": "no/tag"}],
    }
    assert "cannot be a tag" in refusal(run.graphql(UPDATE, {"input": given}))
    artifact = reader.artifact("whole:v0")
    assert (artifact.description, artifact.tags) == (None, [])
    assert sorted(artifact.aliases) == ["kept", "latest"]


def test_a_version_that_was_deleted_takes_no_alias_from_another(run, reader):
    log_artifact(run, "dead", {"a": b"0"}, aliases=["best"])
    log_artifact(run, "dead", {"a": b"1"}, aliases=["latest"])
    dead = reader.artifact("dead:v1")
    reader.artifact("dead:v1").delete(delete_aliases=True)
    dead.aliases.append("best")
    for change in (dead.save, dead.delete, lambda: dead.link("p/linked")):
        with pytest.raises(CommError, match="was deleted"):
            change()
    assert reader.artifact("dead:best").version == "v0"


def test_a_deleted_version_is_gone_from_where_it_was_linked(run, reader):
    log_artifact(run, "original", {"a": b"linked"})
    artifact = reader.artifact("original:v0")
    assert artifact.link("p/links", aliases=["best"]).version == "v0"
    log_artifact(run, "original", {"a": b"linked too"})
    assert reader.artifact("original:v1").link("p/links").name == "links:v1"
    with pytest.raises(CommError, match="aliases"):
        artifact.delete()
    artifact.delete(delete_aliases=True)
    assert not reader.artifact_exists("p/links:best")
    assert [one.name for one in reader.artifacts("dataset", "p/links")] == ["links:v1"]
    with pytest.raises(RuntimeError, match="cannot be logged to it"):
        log_artifact(run, "links", {"a": b"logged"})


@pytest.mark.parametrize(
    "document",
    [
        'query Q { artifact(id: "x") { isMadeUp } }',
        'query Q { project(name: "p") { artifactType(name: "t") { isMadeUp } } }',
        'mutation M { commitArtifact(input: {artifactID: "x", isMadeUp: 1}) { artifact { id } } }',
    ],
)
def test_a_field_outside_the_schema_is_refused(run, document):
    assert "isMadeUp" in refusal(run.graphql(document, {}))


def test_a_database_from_before_collections_keeps_its_artifacts(tmp_path):
    old = sqlite3.connect(tmp_path / "old.sqlite")
    old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1;")
    old.execute("INSERT INTO projects VALUES (1, 'me', 'p')")
    old.execute("INSERT INTO secrets VALUES ('signing', 'x')")
    old.execute("INSERT INTO objects VALUES ('artifacts/1/files/sub/a.txt', 'ab', 3, 0)")
    old.execute("INSERT INTO objects VALUES ('artifacts/1/wandb_manifest.json', 'cd', 9, 0)")
    rows = [
        (1, "COMMITTED", 0, json.dumps(["latest"])),
        (2, "PENDING", 1, json.dumps(["latest"])),
    ]
    old.executemany(
        "INSERT INTO artifacts VALUES "
        "(?1, 1, 'r', 'dataset', 'set', ?3, ?2, 'd', NULL, '{}', 'client-' || ?1, ?4, 5.0)",
        rows,
    )
    old.commit()
    old.close()
    database = Database(tmp_path / "old.sqlite")
    store = ArtifactStore(database, Storage(database, tmp_path / "storage", "http://h", 60))
    row = store.by_name(1, "set:latest")
    assert row is not None
    assert (row["version"], row["type"], row["n_files"], row["n_bytes"]) == (0, "dataset", 1, 3)
    first = store.by_client_id("me", "client-1")
    assert first is not None
    assert first["id"] == 1
    files, total = store.contents.files(1, None, 0, 10)
    assert (total, files[0]["name"], files[0]["object"]) == (
        1,
        "sub/a.txt",
        "artifacts/1/files/sub/a.txt",
    )
    manifest = store.contents.manifest(row["manifest_id"])
    assert manifest is not None
    assert manifest["object"].endswith("wandb_manifest.json")
    assert store.by_name(1, "set:v1") is None


def test_aliases_in_a_list_of_a_collection_say_which_collection_they_are_in(run):
    log_artifact(run, "named", {"a": b"x"}, aliases=("latest", "best"))
    answer = run.graphql(
        'query A { project(name: "p") { artifactCollection(name: "named") { '
        "aliases { edges { node { alias artifactCollection { name } } } } } } }",
        {},
    )
    edges = answer["data"]["project"]["artifactCollection"]["aliases"]["edges"]
    found = {edge["node"]["alias"]: edge["node"]["artifactCollection"] for edge in edges}
    assert found == {alias: {"name": "named"} for alias in ("latest", "best")}


HUGE = 10**30
HUGE_CURSOR = base64.b64encode(str(HUGE).encode()).decode()


@pytest.mark.parametrize(
    "asked",
    [
        'artifactCollection(name: "odd") { artifacts(filters: "[1]") { totalCount } }',
        'artifactCollection(name: "odd") { artifacts(filters: "3") { totalCount } }',
        f'artifact(name: "odd:v{HUGE}") {{ id }}',
        f'run(name: "RUN") {{ files(after: "{HUGE}") {{ edges {{ cursor }} }} }}',
        f'run(name: "RUN") {{ logLines(after: "{HUGE}") {{ edges {{ cursor }} }} }}',
        f'run(name: "RUN") {{ outputArtifacts(after: "{HUGE}") {{ totalCount }} }}',
        f'sweeps(after: "{HUGE_CURSOR}") {{ edges {{ cursor }} }}',
    ],
)
def test_odd_filters_and_cursors_are_refused_or_find_nothing(run, asked):
    log_artifact(run, "odd", {"a": b"x"})
    asked = asked.replace("RUN", run.path.rpartition("/")[2])
    answer = run.graphql(f'query Q {{ project(name: "p") {{ __typename {asked} }} }}', {})
    assert "errors" in answer or answer["data"]["project"]["__typename"] == "Project"


def test_an_id_beyond_64_bits_names_no_run(run):
    run_id = base64.b64encode(f"Run:v1:{HUGE}".encode()).decode()
    answer = run.graphql(DELETE_RUN, {"id": run_id})
    assert "not found" in answer["errors"][0]["message"]
