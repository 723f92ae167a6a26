"""Runs that older versions of the SDK log and read, each in an environment of its own."""

import json
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.conformance.older_sdks import OLDER_SDKS
from tests.server_process import client_environment

import runlake

pytestmark = pytest.mark.thorough

ENVIRONMENTS = Path(__file__).parents[2] / ".venvs"
N_STEPS = 1500
LOG = """
import pathlib, sys, wandb
assert wandb.__version__ == sys.argv[1], wandb.__version__
pathlib.Path("note.txt").write_text("kept")
pathlib.Path("more").mkdir()
pathlib.Path("more/points.csv").write_text("1,2")
run = wandb.init(
    project="older", id=sys.argv[2], name="named", group="group", tags=["a", "b"], notes="noted",
    config={"lr": 0.1, "net": {"depth": 2}}, settings=wandb.Settings(console="off"),
)
for step in range(1500):
    rare = {"rare": step} if step % 100 == 0 else {}
    run.log({"loss": 1 / (step + 1), "val/acc": step / 1500, **rare}, step=step)
run.summary["best"] = 0.5
run.save("note.txt", policy="now")
artifact = wandb.Artifact("data-" + sys.argv[2], type="dataset", metadata={"n": 1})
artifact.add_file("note.txt")
artifact.add_dir("more", name="more")
run.log_artifact(artifact, aliases=["latest", "best"])
run.finish()
"""
READ = """
import json, os, pathlib, sys, runlake, wandb
where, run_id, questions = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def answers(api, name):
    given = {"api": api, "where": where, "pathlib": pathlib, "folder": os.path.abspath(name)}
    given["run"] = api.run(f"{where}/{run_id}")
    given["artifact"] = api.artifact(f"{where}/data-{run_id}:best")
    return {question: eval(question, given) for question in questions}

found = {"sdk": answers(wandb.Api(), "sdk"), "runlake": answers(runlake.Api(), "runlake")}
with runlake.accelerate(quiet=True) as acceleration:
    found["accelerated"] = answers(wandb.Api(), "accelerated")
    found["replaces"] = repr(acceleration)
print(json.dumps(found))
"""
QUESTIONS = {
    "[run.name, run.state, sorted(run.tags), run.group, run.notes, run.lastHistoryStep]": [
        *("named", "finished", ["a", "b"], "group", "noted", N_STEPS - 1)
    ],
    "dict(run.config)": {"lr": 0.1, "net": {"depth": 2}},
    "[run.summary['loss'], run.summary['best']]": [1 / N_STEPS, 0.5],
    "[[row['_step'], row['loss'], row['val/acc']] for row in run.scan_history()]": [
        [step, 1 / (step + 1), step / N_STEPS] for step in range(N_STEPS)
    ],
    # As a set: older SDKs return the first step of a further page twice.
    "sorted({row['rare'] for row in run.scan_history(keys=['rare', '_step'])} - {None})": [
        *range(0, N_STEPS, 100)
    ],
    "[row['loss'] for row in run.history(samples=2000, keys=['loss'], pandas=False)]": [
        1 / (step + 1) for step in range(N_STEPS)
    ],
    "[file.name for file in run.files() if file.name == 'note.txt']": ["note.txt"],
    "run.file('note.txt').download(root=folder, replace=True).read()": "kept",
    "[one.id for one in api.runs(where, filters={'config.lr': 0.1})].count(run.id)": 1,
    "[one.type for one in run.logged_artifacts()].count('dataset')": 1,
    "[artifact.version, artifact.type, artifact.metadata, sorted(artifact.aliases)]": [
        *("v0", "dataset", {"n": 1}, ["best", "latest"])
    ],
    "sorted(file.name for file in artifact.files())": ["more/points.csv", "note.txt"],
    "pathlib.Path(artifact.download(root=folder), 'more', 'points.csv').read_text()": "1,2",
    "'data-' + run.id in [c.name for c in api.artifact_type('dataset', where).collections()]": True,
}
RANGE = "[row['loss'] for row in run.scan_history(keys=['loss'], min_step=5, max_step=8)]"
# Pages of 1,000 steps.
TWICE = "sum(row['_step'] == 1000 for row in run.scan_history(keys=['_step', 'loss']))"


@pytest.fixture(scope="module", params=OLDER_SDKS, ids=lambda sdk: sdk.version)
def sdk(request):
    return request.param


@pytest.fixture(scope="module")
def python(sdk):
    """The interpreter of an environment with that SDK, made once and kept."""
    directory = ENVIRONMENTS / f"wandb-{sdk.version}"
    found = directory / "bin" / "python"
    if not (directory / "ready").exists():
        venv.create(directory, clear=True, with_pip=True)
        install = [str(found), "-m", "pip", "install", "--quiet", f"wandb=={sdk.version}"]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"wandb {sdk.version} cannot be installed: {done.stderr}")
        # Behind the environment's own packages, so that the older SDK and what it needs come first.
        command = [str(found), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = Path(subprocess.check_output(command, text=True).strip())
        shared = (Path(runlake.__file__).parents[1], sysconfig.get_path("purelib"))
        (packages / "runlake-tests.pth").write_text("".join(f"{path}\n" for path in shared))
        (directory / "ready").touch()
    return found


@pytest.fixture(scope="module")
def answers(sdk, python, backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("older")
    environment = client_environment(backend, directory)
    run_id = f"sdk-{sdk.version.replace('.', '-')}"

    def script(source, *arguments):
        done = subprocess.run(
            [python, "-c", source, *arguments],
            env=environment,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    script(LOG, sdk.version, run_id)
    questions = json.dumps([*QUESTIONS, RANGE, TWICE])
    printed = script(READ, f"{backend.entity}/older", run_id, questions)
    return json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_run_that_an_older_sdk_logged_is_read_by_it_and_by_runlake(answers, question):
    expected = QUESTIONS[question]
    assert answers["sdk"][question] == expected
    assert answers["runlake"][question] == expected
    assert answers["accelerated"][question] == expected


def test_accelerate_replaces_what_the_older_sdk_has(answers, sdk):
    assert answers["replaces"] == (
        f"<Acceleration of wandb {sdk.version}: {', '.join(sdk.replaces)} (on)>"
    )


def test_where_an_older_sdk_ends_a_range_and_accelerate_does_not(answers, sdk):
    losses = [1 / (step + 1) for step in range(5, 9)]
    assert answers["sdk"][RANGE] == losses[: 4 if sdk.includes_max_step else 3]
    assert answers["sdk"][TWICE] == 1 + sdk.includes_max_step
    for reader in ("runlake", "accelerated"):
        assert (answers[reader][RANGE], answers[reader][TWICE]) == (losses[:3], 1)
