"""Links, pipes and directories in the place of the cache's files are refused."""

import errno
import os

import pytest

from runlake.cache.disk.links import (
    is_regular,
    open_to_change,
    read_small_file,
    refuse_links,
    set_times,
)


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "file"
    found.write_bytes(b"abc")
    return found


@pytest.fixture
def odd(tmp_path, file):
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def test_a_regular_file_of_the_right_size_is_read(file):
    assert read_small_file(file, 3) == b"abc"
    with pytest.raises(OSError, match="too large") as caught:
        read_small_file(file, 2)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("name", ["link", "folder", "pipe", "gone"])
def test_nothing_else_is_read(odd, name):
    with pytest.raises(OSError, match=name):
        read_small_file(odd / name, 10)


@pytest.mark.parametrize("name", ["link", "folder", "gone"])
def test_nothing_else_is_changed(odd, name):
    with pytest.raises(OSError, match=name):
        open_to_change(odd / name)


def test_a_file_that_may_be_changed_is_opened(file):
    descriptor = open_to_change(file)
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert file.read_bytes() == b"xbc"


def test_a_directory_below_the_root_must_be_no_link(tmp_path):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "link").symlink_to(root / "real")
    refuse_links(root, root / "real" / "file")
    with pytest.raises(OSError, match="symbolic link") as caught:
        refuse_links(root, root / "link" / "deep" / "file")
    assert caught.value.errno == errno.ELOOP
    # The root itself may be a link.
    (tmp_path / "alias").symlink_to(root)
    refuse_links(tmp_path / "alias", tmp_path / "alias" / "real" / "file")


def test_a_regular_file_may_be_behind_a_link(odd):
    assert is_regular(odd / "file")
    assert is_regular(odd / "link")
    for name in ("folder", "pipe", "gone", "nul\0"):
        assert not is_regular(odd / name)


def test_times_are_set_on_the_link_and_not_on_its_target(odd):
    before = (odd / "file").stat().st_mtime_ns
    set_times(odd / "link", (5, 7))
    assert (odd / "file").stat().st_mtime_ns == before
    assert (odd / "link").lstat().st_mtime_ns == 7
    set_times(odd / "file")
    assert (odd / "file").stat().st_mtime_ns >= before
