"""Paths of runs, projects and artifacts: every form that people write names the same thing."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.errors import InvalidArgument, InvalidType
from runlake.values.paths import ArtifactPath, ProjectPath, RunPath, is_url, url_parts

# Without separators, blanks, and the words that stand for pages.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Z", "C"], exclude_characters="/:"))
NAMES = NAMES.filter(lambda name: name and name not in {"runs", "sweeps"})
HOST = "https://wandb.ai"


@pytest.mark.parametrize(
    "text", ["e/p/r", "e/p/runs/r", "e/p:r", " /e/p/r/ "], ids=["plain", "runs", "colon", "trimmed"]
)
def test_every_form_of_a_run_path_names_the_same_run(text):
    assert RunPath.parse(text) == RunPath("e", "p", "r")


@given(NAMES, NAMES, NAMES)
def test_a_run_path_is_parsed_from_its_own_text_and_from_the_url_of_its_quoted_names(e, p, r):
    path = RunPath(e, p, r)
    assert RunPath.parse(str(path)) == path
    entity, project, run_id = path.quoted
    assert RunPath.parse(f"{HOST}/{entity}/{project}/runs/{run_id}") == path


def test_defaults_stand_in_for_what_a_path_leaves_out():
    assert RunPath.parse("p/r", entity="e") == RunPath("e", "p", "r")
    assert RunPath.parse("p:r", entity="e") == RunPath("e", "p", "r")
    assert RunPath.parse("E/p/r", entity="e", project="q") == RunPath("E", "p", "r")
    with pytest.raises(InvalidArgument, match=r"missing entity.*WANDB_ENTITY"):
        RunPath.parse("p/r")


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", 5, None, "e/p/\ud800"])
def test_a_run_path_of_another_form_is_refused(text):
    with pytest.raises(InvalidArgument):
        RunPath.parse(text, entity="e", project="p")


@pytest.mark.parametrize("page", ["", "/overview", "/logs?x=1#y", "/"])
def test_the_url_of_any_page_of_a_run_names_it_below_any_prefix(page):
    for prefix in ("", "/prefix"):
        url = f"http://host:80{prefix}/team/my%20proj/runs/r1{page}"
        assert RunPath.parse(url) == RunPath("team", "my proj", "r1")


def test_the_url_of_another_kind_of_page_is_refused():
    sweep = f"{HOST}/e/p/sweeps/s"
    assert RunPath.parse(sweep, page="sweeps").run_id == "s"
    with pytest.raises(InvalidArgument, match="no URL of a run"):
        RunPath.parse(sweep)
    with pytest.raises(InvalidArgument, match="no URL of a sweep"):
        RunPath.parse(f"{HOST}/e/p/runs/r", page="sweeps")
    with pytest.raises(InvalidArgument, match="is no URL"):
        RunPath.parse("http://[/e/p/runs/r")


def test_lone_surrogates_of_a_backend_are_quoted():
    assert RunPath("e", "p", "\ud800").quoted == ["e", "p", "%ED%A0%80"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("e/p", ProjectPath("e", "p")),
        (" /e/p/ ", ProjectPath("e", "p")),
        ("p", ProjectPath("me", "p")),
        ("", ProjectPath("me", "mine")),
        (None, ProjectPath("me", "mine")),
        (f"{HOST}/e/p", ProjectPath("e", "p")),
        (f"{HOST}/e/p/runs/r", ProjectPath("e", "p")),
        (f"{HOST}/prefix/e/p/workspace", ProjectPath("e", "p")),
        # Only behind entity and project is a word such as "runs" the name of a page.
        (f"{HOST}/runs/table/sweeps/s", ProjectPath("runs", "table")),
    ],
)
def test_a_project_path_is_parsed_from_every_form(text, path):
    assert ProjectPath.parse(text, entity="me", project="mine") == path


def test_without_any_name_the_project_is_the_one_of_scripts_that_name_none():
    assert ProjectPath.parse(None) == ProjectPath(None, "uncategorized")


@pytest.mark.parametrize("text", ["a/b/c", "a//b", "/ /b", 5, f"{HOST}/e", "\ud800"])
def test_a_project_path_of_another_form_is_refused(text):
    with pytest.raises(InvalidArgument):
        ProjectPath.parse(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("e/p/c:v3", ArtifactPath("e", "p", "c", "v3")),
        ("/e/p/c", ArtifactPath("e", "p", "c")),
        ("p/c:latest", ArtifactPath("me", "p", "c", "latest")),
        ("c", ArtifactPath("me", "mine", "c")),
        ("c:a:b/c", ArtifactPath("me", "mine", "c", "a:b/c")),
    ],
)
def test_an_artifact_path_is_parsed_from_every_form(text, path):
    assert ArtifactPath.parse(text, entity="me", project="mine") == path
    assert ArtifactPath.parse(str(path)) == path
    assert path.name == (f"{path.collection}:{path.alias}" if path.alias else path.collection)


@pytest.mark.parametrize("text", ["", ":v1", "a/b/c/d", "a//c", "e/p/\ud800"])
def test_an_artifact_path_of_another_form_is_refused(text):
    with pytest.raises(InvalidArgument):
        ArtifactPath.parse(text, entity="me", project="mine")


def test_an_artifact_path_names_what_is_missing():
    with pytest.raises(InvalidArgument, match="missing project"):
        ArtifactPath.parse("c", entity="me")
    with pytest.raises(InvalidType):
        ArtifactPath.parse(cast("str", 3))


def test_a_url_is_told_from_a_path():
    texts: tuple[Any, ...] = (" http://h", "https://h", "ftp://h", "e/p/r", None)
    assert [is_url(text) for text in texts] == [
        *(True, True),
        *(False, False, False),
    ]
    assert url_parts("http://h//a%2Fb/c/?q#f") == ["a/b", "c"]
