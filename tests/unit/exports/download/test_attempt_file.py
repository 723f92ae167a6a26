"""Partial downloads: their names, and who may continue them."""

import os

import pytest

from runlake.exports.download.attempt_file import (
    AttemptFile,
    AttemptName,
    AttemptVersion,
    is_under_way,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_name_of_a_part_tells_its_version_and_whose_it_is(folder):
    part = AttemptFile(folder, "http://host/a.parquet")
    with part.open() as file:
        file.write(b"abc")
        version = AttemptVersion('"a/b\u00e9+\'?-"', 12, promises_digest=True)
        part.carry(version)
    name = AttemptName.parse(part.path.name)
    assert name is not None
    assert (name.version, name.process.pid) == (version, os.getpid())
    assert part.path.read_bytes() == b"abc"
    assert is_under_way(part.path)
    part.leave()
    assert not is_under_way(part.path)
    part.discard()
    assert [path.read_bytes() for path in folder.iterdir()] == [b"abc"]


@pytest.mark.parametrize("version", [None, AttemptVersion("x" * 200, 5, promises_digest=False)])
def test_a_part_that_cannot_be_resumed_is_deleted(folder, version):
    part = AttemptFile(folder, "http://host/a.parquet")
    with part.open() as file:
        file.write(b"abc")
    part.carry(version)
    part.leave()
    assert list(folder.iterdir()) == []


def test_a_file_that_is_no_part_has_no_owner():
    for name in ("manifest.json", "a.part", "0" * 32 + ".1-2-3-4.part"):
        assert AttemptName.parse(name) is None
