"""The line of processes that wait for a lock."""

import pytest

from runlake.cache.locking.waiting import Line, Place
from runlake.exports.process_identity import Process

PATIENCE = 1000.0


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "00.waiting"


def test_the_first_to_come_is_the_first_in_line(directory):
    one, other, third = (Line(directory, PATIENCE) for _ in range(3))
    assert one.is_empty()
    with one.place():
        assert not other.is_empty()
        with other.place(), third.place():
            assert [line.n_ahead() for line in (one, other, third)] == [0, 1, 2]
        assert one.n_ahead() == 0
        with third.place():
            assert third.n_ahead() == 1
    assert one.is_empty()
    assert not directory.exists()


def test_a_waiter_without_a_sign_of_life_is_passed_over(directory):
    with Line(directory, PATIENCE).place():
        late = Line(directory, 0.0)
        with late.place():
            assert late.n_ahead() == 0


def test_the_file_of_an_ended_process_is_removed(directory):
    directory.mkdir()
    process = Process.current()
    name = f"00000001.{process.machine.host}.{process.machine.boot}.{2**22 + 1}.1.abcd"
    (directory / name).touch()
    line = Line(directory, PATIENCE)
    with line.place():
        assert line.n_ahead() == 0
    assert not directory.exists()


def test_a_place_is_the_name_of_its_file():
    place = Place.parse("00000007.host.boot.12.34.abcd")
    assert place is not None
    assert (place.number, place.process.pid, place.process.started) == (7, 12, 34)
    for name in ("", "7", "x.host.boot.1.2.a", "7.host.boot.x.2.a", "7.a.b.1.2.c.d"):
        assert Place.parse(name) is None


def test_equal_numbers_are_decided_by_name():
    one, other = (Place.parse(f"00000001.h.b.1.1.{end}") for end in "ab")
    assert one is not None
    assert other is not None
    assert one < other


def test_other_files_do_not_wait_and_stay(directory):
    directory.mkdir()
    (directory / "a note").touch()
    line = Line(directory, PATIENCE)
    with line.place():
        assert line.n_ahead() == 0
    assert [file.name for file in directory.iterdir()] == ["a note"]
