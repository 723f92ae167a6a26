"""Answers of the embedded backend to single requests that the SDK rarely sends."""

import gzip
import json
import os
import sqlite3

import httpx
import pytest
from tests.http_artifacts import ArtifactUnderWay, log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import NO_TLS, running_server

import runlake
from runlake import errors
from runlake.backend.graphql.documents import CREATE_PROJECT, CREATE_RUN
from runlake.server.store.accounts import add_user
from runlake.server.store.database import Database

MB = 1 << 20
DELETE_RUN = "mutation($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"
KEYS = "{ viewer { apiKeys { edges { node { id name description } } } } }"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    with running_server(folder, storage_region="mars", max_body=4) as running:
        yield running


@pytest.fixture
def run(server):
    logged = LoggedRun(server, "r", "answers")
    yield logged
    logged.close()


@pytest.fixture
def others_key(server):
    name = f"other{os.urandom(4).hex()}"
    return name, add_user(Database(server.access_log.parent / "runlake.sqlite"), name)


def stream(server, content, encoding):
    url = f"{server.base_url}/files/{server.entity}/answers/r/file_stream"
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    answer = httpx.post(
        url, content=content, headers=headers, auth=("api", server.api_key), verify=NO_TLS
    )
    return answer.status_code


def test_a_packed_file_stream_is_stored_and_bounded_by_its_unpacked_size(server, run):
    line = json.dumps({"_step": 0, "text": "x" * 3 * MB})
    files = {"wandb-history.jsonl": {"offset": 0, "content": [line]}}
    body = json.dumps({"files": files}).encode()
    packed = gzip.compress(body)
    assert len(packed) < MB
    assert stream(server, packed, "gzip") == 200
    read = runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(run.path)
    assert [len(row["text"]) for row in read.scan_history()] == [3 * MB]
    assert stream(server, gzip.compress(b" " * 5 * MB + body), "gzip") == 413
    assert stream(server, b"{}", "identity") == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_a_body_that_is_packed_in_another_way_is_an_unsupported_media_type(server, encoding):
    assert stream(server, b"{}", encoding) == 415


@pytest.mark.parametrize(
    "content",
    [b"{}", b"", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x"],
    ids=["plain", "empty", "cut off", "continued"],
)
def test_a_body_that_is_no_gzip_stream_is_refused(server, content):
    assert stream(server, content, "gzip") == 400


def test_a_run_can_be_deleted_again_but_only_one_that_existed(server, run, others_key):
    gone = LoggedRun(server, "gone", "answers").log(*steps(0, 2)).close()
    for _ in range(2):
        answer = run.graphql(DELETE_RUN, {"id": gone.storage_id})
        assert answer == {"data": {"deleteRun": {"clientMutationId": None}}}
    never = "UnVuOnYxOjEwMDAwMDA="  # Run:v1:1000000
    assert "not found" in run.graphql(DELETE_RUN, {"id": never})["errors"][0]["message"]
    answer = httpx.post(
        f"{server.base_url}/graphql",
        json={"query": DELETE_RUN, "variables": {"id": run.storage_id}},
        auth=("api", others_key[1]),
        verify=NO_TLS,
    )
    assert "not found" in answer.json()["errors"][0]["message"]


def test_keys_are_named_by_their_first_characters_and_older_ones_by_their_ids(server, run):
    def named():
        edges = run.graphql(KEYS, {})["data"]["viewer"]["apiKeys"]["edges"]
        return [edge["node"]["name"] for edge in edges]

    assert named() == [server.api_key[:8]]
    with sqlite3.connect(server.access_log.parent / "runlake.sqlite") as database:
        database.execute("UPDATE api_keys SET prefix = NULL")
    (name,) = named()
    assert len(name) == 12
    assert name not in server.api_key


def test_the_keys_and_the_entity_of_another_user_are_not_shown(server, run, others_key):
    other = others_key[0]
    asked = "query($name: String) { entity(name: $name) { members { name } } }"
    assert "permission denied" in run.graphql(asked, {"name": other})["errors"][0]["message"]
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    with pytest.raises(errors.BackendError, match="permission denied"):
        api.team(other)
    with pytest.raises(errors.InvalidArgument, match="team"):
        api.team("\ud800")
    team = api.team(server.entity)
    assert [repr(member) for member in team.members] == [f"<Member {server.entity} (MEMBER)>"]


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (None, None),
        ("", None),
        ("default", None),
        ("mars", None),
        ("minio-local", "invalid storageRegion: minio-local"),
        ("Mars", "invalid storageRegion: Mars"),
    ],
)
def test_only_configured_storage_regions_are_accepted(server, run, region, message):
    document = """
    mutation($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }
    """
    given = {
        "entityName": server.entity,
        "projectName": "answers",
        "artifactTypeName": "dataset",
        "artifactCollectionName": "regional",
        "digest": "d",
        "storageRegion": region,
    }
    answer = run.graphql(document, {"input": given})
    found = answer["errors"][0]["message"] if "errors" in answer else None
    assert found == message


@pytest.mark.parametrize("name", [".", "..", "a/b", "/"])
def test_a_name_to_which_no_address_leads_is_refused(server, run, name):
    def refusal(query, **variables):
        return run.graphql(query, variables)["errors"][0]["message"]

    assert "is no name of a project" in refusal(CREATE_RUN, project=name, name="r")
    assert "is no name of a run" in refusal(CREATE_RUN, project="answers", name=name)
    assert "is no name of a project" in refusal(CREATE_PROJECT, name=name, entity=server.entity)
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    assert name not in {project.name for project in api.projects(server.entity)}


def test_content_from_before_the_names_of_today_is_shared_and_read(server, run):
    content = {"a.txt": b"stored long ago"}
    log_artifact(run, "older", content)
    with sqlite3.connect(server.access_log.parent / "runlake.sqlite") as database:
        for table, column in (("objects", "name"), ("artifact_files", "object")):
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, 'wandb_artifacts/', 'blobs/') "
                f"WHERE {column} NOT LIKE '%/manifests/%'"
            )
    newer = ArtifactUnderWay(run, "newer", content)
    assert newer.upload_urls() == {"a.txt": None}
    assert newer.put_manifest().commit()["data"]["commitArtifact"]["artifact"]
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    for name in ("older", "newer"):
        (file,) = api.artifact(f"answers/{name}:v0").files()
        assert "/storage/blobs/" in file.url
        with file.download(name) as read:
            assert read.read() == "stored long ago"


def test_the_url_of_a_manifest_ends_in_its_name(run):
    log_artifact(run, "named", {"a.txt": b"1"})
    asked = """{
      project(name: "answers") { artifact(name: "named:v0") {
        currentManifest { file { directUrl } } files { edges { node { storagePath url } } }
      } }
    }"""
    found = run.graphql(asked, {})["data"]["project"]["artifact"]
    assert (
        found["currentManifest"]["file"]["directUrl"]
        .partition("?")[0]
        .endswith("/wandb_manifest.json")
    )
    (edge,) = found["files"]["edges"]
    assert edge["node"]["storagePath"].startswith("wandb_artifacts/")


def test_features_that_work_are_announced(run):
    found = run.graphql("{ serverInfo { features { name isEnabled } } }", {})
    features = {each["name"] for each in found["data"]["serverInfo"]["features"]}
    assert {"UPDATE_RUN_STATE", "FILESTREAM_GZIP"} <= features
