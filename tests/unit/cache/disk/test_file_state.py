"""A file that another program changed is not in the state that was noted."""

import os

from runlake.cache.disk.file_state import FileState


def test_a_file_is_unchanged_until_it_is_written(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    state = FileState.of(file)
    assert state.is_of(file.stat())
    again = FileState.noted(state.n_bytes, state.changed_ns, state.note())
    assert again == state
    found = file.stat()
    file.write_bytes(b"abd")
    # A program can set the modification time back, but not the time of the status.
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert not state.is_of(file.stat())


def test_a_state_without_inode_is_trusted_only_on_a_network(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    found = file.stat()
    assert FileState(3, found.st_mtime_ns, ()).is_of(found)
    assert not FileState(3, found.st_mtime_ns, None).is_of(found)
    assert not FileState(4, found.st_mtime_ns, ()).is_of(found)
    assert FileState.noted(3, 5, None).note() is None
