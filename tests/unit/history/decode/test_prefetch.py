"""A reader of a single row waits for nothing else; for a reader of all, one piece is read ahead."""

import gc
import threading
import weakref

import pytest

from runlake.history.decode.prefetch import run_ahead


@pytest.fixture
def begun():
    return [threading.Event() for _ in range(3)]


def pieces(begun):
    for number, event in enumerate(begun):
        yield lambda number=number, event=event: event.set() or [number, number + 0.5]


def divide(piece):
    return piece[:1], piece[1:]


def test_no_second_piece_is_begun_before_more_than_the_first_rows_is_asked_for(begun):
    coming = run_ahead(pieces(begun), divide)
    assert next(coming) == [0]
    coming.close()
    assert not begun[1].is_set()


def test_the_second_piece_is_under_way_while_what_is_left_of_the_first_is_read(begun):
    coming = run_ahead(pieces(begun), divide)
    assert next(coming) == [0]
    assert next(coming) == [0.5]
    assert begun[1].wait(10)


@pytest.mark.parametrize("divided", [False, True])
def test_all_pieces_come_in_their_order(begun, divided):
    coming = run_ahead(pieces(begun), divide if divided else None)
    assert [cell for piece in coming for cell in piece] == [0, 0.5, 1, 1.5, 2, 2.5]


class Heavy:
    """A piece of memory that a test can watch."""


@pytest.mark.parametrize("divided", [False, True])
def test_a_consumed_piece_is_released(divided):
    made = []

    def heavy():
        piece = Heavy()
        made.append(weakref.ref(piece))
        return (piece,)

    halves = (lambda piece: (piece, piece)) if divided else None
    coming = run_ahead(iter([heavy] * 4), halves)
    for _ in range(4):
        next(coming)
    gc.collect()
    assert made[0]() is None


def test_no_pieces_yield_nothing():
    assert list(run_ahead(iter(()), divide)) == []
