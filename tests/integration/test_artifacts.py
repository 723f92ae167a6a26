"""Artifacts through the real server: the cache, damage, hostile names, processes, bad arguments."""

import base64
import json
import os
import pickle
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from tests.http_artifacts import log_artifact, md5_base64
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment

import runlake
from runlake.errors import (
    ArtifactMismatch,
    ArtifactNotFoundError,
    FileTransferError,
    InvalidArgument,
    ProtocolError,
)

FILES = {"a.txt": b"a" * 1000, "sub/b.bin": b"b" * 100_000, "sub/deep/c.txt": b"c"}
NUMBERS = count()
DOWNLOAD = """
import sys, runlake
sys.stdin.readline()
runlake.Api().artifact(sys.argv[1]).download(sys.argv[2])
"""


@pytest.fixture
def run(backend):
    logged = LoggedRun(backend, f"r{next(NUMBERS)}", "artifacts").log(*steps(0, 1))
    yield logged
    logged.close()


@pytest.fixture
def artifact(api, run):
    """A version with files that no other test's artifact has."""
    name = f"set{next(NUMBERS)}"
    files = {path: content + name.encode() for path, content in FILES.items()}
    log_artifact(run, name, files)
    return api.artifact(f"artifacts/{name}:v0")


def contents(directory):
    root = Path(directory)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def expected(artifact):
    name = artifact.name.partition(":")[0].encode()
    return {path: content + name for path, content in FILES.items()}


def cached_files():
    root = Path(os.environ["WANDB_CACHE_DIR"]) / "runlake" / "artifacts" / "v1"
    return {md5_base64(p.read_bytes()): p for p in root.rglob("*") if p.is_file()}


def blobs(requests):
    return [r["path"] for r in requests if is_blob(r)]


def is_blob(request):
    path = request["path"]
    return "/storage/wandb_artifacts/" in path and not path.endswith("/wandb_manifest.json")


def test_each_file_is_downloaded_once_and_then_comes_from_the_cache(backend, artifact):
    with backend.counted() as cold:
        artifact.download("first")
    with backend.counted() as warm:
        artifact.download("second")
    assert len(blobs(cold)) == len(set(blobs(cold))) == 3
    assert warm == []
    assert contents("first") == contents("second") == expected(artifact)
    artifact.verify("second")


def test_a_flipped_byte_in_the_cache_is_healed(backend, artifact):
    artifact.download("first")
    cached = cached_files()[artifact.get_entry("sub/b.bin").digest]
    damaged = bytearray(cached.read_bytes())
    damaged[500] ^= 1
    cached.write_bytes(damaged)
    with backend.counted() as requests:
        artifact.download("second")
    assert len(blobs(requests)) == 1
    assert contents("second") == expected(artifact)
    assert cached.read_bytes() == expected(artifact)["sub/b.bin"]


def test_an_edited_copy_changes_neither_the_cache_nor_another_copy(artifact):
    artifact.download("first")
    artifact.download("second")
    with Path("first/a.txt").open("ab") as file:
        file.write(b"edited")
    assert contents("second") == expected(artifact)
    assert artifact.get_entry("a.txt").digest in cached_files()
    with pytest.raises(ArtifactMismatch, match=r"a\.txt"):
        artifact.verify("first")
    artifact.download("first")
    assert contents("first") == expected(artifact)


def test_files_that_are_not_in_the_artifact_stay_and_do_not_verify(artifact):
    Path("root").mkdir()
    Path("root/mine.txt").write_text("mine")
    artifact.download("root")
    assert Path("root/mine.txt").read_text() == "mine"
    with pytest.raises(ArtifactMismatch, match=r"mine\.txt"):
        artifact.verify("root")


def test_two_processes_that_want_one_artifact_download_each_file_once(backend, artifact, tmp_path):
    environment = client_environment(backend, tmp_path / "shared")
    command = [sys.executable, "-c", DOWNLOAD, artifact.qualified_name]
    with backend.counted() as requests:
        both = [
            subprocess.Popen(
                [*command, str(tmp_path / name)], env=environment, stdin=subprocess.PIPE
            )
            for name in ("one", "two")
        ]
        for process in both:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        for process in both:
            process.communicate(timeout=60)
        assert [process.returncode for process in both] == [0, 0]
    assert len(blobs(requests)) == 3
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == expected(artifact)


