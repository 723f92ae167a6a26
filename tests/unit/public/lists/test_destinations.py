"""Files are downloaded into their directory, and over no other file."""

from pathlib import Path

import pytest

from runlake.errors import InvalidArgument, InvalidType
from runlake.public.lists.destinations import (
    destination_of,
    directory_or,
    directory_text,
    is_wanted,
    open_text,
)
from runlake.values.local_paths import path_text


@pytest.mark.parametrize("name", ["a.txt", "media/images/a b.png", "..a", "a..b/c"])
def test_a_file_is_below_its_directory(name):
    assert destination_of("root", name) == Path("root") / name


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", ".."])
def test_a_name_that_leads_out_of_the_directory_is_refused(name):
    with pytest.raises(InvalidArgument, match="leads out"):
        destination_of("root", name)


@pytest.mark.parametrize("path", [3, None, b"bytes", ["a"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(InvalidType, match="x must be a path"):
        path_text(path, "x")


@pytest.mark.parametrize("path", ["a\0b", "a\ud7ff\ud800"])
def test_a_path_that_no_file_system_allows_is_refused(path):
    with pytest.raises(InvalidArgument, match="is not a path"):
        path_text(path, "x")


def test_a_directory_may_be_new_and_is_no_file(tmp_path):
    assert directory_text(tmp_path / "new") == str(tmp_path / "new")
    assert directory_text(tmp_path) == str(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match="is a file"):
        directory_text(tmp_path / "file")


def test_no_directory_is_the_default(tmp_path):
    assert directory_or(None, lambda: "d") == directory_or("", lambda: "d") == "d"
    assert directory_or(tmp_path, pytest.fail) == str(tmp_path)


def test_an_existing_file_is_replaced_or_kept_only_on_request(tmp_path):
    file = tmp_path / "a"
    assert is_wanted(file, replace=False, exist_ok=False)
    file.touch()
    assert is_wanted(file, replace=True, exist_ok=False)
    assert is_wanted(file, replace=True, exist_ok=True)
    assert not is_wanted(file, replace=False, exist_ok=True)
    with pytest.raises(InvalidArgument, match="already exists"):
        is_wanted(file, replace=False, exist_ok=False)


def test_a_downloaded_text_is_opened_under_the_directory_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("é", encoding="utf-8")
    with open_text("./", "a.txt") as file:
        assert (file.name, file.read()) == ("./a.txt", "é")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        open_text(".", "gone.txt")
