"""Objects of the embedded backend: a file is written once, and an answer is of one file alone."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import httpx
import pytest
from tests.http_artifacts import CREATE_MANIFEST, ArtifactUnderWay, md5_base64
from tests.http_logging import LoggedRun
from tests.server_process import NO_TLS
from tests.stored_objects import object_files, select
from tests.thorough import some_of

ANNOUNCE = """
mutation CreateRunFiles($entity: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: "http", runName: $run, files: $files})
  { files { uploadUrl } }
}
"""
FILES = """
query Files($entity: String!, $run: String!) {
  project(name: "http", entityName: $entity) { bucket(name: $run) {
    files(first: 100) { edges { node { id name url md5 sizeBytes } } }
  } }
}
"""
DELETE = "mutation Delete($files: [ID!]!) { deleteFiles(input: {files: $files}) { success } }"


class Uploads:
    """The files of one run, over HTTP."""

    def __init__(self, server, run_id):
        self.run = LoggedRun(server, run_id)
        self._names = {"entity": server.entity, "run": run_id}
        self.http = httpx.Client(verify=NO_TLS, timeout=60)

    def url(self, name):
        answer = self.run.graphql(ANNOUNCE, self._names | {"files": [name]})
        return answer["data"]["createRunFiles"]["files"][0]["uploadUrl"]

    def listed(self):
        bucket = self.run.graphql(FILES, self._names)["data"]["project"]["bucket"]
        return {edge["node"]["name"]: edge["node"] for edge in bucket["files"]["edges"]}

    def delete(self, name):
        answer = self.run.graphql(DELETE, {"files": [self.listed()[name]["id"]]})
        assert answer["data"]["deleteFiles"]["success"]

    def close(self):
        self.http.close()
        self.run.close()


@pytest.fixture(scope="module")
def uploads(backend):
    opened = Uploads(backend, "stored")
    yield opened
    opened.close()


def content_of(number):
    return hashlib.sha256(b"%d" % number).digest() * (4000 + 800 * (number % 7))


def says_what_it_is(answer):
    digest = hashlib.md5(answer.content)
    checksum = google_crc32c.value(answer.content).to_bytes(4, "big")
    both = [base64.b64encode(value).decode() for value in (checksum, digest.digest())]
    return answer.headers["etag"] == f'"{digest.hexdigest()}"' and answer.headers[
        "x-goog-hash"
    ] == "crc32c={},md5={}".format(*both)


@pytest.mark.parametrize("rounds", some_of([8, 150]))
def test_of_concurrent_uploads_of_one_file_one_is_kept_with_its_digests(uploads, rounds):
    url = uploads.url("raced.bin")
    with ThreadPoolExecutor(4) as threads:
        for at in range(rounds):
            contents = [content_of(4 * at + n) for n in range(4)]
            for answer in threads.map(lambda c: uploads.http.put(url, content=c), contents):
                assert answer.status_code == 200
            listed = uploads.listed()["raced.bin"]
            answer = uploads.http.get(listed["url"])
            assert answer.content in contents
            assert says_what_it_is(answer)
            assert listed["md5"] == md5_base64(answer.content)
            assert listed["sizeBytes"] == len(answer.content)


@pytest.mark.parametrize("rounds", some_of([20, 300]))
def test_a_download_of_a_file_that_is_replaced_meanwhile_is_of_one_version(uploads, rounds):
    put = uploads.url("replaced.bin")
    uploads.http.put(put, content=content_of(0))
    get = uploads.listed()["replaced.bin"]["url"]
    with ThreadPoolExecutor(1) as thread:
        replaced = thread.submit(
            lambda: [uploads.http.put(put, content=content_of(at)) for at in range(rounds)]
        )
        seen = set()
        while not replaced.done():
            answer = uploads.http.get(get)
            assert answer.status_code == 200
            assert says_what_it_is(answer)
            seen.add(answer.headers["etag"])
        assert all(answer.status_code == 200 for answer in replaced.result())
    assert seen


def test_a_replaced_or_deleted_file_leaves_nothing_on_disk(backend, uploads):
    data_dir = backend.access_log.parent
    url = uploads.url("gone.bin")
    for content in (b"first", b"second"):
        uploads.http.put(url, content=content)
    (file,) = object_files(data_dir, "files/*/gone.bin")
    assert file.read_bytes() == b"second"
    assert file.stat().st_mode & 0o777 == 0o600
    files = {path for path in data_dir.joinpath("storage", "files").rglob("*") if path.is_file()}
    named = select(data_dir, "SELECT file FROM objects WHERE file IS NOT NULL")
    assert {str(path.relative_to(data_dir / "storage")) for path in files} <= set(named)
    uploads.delete("gone.bin")
    assert not file.exists()


def test_a_signed_url_ends_with_the_file_it_was_for(uploads):
    put = uploads.url("ended.bin")
    uploads.http.put(put, content=b"old")
    get = uploads.listed()["ended.bin"]["url"]
    uploads.delete("ended.bin")
    assert uploads.http.get(get).status_code == 404
    assert uploads.http.put(put, content=b"late").status_code == 404
    new = uploads.url("ended.bin")
    assert uploads.http.put(new, content=b"new").status_code == 200
    assert uploads.http.get(get).status_code == 404
    assert uploads.http.put(put, content=b"late").status_code == 404
    assert uploads.http.get(uploads.listed()["ended.bin"]["url"]).content == b"new"


def test_the_number_of_an_object_is_signed_too(uploads):
    put = uploads.url("signed.bin")
    assert "object=" in put
    assert uploads.http.put(put.replace("object=", "object=1"), content=b"x").status_code == 403
    assert uploads.http.put(put.replace("expires=", "expires=" + "9" * 5000)).status_code == 403


def test_a_committed_manifest_cannot_be_uploaded_again(uploads):
    artifact = ArtifactUnderWay(uploads.run, "final", {"a": b"of the final version"})
    artifact.upload().put_manifest()
    entity, project, run_id = uploads.run.path.split("/")
    given = {
        "artifactID": artifact.id,
        "name": "wandb_manifest.json",
        "digest": "",
        "entityName": entity,
        "projectName": project,
        "runName": run_id,
        "type": "FULL",
    }
    answer = artifact.mutate(CREATE_MANIFEST, input=given)
    url = answer["data"]["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    document = f'{{"contents": {{"a": {{"digest": "{md5_base64(b"of the final version")}"}}}}}}'
    assert uploads.http.put(url, content=document.encode()).status_code == 200
    assert artifact.commit()["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED"
    assert uploads.http.put(url, content=b"other").status_code == 404
