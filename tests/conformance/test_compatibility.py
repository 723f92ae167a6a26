"""Both clients give the same answer to every row of the compatibility table."""

import inspect

import pytest
import wandb
from tests.conformance.compatibility import ABSENT, PAGE_METHODS, PAGE_PROPERTIES, TABLE
from tests.conformance.worlds import ask, log_worlds
from tests.server_process import running_server
from wandb.apis import public
from wandb.apis.public.summary import HTTPSummary

import runlake

CLASSES = {
    "Run": public.Run,
    "Api": public.Api,
    "Runs": public.Runs,
    "Files": public.Files,
    "File": public.File,
    "Summary": HTTPSummary,
    "Artifact": wandb.Artifact,
    "ArtifactCollection": public.ArtifactCollection,
    "HistoryScan": public.HistoryScan,
    "Project": public.Project,
}
OF_ITS_PAGER = {"QUERY", "convert_objects", "last_response", "update_variables", "length"}


def _methods():
    for name, kind in CLASSES.items():
        absent = {row.member for row in ABSENT}
        for member in dir(kind):
            is_public = not member.startswith("_") and member not in OF_ITS_PAGER
            if is_public and f"{name}.{member}" not in absent and callable(getattr(kind, member)):
                yield name, member


METHODS = list(_methods())


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The answers of both clients, by row."""
    directory = tmp_path_factory.mktemp("worlds")
    with running_server(directory / "server", export_rows=500) as server:
        paths = log_worlds(server, directory)
        found = [ask(client, paths[client], TABLE, server, directory) for client in paths]
    return list(zip(*found, strict=True))


@pytest.mark.parametrize(
    "index", range(len(TABLE)), ids=[f"{n}-{row.member}" for n, row in enumerate(TABLE)]
)
def test_both_clients_answer_alike(answers, index):
    row = TABLE[index]
    theirs, ours = answers[index]
    if "error" in theirs and not row.difference:
        assert "error" in ours, ours
        assert theirs["error"] in ours["bases"], (theirs["trace"], ours["trace"])
        return
    assert "error" not in ours, ours["trace"]
    their_value = theirs.get("value", theirs.get("error"))
    expected = eval(row.ours, {"theirs": their_value})
    if row.difference:
        assert ours["value"] == expected
        return
    assert ours["type"] == theirs["type"]
    if not row.is_volatile:
        assert ours["value"] == expected


@pytest.mark.parametrize("member", [*PAGE_PROPERTIES, *PAGE_METHODS])
def test_every_member_of_the_page_has_a_row(member):
    assert any(row.member == f"Run.{member}" for row in TABLE)


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_of_the_sdk_has_a_row_or_a_reason(name):
    members = {n for n in dir(CLASSES[name]) if not n.startswith("_")} - OF_ITS_PAGER
    told = {row.member for row in TABLE} | {absent.member for absent in ABSENT}
    assert {m for m in members if f"{name}.{m}" not in told} == set()


@pytest.mark.parametrize("absent", ABSENT, ids=lambda absent: absent.member)
def test_a_member_listed_as_absent_is_absent(absent):
    name, _, member = absent.member.partition(".")
    assert not hasattr(_our_class(name), member)


@pytest.mark.parametrize(("name", "member"), METHODS, ids=[".".join(pair) for pair in METHODS])
def test_no_argument_or_default_of_the_sdk_is_lost(name, member):
    theirs = inspect.signature(getattr(CLASSES[name], member)).parameters
    ours = inspect.signature(getattr(_our_class(name), member)).parameters
    page = PAGE_METHODS.get(member, {}) if name == "Run" else {}
    variable = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    named = [key for key, parameter in theirs.items() if parameter.kind not in variable]
    positional = [key for key in named if theirs[key].kind is not inspect.Parameter.KEYWORD_ONLY]
    assert [key for key in ours if key in positional] == positional
    for key in named:
        defaults = [theirs[key].default, *([page[key]] if key in page else [])]
        assert ours[key].default in defaults, key
    assert page.keys() <= ours.keys()


def _our_class(name):
    return getattr(runlake, name, None) or getattr(runlake.apis.public, name)
