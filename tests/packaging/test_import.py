"""Importing runlake is not loading what it stands on."""

import subprocess
import sys

HEAVY = {"httpx", "filelock", "stamina", "polars", "duckdb", "pyarrow", "pandas", "numpy", "wandb"}
CODE = "import sys, runlake; print(' '.join({name.partition('.')[0] for name in sys.modules}))"


def test_import_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_public_name_is_there():
    import runlake

    for name in runlake.__all__:
        assert getattr(runlake, name) is not None


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
