"""What a read requests: ranges of steps, keys, and whether rows need all of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.errors import InvalidArgument
from runlake.values.question import Projection, Question, StepRange

STEPS = st.integers(0, 20)
RANGES = st.builds(StepRange, STEPS, st.none() | STEPS)
SPANS = st.tuples(STEPS, STEPS).map(sorted)


class Whole:
    """An integer of another library, such as numpy's."""

    def __index__(self):
        return 7


def test_a_step_range_is_inclusive_below_and_exclusive_above():
    steps = StepRange.from_arguments(100, 200)
    assert [steps.holds(step) for step in (99, 100, 199, 200)] == [False, True, True, False]
    assert str(steps) == "[100, 200)"
    assert str(StepRange()) == "[0, end)"


def test_a_negative_start_means_the_first_step_and_an_inverted_range_is_empty():
    assert StepRange.from_arguments(-100, None) == StepRange(0, None)
    assert StepRange.from_arguments(5, 5).is_empty
    assert StepRange.from_arguments(None, -1).is_empty
    assert not StepRange.from_arguments(5, 6).is_empty
    assert not StepRange.from_arguments(5, None).is_empty


@given(RANGES, SPANS)
def test_a_range_touches_and_covers_what_its_steps_say(steps, span):
    first, last = span
    held = [steps.holds(step) for step in range(first, last + 1)]
    assert steps.touches(first, last) == any(held)
    assert steps.covers(first, last) == all(held)
    assert steps.is_empty == (not any(steps.holds(step) for step in range(41)))


@pytest.mark.parametrize("step", [1.5, "1", True])
def test_steps_that_are_no_integers_are_refused(step):
    with pytest.raises(ValueError, match="min_step"):
        StepRange.from_arguments(step, None)
    with pytest.raises(ValueError, match="max_step"):
        StepRange.from_arguments(None, step)


def test_integers_of_other_libraries_are_steps():
    whole: Any = Whole()
    steps = StepRange.from_arguments(whole, whole)
    assert steps == StepRange(7, 7)
    assert type(steps.start) is int


@pytest.mark.parametrize("keys", ["loss", [1], {"loss"}, ["\ud800"], ["a", None]])
def test_keys_that_are_no_list_of_strings_are_refused(keys):
    with pytest.raises(InvalidArgument, match="key"):
        Projection.from_arguments(keys)


def test_step_and_doubles_are_taken_out_of_the_keys():
    assert Projection.from_arguments(["b", "_step", "a", "b"]).keys == ("b", "a")
    assert Projection.from_arguments(("_step",)).keys == ()


@pytest.mark.parametrize("keys", [None, [], ()])
def test_no_keys_mean_every_key_of_every_row(keys):
    assert Projection.from_arguments(keys, "any") == Projection(None, "all")


def test_rows_need_all_keys_or_any():
    assert Projection.from_arguments(["a"], "any").how == "any"
    assert Projection.from_arguments(["a"]).how == "all"
    assert Projection(("a",)).of_any_key == Projection(("a",), "any")
    assert Projection().of_any_key == Projection()
    with pytest.raises(InvalidArgument, match="'all' or 'any', not 'some'"):
        Projection.from_arguments(["a"], "some")


def test_a_question_moves_its_range_and_keeps_its_keys():
    question = Question.from_arguments(["a"], "any", 3, 9)
    assert (question.keys, question.steps) == (("a",), StepRange(3, 9))
    assert question.from_step(5) == Question(Projection(("a",), "any"), StepRange(5, 9))
    assert question.within(StepRange(1, 2)).steps == StepRange(1, 2)
