"""The real SDK forks, rewinds and resumes runs of the embedded backend."""

import json

import pytest
from tests.server_process import run_script

import runlake

SCRIPT = """
import json, wandb

def train(first, stop, mark, **options):
    run = wandb.init(project="branches", settings=wandb.Settings(console="off"), **options)
    for step in range(first, stop):
        run.log({"loss": 1 / (step + 1), "mark": mark})
    steps = [run.starting_step, run.step]
    run.finish()
    return steps

found = [
    train(0, 10, "root", id="root", config={"lr": 0.1, "net": {"depth": 2}}),
    train(6, 12, "fork", id="fork", fork_from="root?_step=5", config={"lr": 0.5}),
    train(9, 11, "leaf", id="leaf", fork_from="fork?_step=8"),
    train(11, 14, "resumed", id="leaf", resume="must"),
    train(4, 8, "rewound", id="root", resume_from="root?_step=3"),
    train(4, 6, "again", resume_from="root?_step=3"),
]
for options in (
    {"id": "no1", "fork_from": "lost?_step=1"},
    {"id": "no2", "fork_from": "root?_step=99"},
    {"id": "root", "resume_from": "root?_step=99"},
    {"id": "lost", "resume_from": "lost?_step=1"},
):
    try:
        wandb.init(project="branches", settings=wandb.Settings(console="off"), **options)
    except wandb.Error as error:
        found.append(str(error))
api = wandb.Api()
read = {
    name: [row["mark"] for row in api.run(f"branches/{name}").scan_history()]
    for name in ("root", "fork", "leaf")
}
print(json.dumps([found, read]))
"""
CURVES = {
    "root": ["root"] * 4 + ["again"] * 2,
    "fork": ["root"] * 6 + ["fork"] * 6,
    "leaf": ["root"] * 6 + ["fork"] * 3 + ["leaf"] * 2 + ["resumed"] * 3,
}


@pytest.fixture(scope="module")
def printed(backend, tmp_path_factory):
    return json.loads(run_script(SCRIPT, backend, tmp_path_factory.mktemp("log")).splitlines()[-1])


@pytest.fixture
def runs(backend, printed):
    assert printed
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key).runs("branches")


def test_the_sdk_continues_after_the_branch_point(printed):
    assert [first for first, _ in printed[0][:6]] == [0, 6, 9, 11, 4, 4]


def test_the_sdk_shows_why_a_run_cannot_branch(printed):
    for message, reason in zip(
        printed[0][6:],
        [
            "run 'lost' cannot be forked",
            "run 'root' has no step 99 yet: its last step is 5",
            "run 'root' has no step 99 yet: its last step is 5",
            "not found",
        ],
        strict=True,
    ):
        assert reason in message


def test_the_sdk_reads_one_curve_too(printed):
    assert printed[1] == CURVES


@pytest.mark.parametrize("lineage", [False, True])
def test_a_fork_a_rewind_and_a_resume_give_one_curve(runs, lineage):
    for run in runs:
        marks = CURVES[run.id]
        expected = list(enumerate(marks))
        keys = ["mark"]
        rows = [(row["_step"], row["mark"]) for row in run.scan_history(keys, lineage=lineage)]
        assert rows == expected
        assert run.frame(keys, lineage=lineage).rows() == expected
        table = run.arrow(keys, lineage=lineage).read_all()
        assert list(zip(*table.to_pydict().values(), strict=True)) == expected
        query = "SELECT _step, mark FROM history ORDER BY _step"
        assert run.sql(query, lineage=lineage).fetchall() == expected
    frame = runs.scan(["mark"], lineage=lineage).collect()
    assert {
        run_id: found["mark"].to_list()
        for (run_id,), found in frame.group_by("run_id", maintain_order=True)
    } == CURVES
    aligned = runs.align(["loss"], lineage=lineage)
    assert aligned["n"].to_list() == [3] * 6 + [2] * 6 + [1] * 2


def test_a_fork_knows_its_parent_also_after_it_was_resumed(runs):
    points = {run.id: run.forked_from and str(run.forked_from) for run in runs}
    assert points == {"root": None, "fork": "root?_step=5", "leaf": "fork?_step=8"}
    configs = {run.id: run.config for run in runs}
    assert configs["fork"] == {"lr": 0.5, "net": {"depth": 2}}
    assert configs["leaf"] == {"lr": 0.5, "net": {"depth": 2}}
    assert configs["root"] == {"lr": 0.1, "net": {"depth": 2}}