def test_a_cache_that_cannot_be_written_costs_a_warning_only(backend, artifact, tmp_path):
    (tmp_path / "file").write_text("")
    overrides = {"base_url": backend.base_url, "cache_dir": tmp_path / "file"}
    api = runlake.Api(overrides, api_key=backend.api_key)
    with pytest.warns(UserWarning, match="without the cache"):
        api.artifact(artifact.qualified_name).download("out")
    assert contents("out") == expected(artifact)


def test_an_artifact_survives_pickling_without_its_key(backend, artifact, monkeypatch):
    pickled = pickle.dumps(artifact)
    assert backend.api_key.encode() not in pickled
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    again = pickle.loads(pickled)
    assert (again.name, again.digest, again.aliases) == (
        artifact.name,
        artifact.digest,
        artifact.aliases,
    )
    again.download("out")
    assert contents("out") == expected(artifact)


def test_lists_of_artifacts_survive_pickling(backend, api, artifact, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    for listed in (
        api.artifacts("dataset", artifact.qualified_name.partition(":")[0]),
        artifact.files(per_page=1),
    ):
        names = [one.name for one in listed]
        assert [one.name for one in pickle.loads(pickle.dumps(listed))] == names


def stored(backend, folder):
    """Return the files in a folder of the backend's storage."""
    root = backend.access_log.parent / "storage" / folder
    return {path for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["../evil", "/evil", "sub/../../evil", "C:\\evil", "..\\evil"])
def test_a_manifest_that_leads_out_of_the_directory_writes_nothing(
    backend, api, run, tmp_path, name
):
    before = stored(backend, "wandb_artifacts")
    log_artifact(run, f"hostile{next(NUMBERS)}", {f"good{next(NUMBERS)}.txt": b"good"})
    new = stored(backend, "wandb_artifacts") - before
    (manifest,) = (file for file in new if b"contents" in file.read_bytes())
    document = json.loads(manifest.read_text())
    (good,) = document["contents"].values()
    document["contents"][name] = good
    manifest.write_text(json.dumps(document))
    (hostile,) = api.run(run.path).logged_artifacts()
    with pytest.raises(ProtocolError, match="leads out"):
        hostile.download(tmp_path / "out" / "root")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_bytes_that_are_not_those_of_the_manifest_are_refused(
    backend, api, run, tmp_path, monkeypatch
):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.5")
    before = stored(backend, "wandb_artifacts")
    log_artifact(run, "changed", {"a.txt": b"right"})
    new = stored(backend, "wandb_artifacts") - before
    (blob,) = (file for file in new if file.read_bytes() == b"right")
    blob.write_bytes(b"wrong")
    artifact = api.artifact("artifacts/changed:v0")
    for skip_cache in (False, True):
        with pytest.raises(FileTransferError, match=r"a\.txt.*MD5"):
            artifact.download(tmp_path / "out", skip_cache=skip_cache)
    assert contents(tmp_path / "out") == {}
    assert cached_files() == {}


def test_a_file_that_was_listed_long_ago_still_downloads(backend, artifact):
    (file,) = artifact.files(["a.txt"])
    file._attrs["url"] = file._attrs["url"].replace("signature=", "signature=ran-out-")
    with backend.counted() as requests, file.download("out") as content:
        assert content.read().encode() == expected(artifact)["a.txt"]
    assert [request["status"] for request in requests if is_blob(request)] == [403, 200]


def test_an_existing_file_is_replaced_only_if_requested(api, run, tmp_path):
    log_artifact(run, "there", {"sub/a.txt": b"new"})
    (file,) = api.artifact("artifacts/there:v0").files()
    there = tmp_path / "out" / "sub" / "a.txt"
    there.parent.mkdir(parents=True)
    there.write_text("old")
    with pytest.raises(InvalidArgument, match="already exists"):
        file.download(str(tmp_path / "out"))
    with file.download(tmp_path / "out", exist_ok=True) as content:
        assert content.read() == "old"
    with file.download(tmp_path / "out", replace=True, exist_ok=True) as content:
        assert content.read() == "new"


@pytest.mark.parametrize(
    ("name", "root", "why"),
    [("../a.txt", "out", "leads out"), ("a.txt", 5, "root must be"), ("a.txt", ".", "be read")],
)
def test_a_wrong_destination_is_an_error_before_any_request(api, run, backend, name, root, why):
    log_artifact(run, "placed", {"a.txt": b"a"})
    (file,) = api.artifact("artifacts/placed:v0").files()
    file._attrs["name"] = name
    Path("a.txt").mkdir()
    with backend.counted() as requests, pytest.raises(InvalidArgument, match=why):
        file.download(root, exist_ok=True)
    assert requests == []


def test_a_reference_of_an_unknown_kind_is_named_or_left_out(api, run):
    refs = {"odd": {"digest": "x", "ref": "odd://somewhere"}}
    log_artifact(run, "odd-one", {"a.txt": b"a"}, refs=refs)
    artifact = api.artifact("artifacts/odd-one:v0")
    with pytest.raises(FileTransferError, match="odd://somewhere"):
        artifact.download("out")
    with pytest.warns(UserWarning, match="odd://somewhere"):
        artifact.download("out", allow_missing_references=True)
    assert contents("out") == {"a.txt": b"a"}
    assert artifact.get_entry("odd").ref_target() == "odd://somewhere"


def test_a_reference_whose_file_has_changed_is_refused(api, run, tmp_path):
    referred = tmp_path / "referred.txt"
    referred.write_bytes(b"as it was")
    refs = {"r": {"digest": md5_base64(b"as it was"), "ref": referred.as_uri()}}
    log_artifact(run, "local-ref", {}, refs=refs)
    referred.write_bytes(b"as it is")
    with pytest.raises(FileTransferError, match="has changed"):
        api.artifact("artifacts/local-ref:v0").download("out")
    referred.write_bytes(b"as it was")
    api.artifact("artifacts/local-ref:v0").download("out")
    assert contents("out") == {"r": b"as it was"}


def test_a_reference_into_another_artifact_is_the_same_content(api, backend, run):
    origin = log_artifact(run, "origin", {"a.txt": b"origin's"})
    refs = {
        "r": {
            "digest": md5_base64(b"origin's"),
            "ref": f"wandb-artifact://{_hex(origin)}/a.txt",
        }
    }
    log_artifact(run, "derived", {}, refs=refs)
    with backend.counted() as requests:
        api.artifact("artifacts/derived:v0").download("out")
    assert contents("out") == {"r": b"origin's"}
    assert len(blobs(requests)) == 1


def test_two_references_to_each_other_end_in_an_error(api, run):
    # Ids count up, so that the first can refer to the second before it is there.
    digest = md5_base64(b"never")
    probe = log_artifact(run, "probe", {"a": b"a"})
    number = int(bytes.fromhex(_hex(probe)).decode().rpartition(":")[2])
    ids = [f"Artifact:v1:{number + at}".encode().hex() for at in (1, 2)]
    for at, other in ((0, 1), (1, 0)):
        refs = {"x": {"digest": digest, "ref": f"wandb-artifact://{ids[other]}/x"}}
        log_artifact(run, f"circle{at}", {}, refs=refs)
    with pytest.raises(FileTransferError, match="refers to itself"):
        api.artifact("artifacts/circle0:v0").download("out")


def test_an_artifact_is_not_made_but_fetched(backend):
    with backend.counted() as requests, pytest.raises(InvalidArgument, match=r"Api\(\)\.artifact"):
        runlake.Artifact("name", type="dataset")
    assert requests == []


@pytest.mark.parametrize("name", [None, 5, "", ":v0", "a/b/c/d:v0", "artifacts/:v0"], ids=repr)
def test_an_invalid_name_is_refused_before_any_request(api, backend, name):
    with backend.counted() as requests, pytest.raises(InvalidArgument):
        api.artifact(name)
    assert requests == []


def test_wrong_arguments_of_a_run_are_refused_before_any_request(api, backend, run, artifact):
    reader = api.run(run.path)
    other = LoggedRun(backend, "r-other", "elsewhere").log(*steps(0, 1)).finish()
    elsewhere = api.run(other.path)
    with backend.counted() as requests:
        for method in (reader.use_artifact, reader.log_artifact):
            with pytest.raises(InvalidArgument, match="You must pass"):
                method(artifact.name)
        with pytest.raises(InvalidArgument, match="different project"):
            elsewhere.log_artifact(artifact)
        with pytest.raises(InvalidArgument, match="tags must be"):
            reader.log_artifact(artifact, tags=[1])
        with pytest.raises(InvalidArgument, match="per_page"):
            reader.logged_artifacts(per_page=0)
    assert requests == []


def test_a_run_may_use_an_artifact_of_another_project(api, backend, artifact):
    other = LoggedRun(backend, f"r{next(NUMBERS)}", "elsewhere").log(*steps(0, 1)).finish()
    reader = api.run(other.path)
    assert reader.use_artifact(artifact, use_as="input") is artifact
    assert reader.use_artifact(artifact) is artifact
    assert [one.qualified_name for one in reader.used_artifacts()] == [artifact.qualified_name]
    assert [user.id for user in artifact.used_by()] == [reader.id]


def test_aliases_and_tags_that_a_run_gives_are_there(api, run, artifact):
    reader = api.run(run.path)
    reader.log_artifact(artifact, aliases=["mine"], tags=["fine"])
    again = api.artifact(f"artifacts/{artifact.name.partition(':')[0]}:mine")
    assert (again.id, sorted(again.aliases), again.tags) == (
        artifact.id,
        ["latest", "mine"],
        ["fine"],
    )


def test_many_versions_come_page_by_page(api, backend, run):
    for number in range(7):
        log_artifact(run, "many", {"n": str(number).encode()})
    with backend.counted() as requests:
        listed = api.artifacts("dataset", f"{backend.entity}/artifacts/many", per_page=3)
        assert listed[0].name == "many:v6"
        assert len(listed) == 7
    assert len(requests) == 1
    assert [one.version for one in listed] == [f"v{n}" for n in reversed(range(7))]
    rest = api.artifacts(
        "dataset", f"{backend.entity}/artifacts/many", per_page=3, start=_cursor_after(listed, 3)
    )
    assert [one.version for one in rest] == ["v3", "v2", "v1", "v0"]


def test_printing_a_list_of_artifacts_sends_no_request(api, backend, run):
    log_artifact(run, "printed", {"n": b"printed"})
    with backend.counted() as requests:
        lists = [
            api.artifacts("dataset", f"{backend.entity}/artifacts/printed"),
            api.artifact_collections(f"{backend.entity}/artifacts", "dataset"),
            api.project("artifacts", backend.entity).collections(),
        ]
        assert all("(" not in repr(one) for one in lists)
    assert requests == []
    lists[0][0].logged_by()
    assert repr(lists[0]).endswith("artifacts/printed (1)>")


def test_a_version_that_was_deleted_meanwhile_is_not_found(api, run):
    log_artifact(run, "gone", {"a": b"gone"})
    artifact = api.artifact("artifacts/gone:v0")
    answer = run.graphql(
        "mutation D($input: DeleteArtifactInput!) "
        "{ deleteArtifact(input: $input) { artifact { id } } }",
        {"input": {"artifactID": artifact.id, "deleteAliases": True}},
    )
    assert "errors" not in answer
    with pytest.raises(ArtifactNotFoundError, match="deleted"):
        artifact.download("out")
    assert not api.artifact_exists("artifacts/gone:v0")


def _hex(artifact_id):
    return base64.b64decode(artifact_id).hex()


def _cursor_after(listed, n):
    fresh = type(listed)(
        listed._client,
        listed.entity,
        listed.project,
        listed.collection_name,
        listed.type,
        per_page=n,
    )
    next(iter(fresh))
    return fresh.cursor
