"""Artifacts with a hostile backend, storage or directory: one clear error each."""

import base64
import hashlib
import json
from copy import deepcopy
from itertools import count

import pytest
import xxhash
from tests.http_artifacts import log_artifact, md5_base64
from tests.http_logging import LoggedRun, steps
from tests.stored_objects import manifest_file, object_files

import runlake
from runlake.errors import FileTransferError, ProtocolError

NUMBERS = count()


@pytest.fixture(scope="module")
def api(backend, tmp_path_factory):
    """One server for all tests; each test's artifacts have contents of their own."""
    overrides = {
        "base_url": backend.base_url,
        "cache_dir": tmp_path_factory.mktemp("cache"),
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RUNLAKE_RETRY_TIMEOUT", "0.3")
        return runlake.Api(overrides, api_key=backend.api_key)


@pytest.fixture(scope="module")
def run(backend):
    logged = LoggedRun(backend, "hostile", "hostile").log(*steps(0, 1))
    yield logged
    logged.close()


@pytest.fixture
def logged(api, run, backend):
    """A function that logs an artifact and lets another function change its manifest."""

    def log(change=None, files=None, **options):
        name = f"set{next(NUMBERS)}"
        files = files or {"good.txt": f"good {name}".encode()}
        artifact_id = log_artifact(run, name, files, **options)
        if change is not None:
            manifest = manifest_of(backend, artifact_id)
            found = json.loads(manifest.read_text())
            change(found)
            manifest.write_text(json.dumps(found))
        return api.artifact(f"hostile/{name}:v0")

    return log


def manifest_of(backend, artifact_id):
    number = base64.b64decode(artifact_id).decode().rpartition(":")[2]
    return manifest_file(backend.access_log.parent, int(number))


def blob_of(backend, content):
    digest = hashlib.md5(content).hexdigest()
    (found,) = object_files(backend.access_log.parent, f"*/{digest}")
    return found


def entry(**changes):
    def change(document):
        document["contents"]["good.txt"].update(changes)

    return change


def named(*names):
    def change(document):
        document["contents"] = dict.fromkeys(names, document["contents"]["good.txt"])

    return change


def missing(key):
    def change(document):
        del document["contents"]["good.txt"][key]

    return change


MANIFESTS = {
    "nested deep": (lambda _: "[" * 100_000, "nested too deep"),
    "nested deep below a name": (
        lambda _: '{"contents": {"a": {"digest": ' + "[" * 100_000 + "]" * 100_000 + "}}}",
        "nested too deep|no digest",
    ),
    "no JSON": (lambda _: "<html>", "not an artifact manifest"),
    "a list": (lambda _: "[]", "not an artifact manifest"),
    "null": (lambda _: "null", "not an artifact manifest"),
    "no contents": (lambda _: "{}", "lacks 'contents'"),
    "contents of a list": (lambda _: '{"contents": [1]}', "not an artifact manifest"),
    "an entry of text": (lambda _: '{"contents": {"a": "b"}}', "not an artifact manifest"),
    "a name twice": (
        lambda _: '{"contents": {"a": {"digest": "x"}, "a": {"digest": "y"}}}',
        "'a' twice",
    ),
    "one place twice": (named("a/b.txt", "a/./b.txt"), "the same path"),
    "no UTF-8": (named("a\ud800"), "leads out"),
    "a NUL": (named("a\0b"), "leads out"),
    "a dot": (named("."), "leads out"),
    "a digest of a number": (entry(digest=5), "not a digest"),
    "not a digest": (missing("digest"), "lacks 'digest'"),
    "a negative size": (entry(size=-1), "not a digest, size"),
    "a size of text": (entry(size="many"), "not a digest, size"),
    "an endless size": (
        lambda _: '{"contents": {"a": {"digest": "x", "size": 1e999}}}',
        "not a digest, size",
    ),
    "a reference of a list": (entry(ref=["x"]), "not a digest, size"),
    "extra of text": (entry(extra="x"), "not a digest, size"),
    "a version of the future": (lambda d: d.update(version=2), "version 2"),
}


@pytest.fixture(scope="module")
def manifest(run, backend):
    """The file with the manifest of one version."""
    artifact_id = log_artifact(run, "one", {"good.txt": b"good"})
    file = manifest_of(backend, artifact_id)
    return file, json.loads(file.read_text())


@pytest.mark.parametrize("kind", MANIFESTS)
def test_an_invalid_manifest_is_an_error_that_says_why(api, manifest, tmp_path, kind):
    (change, why), (file, original) = MANIFESTS[kind], manifest
    document = deepcopy(original)
    changed = change(document)
    file.write_text(changed if isinstance(changed, str) else json.dumps(document))
    artifact = api.artifact("hostile/one:v0")
    for read in (artifact.download, artifact.checkout, artifact.file):
        with pytest.raises(ProtocolError, match=why) as caught:
            read(tmp_path / "out")
        assert artifact.name in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("skip_cache", [False, True])
def test_a_file_that_is_longer_than_announced_is_refused(logged, backend, tmp_path, skip_cache):
    content = b"as it was announced %d" % next(NUMBERS)
    artifact = logged(files={"a.txt": content})
    blob_of(backend, content).write_bytes(content + b"!" * 10_000_000)
    there = tmp_path / "out" / "a.txt"
    there.parent.mkdir()
    there.write_bytes(b"mine")
    with pytest.raises(FileTransferError, match=r"a\.txt.* longer than the \d+ bytes"):
        artifact.download(tmp_path / "out", skip_cache=skip_cache)
    assert [path.read_bytes() for path in there.parent.iterdir()] == [b"mine"]


@pytest.mark.parametrize("digest_is_right", [True, False])
def test_a_file_that_was_digested_by_xxh128_is_checked(logged, tmp_path, digest_is_right):
    content = b"digested otherwise %d" % next(NUMBERS)
    wrong = b"" if digest_is_right else b"!"
    digest = base64.b64encode(xxhash.xxh128(content + wrong).digest()).decode()
    artifact = logged(entry(digest=digest, extra={"alg": "XXH128"}), {"good.txt": content})
    there = tmp_path / "out" / "good.txt"
    there.parent.mkdir()
    there.write_bytes(b"mine")
    if digest_is_right:
        artifact.verify(artifact.download(tmp_path / "out"))
    else:
        with pytest.raises(FileTransferError, match=r"good\.txt.*digest"):
            artifact.download(tmp_path / "out")
    expected = content if digest_is_right else b"mine"
    assert [path.read_bytes() for path in there.parent.iterdir()] == [expected]


@pytest.mark.parametrize("is_inside", [True, False])
def test_a_folder_that_is_a_link_out_is_not_written_through(logged, tmp_path, is_inside):
    artifact = logged(files={"sub/a.txt": b"linked %d" % next(NUMBERS)})
    root = tmp_path / "out"
    elsewhere = (root if is_inside else tmp_path) / "elsewhere"
    elsewhere.mkdir(parents=True)
    root.mkdir(exist_ok=True)
    (root / "sub").symlink_to(elsewhere)
    if is_inside:
        artifact.download(root)
        assert [path.name for path in elsewhere.iterdir()] == ["a.txt"]
        return
    for read in (artifact.download, artifact.get_entry("sub/a.txt").download):
        with pytest.raises(FileTransferError, match="link out of it"):
            read(root)
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_and_not_written_through(logged, tmp_path):
    content = b"the artifact's %d" % next(NUMBERS)
    artifact = logged(files={"a.txt": content})
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").symlink_to(mine)
    artifact.download(tmp_path / "out")
    assert mine.read_text() == "mine"
    assert (tmp_path / "out" / "a.txt").read_bytes() == content


def test_checkout_deletes_nothing_outside_of_its_directory(logged, tmp_path):
    artifact = logged(files={"a.txt": b"kept %d" % next(NUMBERS)})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    root = tmp_path / "out"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "mine.txt")
    artifact.checkout(root)
    assert (outside / "mine.txt").read_text() == "mine"
    assert not (root / "file").is_symlink()


