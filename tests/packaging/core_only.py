"""A script for an environment that has the wheel and its required dependencies, but no extra.

With the path of a run as its argument it reads that run too; the server is that of WANDB_BASE_URL.
"""

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import runlake

OF_EXTRAS = (
    "matplotlib",
    "pandas",
    "plotly",
    "plotext",
    "rich",
    "starlette",
    "typer",
    "uvicorn",
    "wandb",
    "xxhash",
    "yaml",
)


def check_installation():
    assert "site-packages" in Path(runlake.__file__).parts, runlake.__file__
    assert version("runlake") == runlake.__version__
    assert [name for name in OF_EXTRAS if find_spec(name) is not None] == []
    for name in runlake.__all__:
        assert getattr(runlake, name) is not None


def check_commands():
    def run(*words):
        command = [sys.executable, "-m", "runlake", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("--version").stdout == f"runlake {runlake.__version__}\n"
    for words in (["show", "team/project/run"], ["serve"], ["--help"]):
        done = run(*words)
        assert done.returncode == 1
        assert "pip install 'runlake[cli]'" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def check_reading(path):
    run = runlake.Api().run(path)
    rows = list(run.scan_history(["loss"]))
    assert len(rows) == len(run.frame(["loss"])) == run.arrow(["loss"]).read_all().num_rows > 0
    assert run.sql("SELECT count(*) FROM history").fetchall() == [(len(rows),)]
    assert len(run.history(samples=10, pandas=False)) > 0
    caught = None
    try:
        run.pandas(["loss"])
    except runlake.errors.MissingExtra as error:
        caught = error
    assert caught is not None
    assert caught.extra == "pandas"
    assert "runlake[pandas]" in str(caught)


if __name__ == "__main__":
    check_installation()
    check_commands()
    for run_path in sys.argv[1:]:
        check_reading(run_path)
