"""A backend whose lists of an artifact's files never end, or whose answers have wrong shapes."""

import base64
import contextlib
import hashlib
import json
import os
import subprocess
from typing import Any

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer

import runlake
from runlake.errors import (
    FileTransferError,
    InvalidArgument,
    ProtocolError,
    RunlakeError,
    UnsupportedError,
)
from runlake.public.files import File

CONTENT = b"the content"
COLLECTION = {"name": "set", "project": {"id": "1", "name": "p", "entity": {"name": "e"}}}


class ArtifactServer(FaultServer):
    """Answers queries about one artifact; a test gives its pages of files, in order."""

    def __init__(self):
        super().__init__()
        digest = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
        self.names = ["a.txt", "b.txt"]
        self.contents = {name: {"digest": digest, "size": len(CONTENT)} for name in self.names}
        self.pages = []
        self.replaced = None
        self.sent = []
        self.n_pages = 0

    def answer(self, query, variables):
        self.sent.append((query, variables))
        if self.replaced is not None:
            return self.replaced
        if "ArtifactMembershipByName" in query:
            artifact = {
                "id": "QXJ0aWZhY3Q6djE6MQ==",
                "artifactSequence": COLLECTION,
                "versionIndex": 0,
                "artifactType": {"name": "dataset"},
                "state": "COMMITTED",
            }
            membership = {"versionIndex": 0, "artifactCollection": COLLECTION, "artifact": artifact}
            return {"project": {"artifactCollectionMembership": membership}}
        if "FetchArtifactManifest" in query:
            self.store("manifest", json.dumps({"version": 1, "contents": self.contents}).encode())
            return {"artifact": {"currentManifest": {"file": {"directUrl": self.url("manifest")}}}}
        page = self.pages[min(self.n_pages, len(self.pages) - 1)]
        self.n_pages += 1
        found = {"artifactMembership": {"files": page}}
        return {"project": {"artifactCollection": found}}

    def page(self, *names, cursor=None):
        nodes = [{"node": {"name": name, "directUrl": self.url("content")}} for name in names]
        return {"edges": nodes, "pageInfo": {"endCursor": cursor, "hasNextPage": bool(cursor)}}


@pytest.fixture
def faulty():
    with ArtifactServer() as server:
        server.store("content", CONTENT)
        yield server


@pytest.fixture
def artifact(faulty):
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).artifact("e/p/set:v0")


def test_files_of_several_pages_are_all_downloaded(faulty, artifact, tmp_path):
    faulty.pages = [faulty.page("a.txt", cursor="1"), faulty.page("b.txt")]
    artifact.download(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("kind", ["a cursor that repeats", "pages that bring nothing"])
def test_a_list_of_files_that_never_ends_is_an_error(faulty, artifact, tmp_path, kind):
    if kind == "a cursor that repeats":
        faulty.pages = [faulty.page("a.txt", cursor="1"), faulty.page("c.txt", cursor="1")]
    else:
        faulty.pages = [faulty.page("a.txt", cursor="1"), faulty.page(cursor="2")]
    with pytest.raises(ProtocolError, match=r"e/p/set:v0.*without end"):
        artifact.download(tmp_path / "out")
    assert faulty.n_pages <= 2 * len(faulty.names)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "page",
    [
        [],
        "x",
        {"edges": "x"},
        {"edges": [None, 1]},
        {"edges": [{"node": 5}]},
        {"edges": [{"node": {"directUrl": "x"}}]},
        {"edges": [{"node": {"name": "a.txt", "directUrl": 5}}]},
        {"edges": [], "pageInfo": "x"},
    ],
    ids=str,
)
def test_a_page_of_files_of_wrong_shape_is_a_runlake_error(faulty, artifact, tmp_path, page):
    faulty.pages = [page]
    with pytest.raises(RunlakeError):
        artifact.download(tmp_path / "out")
    if page:
        with pytest.raises(RunlakeError):
            next(iter(artifact.files())).download(tmp_path / "out")


ODD: tuple[Any, ...] = (
    None,
    5,
    "x",
    [],
    [1],
    {"edges": 5},
    {"edges": [{"node": 5}]},
    {"edges": [{"node": {}}]},
)
FIELDS = ("artifactCollectionMembership", "artifactType", "artifactCollections", "artifactTypes")


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_answer_of_wrong_shape_is_a_runlake_error(faulty, artifact, odd):
    api = runlake.Api({"base_url": faulty.base_url, "entity": "e"}, api_key=API_KEY)
    reads = {
        "artifact": lambda: api.artifact("e/p/set:v0"),
        "types": lambda: list(api.artifact_types("e/p")),
        "type": lambda: api.artifact_type("t", "e/p").name,
        "collections": lambda: [c.name for c in api.artifact_collections("e/p", "t")],
        "of the project": lambda: [c.name for c in api.project("p", "e").collections()],
        "collection": lambda: api.artifact_collection("t", "e/p/set").name,
        "versions": lambda: list(api.artifacts("t", "e/p/set")),
        "manifest": lambda: artifact.manifest,
        "save": artifact.save,
        "link": lambda: artifact.link("p/x"),
    }
    quiet = {"logged_by": artifact.logged_by, "used_by": artifact.used_by}
    quiet["linked"] = lambda: artifact.linked_artifacts
    answers = [
        {"project": odd, "artifact": odd, "updateArtifact": odd, "linkArtifact": odd},
        {"project": dict.fromkeys(FIELDS, odd), "artifact": {"currentManifest": odd}},
        {"project": {"artifactType": {"artifactCollection": odd, "artifactCollections": odd}}},
        {"artifact": {"createdBy": odd, "usedBy": odd, "artifactMemberships": odd}},
    ]
    for faulty.replaced in answers:
        for read in (*reads.values(), *quiet.values()):
            with contextlib.suppress(RunlakeError):
                read()


