"""Variables as values, and the environment of child processes."""

from pathlib import Path

import pytest

from runlake.errors import SettingsError
from runlake.settings.environment import (
    bytes_in,
    child_environment,
    directory,
    flag_in,
    number_in,
    variable,
    word_in,
)

NAME = "RUNLAKE_TEST"


@pytest.fixture(params=[None, ""], ids=["unset", "empty"])
def absent(request, monkeypatch):
    if request.param is not None:
        monkeypatch.setenv(NAME, request.param)


@pytest.mark.usefixtures("absent")
def test_an_absent_variable_has_the_default():
    assert variable(NAME) is None
    assert number_in(NAME) is None
    assert bytes_in(NAME) is None
    assert word_in(NAME, ("a", "b")) == "a"
    assert flag_in(NAME, default=True)
    assert not flag_in(NAME, default=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", False), ("False", False), (" no ", False), ("OFF", False)),
        *(("1", True), ("true", True), ("anything", True)),
    ],
)
def test_a_flag_is_off_by_four_words(monkeypatch, text, value):
    monkeypatch.setenv(NAME, text)
    assert flag_in(NAME, default=not value) == value


def test_a_word_is_one_of_those_allowed(monkeypatch):
    monkeypatch.setenv(NAME, " B ")
    assert word_in(NAME, ("a", "b")) == "b"
    with pytest.raises(SettingsError, match="is not one of x, y"):
        word_in(NAME, ("x", "y"))


def test_a_size_of_nothing_is_refused(monkeypatch):
    monkeypatch.setenv(NAME, "0 GB")
    with pytest.raises(SettingsError, match="more than 0 bytes"):
        bytes_in(NAME)


def test_a_directory_may_begin_with_a_tilde():
    assert directory("~/x", "S") == Path.home() / "x"
    with pytest.raises(SettingsError, match="S=3 is no path"):
        directory(3, "S")


def test_a_child_inherits_no_setting_and_no_proxy(monkeypatch):
    for name in ("WANDB_API_KEY", NAME, "https_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("OTHER", "kept")
    found = child_environment({"WANDB_MODE": "offline"})
    assert found["OTHER"] == "kept"
    assert found["WANDB_MODE"] == "offline"
    assert not {"WANDB_API_KEY", NAME, "https_proxy", "NO_PROXY"} & found.keys()
