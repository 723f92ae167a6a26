from __future__ import annotations

import itertools
import os

import hypothesis
import pytest
from _pytest.doctest import DoctestModule
from tests.server_process import is_setting, running_server

import runlake

# Of the directories of tests.
NUMBERS = itertools.count()

# make test PYTEST_ARGS="--hypothesis-profile thorough tests/property/test_outputs.py"
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Draw few examples of each property: tests run often.

    A profile named on the command line wins. The number of examples is fixed when a test is
    decorated, so while its module is imported.
    """
    profile = hypothesis.settings.get_current_profile_name()
    if profile not in {"default", "ci"}:
        return (yield)
    usual = hypothesis.settings.get_profile(profile)
    # No deadline and no check for slow draws: they would be assertions about wall time.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile(
        "few", usual, max_examples=30, deadline=None, suppress_health_check=slow
    )
    hypothesis.settings.load_profile("few")
    try:
        return (yield)
    finally:
        hypothesis.settings.load_profile(profile)


@pytest.fixture(autouse=True)
def bare_environment(request, monkeypatch, tmp_path_factory):
    """Remove all settings of the machine, and give each test a cache of its own."""
    for name in list(os.environ):
        if is_setting(name):
            monkeypatch.delenv(name)
    if "tmp_path" in request.fixturenames:
        root = request.getfixturevalue("tmp_path")
    else:
        # Takes a tenth of the time of `tmp_path`, which thousands of tests do not need.
        root = tmp_path_factory.getbasetemp() / f"bare-{next(NUMBERS)}"
    home = root / "home"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(root / "cache"))
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "10")
    monkeypatch.chdir(home)


@pytest.fixture(scope="session")
def backend(tmp_path_factory):
    """The embedded backend as a process, one per session; exports of 1,000 rows."""
    with running_server(tmp_path_factory.mktemp("backend"), export_rows=1000) as server:
        yield server


@pytest.fixture
def api(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave tests that open a browser to ``make thorough``, except a few.

    Together they would keep both processors busy for longer than a minute.
    """
    for item in items:
        if "chromium" in item.fixturenames and item.get_closest_marker("smoke") is None:
            item.add_marker(pytest.mark.thorough)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Look for examples in docstrings of the library alone: the tests have none."""
    return [one for one in (yield) if not isinstance(one, DoctestModule)]