def test_an_older_backend_is_sent_only_fields_that_it_knows(faulty, artifact):
    api = runlake.Api({"base_url": faulty.base_url, "entity": "e"}, api_key=API_KEY)
    node = {
        "id": "1",
        "name": "set",
        "type": {"name": "t"},
        "project": COLLECTION["project"],
        "createdAt": "2026-01-01T00:00:00",
    }
    pages = {
        "edges": [{"node": node}, {"node": node | {"id": "2"}}],
        "pageInfo": {"hasNextPage": False},
    }
    faulty.replaced = {"project": {"artifactCollections": pages}}
    assert len(api.project("p").collections()) == 2
    with pytest.raises(UnsupportedError, match="too old to filter"):
        list(api.project("p").collections({"name": "set"}))
    artifact.aliases.append("new")
    faulty.replaced = {"updateArtifact": {"artifact": artifact._attrs}}
    artifact.save()
    assert faulty.sent[-1][1]["input"] == {"artifactID": artifact.id, "metadata": "{}"}
    faulty.replaced = {"linkArtifact": {"versionIndex": 3}, "project": None}
    with pytest.raises(RunlakeError, match="e/p/chosen:v3"):
        artifact.link("p/chosen")
    unknown = ("totalCount", "filters", "artifactMembership ", "tagsToAdd")
    texts = [query for query, _ in faulty.sent if "Collections" in query or "link" in query]
    assert [word for word in unknown for text in texts if word in text] == []


def test_an_endless_file_is_refused_after_what_was_announced(faulty, artifact, tmp_path):
    faulty.pages = [faulty.page("a.txt", "b.txt")]
    faulty.store("content", CONTENT * 1_000_000)
    with pytest.raises(RunlakeError, match="longer than the 11 bytes"):
        artifact.download(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def deep(faulty, tmp_path):
    """Serve an artifact whose one file lies 1,000 directories deep."""
    name = "/".join(["a"] * 1000)
    faulty.contents = {name: faulty.contents["a.txt"]}
    faulty.store("content", CONTENT)
    faulty.pages = [faulty.page(name)]
    yield name
    # The standard library deletes a tree by calling itself.
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


@pytest.mark.skipif(os.name == "nt", reason="no path is that long here")
@pytest.mark.parametrize("skip_cache", [False, True])
def test_a_file_a_thousand_directories_deep_is_placed_and_checked(
    deep, artifact, tmp_path, skip_cache
):
    root = tmp_path / "out"
    artifact.download(root, skip_cache=skip_cache)
    assert (root / deep).read_bytes() == CONTENT
    (root / deep).with_name("other").write_bytes(b"")
    artifact.checkout(root)
    artifact.verify(root)
    copied = artifact.get_entry(deep).download(tmp_path / "entry")
    assert copied.endswith(deep)


NO_PATHS = [5, 0, b"x", ["x"], "x\0y", "half \ud800"]


@pytest.mark.parametrize("wrong", NO_PATHS, ids=ascii)
def test_a_directory_that_is_no_path_is_an_error_before_any_request(artifact, faulty, wrong):
    n_before = len(faulty.sent)
    for call in (
        artifact.download,
        artifact.checkout,
        artifact.verify,
        artifact.get_entry,
        lambda path: artifact.download(path_prefix=path),
    ):
        with pytest.raises(InvalidArgument, match=r"path"):
            call(wrong)
    assert len(faulty.sent) == n_before


def test_a_file_in_place_of_the_directory_is_an_error_before_any_request(
    artifact, faulty, tmp_path
):
    (tmp_path / "file").write_text("mine")
    n_before = len(faulty.sent)
    with pytest.raises(InvalidArgument, match=r"root '.*file' is a file"):
        artifact.download(tmp_path / "file")
    assert len(faulty.sent) == n_before
    with pytest.raises(FileTransferError, match="cannot be made"):
        artifact.download(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("wrong", NO_PATHS, ids=ascii)
def test_a_target_of_a_runs_files_that_is_no_path_is_an_error_before_any_request(tmp_path, wrong):
    with FaultServer() as server:
        run = runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)
        file = File(run._client, {"name": "a.txt", "url": server.url("a.txt")}, run)
        n_before = len(server.seen)
        for call in (run.download_history_exports, file.download):
            with pytest.raises(InvalidArgument, match="path"):
                call(wrong)
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(InvalidArgument, match="is a file"):
            file.download(tmp_path / "mine")
        assert len(server.seen) == n_before
