import pytest

from runlake.errors import InvalidArgument
from runlake.values import Projection, RunPath, StepRange, check_count, parse_age, parse_bytes


@pytest.mark.parametrize(
    "text", ["e/p/r", "e/p/runs/r", "e/p:r", " /e/p/r/ "], ids=["plain", "runs", "colon", "trimmed"]
)
def test_every_form_of_a_run_path_names_the_same_run(text):
    assert RunPath.parse(text) == RunPath("e", "p", "r")


def test_defaults_stand_in_for_what_a_path_leaves_out():
    assert RunPath.parse("p/r", entity="e") == RunPath("e", "p", "r")
    with pytest.raises(InvalidArgument, match="missing entity"):
        RunPath.parse("p/r")


def test_a_step_range_is_inclusive_below_and_exclusive_above():
    steps = StepRange.from_arguments(100, 200)
    assert [steps.holds(step) for step in (99, 100, 199, 200)] == [False, True, True, False]


def test_a_negative_start_means_the_first_step_and_an_inverted_range_is_empty():
    assert StepRange.from_arguments(-100, None) == StepRange(0, None)
    assert StepRange.from_arguments(5, 5).is_empty


@pytest.mark.parametrize("keys", ["loss", [1], {"loss"}])
def test_keys_that_are_no_list_of_strings_are_refused(keys):
    with pytest.raises(ValueError, match="keys"):
        Projection.from_arguments(keys)


@pytest.mark.parametrize("step", [1.5, "1", True])
def test_steps_that_are_no_integers_are_refused(step):
    with pytest.raises(ValueError, match="min_step"):
        StepRange.from_arguments(step, None)


@pytest.mark.parametrize("size", [0, -1, 1.0])
def test_a_page_size_below_one_is_refused(size):
    with pytest.raises(ValueError, match="page_size"):
        check_count(size, "page_size")


def test_step_and_doubles_are_taken_out_of_the_keys():
    assert Projection.from_arguments(["b", "_step", "a", "b"]).keys == ("b", "a")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        *((0, 0), (7, 7), ("7", 7), ("1B", 1), ("20GB", 20 * 10**9), ("20 gb", 20 * 10**9)),
        *(("512 MiB", 512 * 2**20), ("1.5k", 1500), ("0.1 TB", 10**11), ("2G", 2 * 10**9)),
    ],
)
def test_a_size_is_read_with_every_unit(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1", -1, "1 XB", "1e9", "1 i", 1.5, True, None, "٣MB"])
def test_an_invalid_size_is_refused(text):
    with pytest.raises(InvalidArgument, match="max_bytes"):
        parse_bytes(text, "max_bytes")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90s", 90), ("90", 90), (90, 90), (0.5, 0.5), ("6m", 360), ("8h", 28800)),
        *(("7d", 7 * 86400), ("2 w", 14 * 86400), ("6M", 180 * 86400), ("1y", 365 * 86400)),
    ],
)
def test_an_age_is_read_with_every_unit(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "d", "-1d", -1, "1 H", "1Y", float("nan"), float("inf"), True]
)
def test_an_invalid_age_is_refused(text):
    with pytest.raises(InvalidArgument, match="max_age"):
        parse_age(text, "max_age")
