"""Answers with something wrong in them end in an error of runlake, or are read."""

import pytest
from tests.fuzz.children import try_seeds
from tests.fuzz.mutated_answers import PLACE
from tests.fuzz.recorded_answers import READERS, record

FEW = ("rows", "frame", "fields", "files", "console", "runs", "artifact")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_answers_are_read_or_refused_by_every_reader(request, tmp_path, monkeypatch):
    is_thorough = request.config.getoption("--hypothesis-profile") == "thorough"
    place = tmp_path / "answers.json"
    record(tmp_path, place, READERS if is_thorough else FEW)
    monkeypatch.setenv(PLACE, str(place))
    n_seeds, n_children = (1_000, 2) if is_thorough else (6, 1)
    assert try_seeds("tests.fuzz.mutated_answers", range(n_seeds), n_children) == []
