"""Paths in the cache: distinct for distinct names on every file system, and below the root."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.cache.layout import (
    MAX_NAME_LENGTH,
    ContentFile,
    RunDirectory,
    export_file_name,
    limit_file,
    safe_name,
)
from runlake.values import RunPath

ROOT = Path("/srv/cache")
NAMES = st.text(max_size=8) | st.sampled_from(["Run", "run", "RUN", ".", "..", "a/b", "x" * 300])


@given(NAMES, NAMES)
def test_two_names_are_two_components_even_where_case_does_not_count(one, other):
    if one and other and one != other:
        assert safe_name(one).lower() != safe_name(other).lower()


@given(NAMES.filter(bool))
def test_a_name_is_one_short_component(name):
    found = safe_name(name)
    assert found not in {"", ".", ".."}
    assert not set(found) & set('/\\\0:*?"<>|')
    assert not found.endswith(".")
    assert len(found) <= MAX_NAME_LENGTH + 9
    assert found == safe_name(name)
    assert found.isascii()


def test_a_run_has_a_directory_of_its_own_per_backend():
    run = RunPath("e", "..", "r/../x")
    paths = {
        RunDirectory(ROOT, url, one).path
        for url in ("http://a", "http://a:80", "http://a/prefix", "http://b")
        for one in (run, RunPath("e", "..", "R"))
    }
    assert len(paths) == 8
    for path in paths:
        assert path.resolve().is_relative_to(ROOT / "v2")
        assert len(path.relative_to(ROOT).parts) == 5
    directory = RunDirectory(ROOT, "http://A", run)
    assert directory.path == RunDirectory(ROOT, "http://a", run).path
    assert directory.manifest.parent == directory.path
    assert directory.relative == directory.path.relative_to(ROOT).as_posix()


def test_locks_are_few_and_the_same_for_the_same_run():
    locks = {RunDirectory(ROOT, "http://a", RunPath("e", "p", f"{n}")).lock for n in range(2000)}
    assert 200 < len(locks) <= 256
    run = RunPath("e", "p", "r")
    # The root may be mounted elsewhere on another machine.
    names = [RunDirectory(root, "http://a", run).lock.name for root in (ROOT, Path("/other"))]
    assert names[0] == names[1]


def test_a_version_has_one_name_and_sparse_files_have_their_own():
    whole = export_file_name("/a", "etag", 5)
    assert whole == export_file_name("/a", "etag", 5)
    others = {
        export_file_name("/b", "etag", 5),
        export_file_name("/a", "etag2", 5),
        export_file_name("/a", "etag", 6),
    }
    assert len({whole, *others}) == 4
    sparse = {export_file_name("/a", "etag", 5, is_sparse=True) for _ in range(5)}
    assert len(sparse) == 5
    assert all(name.startswith(whole.removesuffix(".parquet")) for name in sparse)


def test_a_limit_is_shared_by_backend_and_key_and_shows_neither():
    key = "secret-key"
    file = limit_file(ROOT, "http://A", key)
    assert file == limit_file(ROOT, "http://a", key)
    assert file != limit_file(ROOT, "http://a", "other")
    assert key not in str(file)


@pytest.mark.parametrize("md5", ["00" * 16, "ab" * 16])
def test_content_is_stored_once_per_backend(md5):
    one, other = (ContentFile(ROOT, url, md5) for url in ("http://a", "http://b"))
    assert one.path != other.path
    assert one.path.name == md5
    assert one.lock == other.lock == ROOT / "artifacts" / "locks" / f"{md5[-2:]}.lock"
