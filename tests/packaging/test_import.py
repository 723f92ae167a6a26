"""Importing runlake does not import its heavy dependencies."""

import subprocess
import sys

import pytest

from runlake.public.missing import INSTEAD

HEAVY = {"httpx", "filelock", "stamina", "polars", "duckdb", "pyarrow", "pandas", "numpy", "wandb"}
CODE = "import sys, runlake; print(' '.join({name.partition('.')[0] for name in sys.modules}))"


def test_import_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_public_name_is_there():
    import runlake

    for name in runlake.__all__:
        assert getattr(runlake, name) is not None


def test_the_import_path_of_the_sdk_leads_to_the_same_classes():
    code = (
        "import runlake as wandb\n"
        "def name_of(run: wandb.apis.public.Run) -> str: return run.name\n"
        "from runlake.apis.public import Api, File, Run, Runs, IncompleteRunHistoryError\n"
        "import runlake.apis.public as public\n"
        "assert wandb.apis.Api is wandb.apis.public.Api is wandb.Api is Api\n"
        "assert name_of.__globals__['Run'] is wandb.Run and public.Runs is wandb.Runs\n"
        "assert all(getattr(public, name).__module__.startswith('runlake.') "
        "for name in public.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_sdk_is_there_or_says_what_to_use():
    import wandb

    # The SDK imports it when it is first used; from then on it is a name of the package.
    import wandb.automations
    from wandb.apis import public

    import runlake

    pairs = [
        (public.__all__, runlake.apis.public, "runlake.apis.public"),
        ([name for name in dir(wandb) if not name.startswith("_")], runlake, "runlake"),
        ([name for name in dir(public.Api) if not name.startswith("_")], runlake.Api, "Api"),
        (_public_methods(public.Sweep), runlake.apis.public.Sweep, "Sweep"),
        (_public_methods(public.User), runlake.apis.public.User, "User"),
        (_public_methods(public.Team), runlake.apis.public.Team, "Team"),
    ]
    for names, ours, owner in pairs:
        missing = {name for name in names if not hasattr(ours, name)}
        assert missing - set(INSTEAD[owner]) == set()


def _public_methods(kind):
    return [name for name, member in vars(kind).items() if name[0] != "_" and callable(member)]


def test_a_name_of_the_sdk_that_is_missing_says_what_to_use():
    import runlake

    with pytest.raises(AttributeError, match=r"'init'.*log with wandb; read with runlake"):
        _ = runlake.init  # type: ignore[attr-defined] # that is the test
    with pytest.raises(AttributeError, match=r"'Table'.*run\(path\)\.table\(key\)"):
        _ = runlake.Table  # type: ignore[attr-defined] # that is the test
    with pytest.raises(AttributeError, match=r"'Registry'.*wandb\.Api"):
        _ = runlake.apis.public.Registry  # type: ignore[attr-defined] # that is the test
    api = runlake.Api({"base_url": "http://127.0.0.1:1"}, api_key="k" * 40)
    with pytest.raises(AttributeError, match=r"'reports'.*web application"):
        _ = api.reports  # type: ignore[attr-defined] # that is the test
    run = runlake.Run(api._client, "e", "p", "r", {"name": "r"})
    with pytest.raises(AttributeError, match=r"'log'.*log with wandb"):
        _ = run.log
    assert not hasattr(runlake, "finish")
    assert not hasattr(api, "nothing")


def test_errors_have_the_import_paths_of_wandb():
    code = (
        "import runlake as wandb\n"
        "assert wandb.errors.errors.CommError is wandb.errors.CommError is wandb.CommError\n"
        "import runlake.errors.errors\n"
        "from runlake.errors.errors import CommError, RunNotFoundError\n"
        "from runlake.errors import CommError as same\n"
        "assert CommError is same\n"
        "assert CommError.__module__ == 'runlake.errors'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