@pytest.mark.parametrize(
    "ref",
    [
        "http://[::1",
        "http://xn--/x",
        "http://host:port/x",
        "file://host/%00",
        "http://",
        "\0://x",
        "wandb-artifact://",
    ],
    ids=repr,
)
def test_a_reference_that_is_no_url_is_named_or_left_out(logged, tmp_path, ref):
    refs = {"odd": {"digest": "x", "ref": ref}}
    artifact = logged(refs=refs)
    with pytest.raises(FileTransferError, match="'odd'"):
        artifact.download(tmp_path / "out")
    with pytest.warns(UserWarning, match="'odd'"):
        artifact.download(tmp_path / "out", allow_missing_references=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.txt"]


def test_metadata_that_is_no_object_costs_a_warning_and_survives_a_save(logged):
    artifact = logged()
    artifact._attrs["metadata"] = "[1, 2]"
    with pytest.warns(UserWarning, match="no JSON object"):
        assert artifact.metadata == {}
    artifact._metadata = None
    artifact.aliases.append("kept")
    artifact.save()
    assert artifact._attrs["metadata"] == "[1, 2]"


def test_two_names_of_a_file_and_a_folder_are_one_error(logged, tmp_path):
    content = {"good.txt": b"in the cache"}
    logged(files=content).download(tmp_path / "cached")
    artifact = logged(named("a", "a/b"), content)
    with pytest.raises(FileTransferError, match="cannot be written"):
        artifact.download(tmp_path / "out")


def test_a_digest_of_the_manifest_is_no_secret_way_past_the_files(logged, tmp_path):
    content = b"the right bytes %d" % next(NUMBERS)
    artifact = logged(entry(digest=md5_base64(b"others"), size=None), {"good.txt": content})
    with pytest.raises(FileTransferError, match="MD5"):
        artifact.download(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
