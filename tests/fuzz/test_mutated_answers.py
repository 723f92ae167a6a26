"""Answers with something wrong in them end in an error of runlake, or are read."""

import pytest
from tests.fuzz.children import try_seeds
from tests.fuzz.mutated_answers import PLACE
from tests.fuzz.recorded_answers import READERS, record
from tests.thorough import IS_THOROUGH

FEW = ("rows", "frame", "fields", "files", "console", "runs", "artifact")


PARTS = [range(part, 1_000, 4) for part in range(4)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seeds", PARTS if IS_THOROUGH else [range(6)], ids=str)
def test_mutated_answers_are_read_or_refused_by_every_reader(seeds, tmp_path, monkeypatch):
    place = tmp_path / "answers.json"
    record(tmp_path, place, READERS if IS_THOROUGH else FEW)
    monkeypatch.setenv(PLACE, str(place))
    assert try_seeds("tests.fuzz.mutated_answers", seeds) == []
