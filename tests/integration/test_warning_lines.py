"""A warning points at the line of the user's script, however deep or late it is issued."""

import doctest
import inspect
import warnings
from pathlib import Path

import pytest
from tests.http_logging import LoggedRun, steps

import runlake
from runlake import errors

SOURCE = Path(runlake.__file__).parent


@pytest.fixture(scope="module")
def path(backend):
    run = LoggedRun(backend, "warned", "warnings")
    return run.log(*steps(0, 30, mixed=1), {"_step": 30, "mixed": "x"}).finish().path


@pytest.fixture
def run(api, path):
    return api.run(path)


def ask_of_generator(run):
    for _ in run.scan_history(["loss", "nothing"]):
        pass


def ask_of_doctest(run):
    test = doctest.DocTestParser().get_doctest(
        ">>> rows = run.history(3, pandas=False)", {"run": run}, "asked", "asked.txt", 0
    )
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


ASKED = [
    (errors.SampleWarning, lambda run: run.history(3, pandas=False)),
    (errors.MixedTypesWarning, lambda run: run.frame()),
    (errors.MixedTypesWarning, lambda run: run.scan().collect()),
    (errors.MixedTypesWarning, lambda run: run.scan_history().to_polars()),
    (errors.NoRowsWarning, lambda run: list(run.scan_history(["nothing"]))),
    (errors.NoRowsWarning, lambda run: next(run.beta_scan_history(["nothing"]), None)),
    (errors.NoRowsWarning, ask_of_generator),
    (errors.NoRowsWarning, lambda run: run.arrow(["nothing"]).read_all()),
    (errors.NoRowsWarning, lambda run: run.frame(["nothing"])),
    (errors.NoRowsWarning, lambda run: run.keys("nothing")),
    (errors.MixedTypesWarning, lambda run: run.sql("select * from history").fetchall()),
    (DeprecationWarning, lambda run: run.username),
]


@pytest.mark.parametrize(("category", "ask"), ASKED)
def test_a_warning_points_at_the_line_that_asked(run, category, ask):
    first = ask.__code__.co_firstlineno
    last = first + len(inspect.getsourcelines(ask)[0])
    with pytest.warns(category) as caught:
        ask(run)
    (warning,) = [one for one in caught if one.category is category]
    assert warning.filename == __file__
    assert first <= warning.lineno < last


def test_a_warning_from_a_doctest_names_the_doctest(run):
    with pytest.warns(errors.SampleWarning) as caught:
        ask_of_doctest(run)
    assert caught[0].filename.startswith("<doctest asked")


def test_warnings_of_threads_point_at_the_line_that_asked(backend, path):
    # Not writable, not even for root.
    settings = {"base_url": backend.base_url, "cache_dir": "/sys/runlake"}
    listed = runlake.Api(settings, api_key=backend.api_key).runs(path.rpartition("/")[0])
    with pytest.warns(errors.UnwritableCacheWarning) as caught:
        listed.histories(keys=["loss"])
    assert {one.filename for one in caught} == {__file__}


def test_filters_by_module_reach_the_warnings_of_a_script(run):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        run.history(3, pandas=False)


def test_every_warning_goes_through_the_one_place():
    sources = {file: file.read_text() for file in SOURCE.rglob("*.py")}
    calls = {file.name for file, text in sources.items() if "warnings.warn" in text}
    assert calls == {"user_line.py"}
