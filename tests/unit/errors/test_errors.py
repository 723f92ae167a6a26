"""The tree of errors: every class says what it is, and is caught as scripts catch it."""

import inspect
import pickle

import pytest

import runlake
from runlake import errors
from runlake.errors import errors as wandb_spelling

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
CLASSES = [one for one in CLASSES if issubclass(one, BaseException)]
ERRORS = [one for one in CLASSES if not issubclass(one, Warning)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.__name__)
def test_an_error_has_its_message_and_facts_also_in_another_process(error):
    found = error("what happened", run="e/p/r", status=404)
    assert isinstance(found, runlake.RunlakeError)
    assert (str(found), found.message) == ("what happened", "what happened")
    assert (found.run, found.status) == ("e/p/r", 404)
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is error
    assert (str(again), again.facts) == (str(found), found.facts)


@pytest.mark.parametrize("error", CLASSES, ids=lambda one: one.__name__)
def test_an_error_says_in_its_docstring_what_happened(error):
    assert error.__doc__
    assert error.__doc__.strip().split("\n")[0].endswith((".", "name."))


def test_a_message_is_safe_to_print():
    assert str(errors.BackendError("run 'a\x1b[0m'")) == r"run 'a\x1b[0m'"


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidArgument", ValueError),
        ("InvalidType", TypeError),
        ("LocalFileNotFoundError", FileNotFoundError),
        ("WaitTimeout", TimeoutError),
        ("CacheLocked", TimeoutError),
        ("ArtifactMismatch", ValueError),
        ("ArtifactFileMissing", FileNotFoundError),
        ("ArtifactEntryNotFound", KeyError),
        ("RunNotFoundError", ValueError),
        ("ProjectNotFoundError", ValueError),
        ("SweepNotFoundError", ValueError),
        ("RunFileNotFoundError", FileNotFoundError),
        ("ArtifactNotFoundError", ValueError),
        ("MissingExtra", ImportError),
    ],
)
def test_scripts_that_catch_a_built_in_error_catch_ours(name, builtin):
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    "name", ["InvalidArgument", "WandbApiFailedError", "OfflineError", "NotCached", "ExportChanged"]
)
def test_scripts_that_catch_the_sdks_error_of_a_call_catch_ours(name):
    assert issubclass(getattr(errors, name), wandb_spelling.CommError)


def test_the_sdks_module_has_the_same_classes():
    assert wandb_spelling.UsageError is errors.UsageError
    assert wandb_spelling.UnsupportedError is errors.UnsupportedError
