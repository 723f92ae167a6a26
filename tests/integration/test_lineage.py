"""Forks, rewinds and stitched runs: one curve, each step once, from every output."""

import contextlib
import warnings
from itertools import count

import polars as pl
import pytest
from tests.http_logging import LoggedRun, branch_point, steps

import runlake
from runlake.errors import InvalidArgument, NotCached, ProtocolError, RunNotFoundError

NUMBERS = count()


@pytest.fixture
def project():
    return f"lineage{next(NUMBERS)}"


def rows_of(run, keys=None, **options):
    return list(run.scan_history(keys, **options))


def outputs(run, keys=None, **options):
    """Return the rows of a run from each of its outputs, without missing cells."""
    frame = run.frame(keys, **options)
    yield rows_of(run, keys, **options)
    yield found_in(frame)
    yield found_in(run.scan(keys, **options).collect())
    yield found_in(pl.from_arrow(run.arrow(keys, **options).read_all()))
    yield found_in(pl.from_pandas(run.pandas(keys, **options)))
    if keys is None:
        yield found_in(run.sql("SELECT * FROM history ORDER BY _step", **options).pl())


def found_in(frame):
    return [{k: v for k, v in row.items() if v is not None} for row in frame.to_dicts()]


def marked(first, stop, mark, **keys):
    return steps(first, stop, by=mark, **keys)


def copied_chain(backend, project):
    """Log a root, a fork of it and a fork of the fork; the backend copies the parents' rows."""
    LoggedRun(backend, "root", project).log(*marked(0, 9, "root")).finish()
    fork = LoggedRun(backend, "fork", project, fork_from=("root", 5))
    fork.log(*marked(6, 12, "fork")).finish()
    leaf = LoggedRun(backend, "leaf", project, fork_from=("fork", 8))
    leaf.log(*marked(9, 11, "leaf")).finish()


def own_rows_chain(backend, project):
    """Log the same chain as a backend that does not copy rows."""
    LoggedRun(backend, "root", project).log(*marked(0, 9, "root")).finish()
    fork = LoggedRun(backend, "fork", project).configure(_wandb=branch_point("root", 5))
    fork.log(*marked(6, 12, "fork")).finish()
    leaf = LoggedRun(backend, "leaf", project).configure(_wandb=branch_point("fork", 8))
    leaf.log(*marked(9, 11, "leaf")).finish()


CURVE = [*marked(0, 6, "root"), *marked(6, 9, "fork"), *marked(9, 11, "leaf")]


@pytest.mark.parametrize("log", [copied_chain, own_rows_chain])
def test_every_output_gives_one_curve_from_the_root(api, backend, project, log):
    log(backend, project)
    run = api.run(f"{project}/leaf")
    assert (run.forked_from.run_id, run.forked_from.step) == ("fork", 8)
    assert run.forked_from.path == f"{backend.entity}/{project}/fork"
    assert api.run(run.forked_from.path).forked_from.run_id == "root"
    assert api.run(f"{project}/root").forked_from is None
    for found in outputs(run, lineage=True):
        assert found == CURVE
    for found in outputs(run, ["by"], lineage=True, min_step=4, max_step=10):
        assert found == [{"_step": r["_step"], "by": r["by"]} for r in CURVE[4:10]]
    assert found_in(run.frame(lineage=True, tail=4)) == CURVE[-4:]
    assert run.frame(["loss"], lineage=True, min_step=9)["_step"].to_list() == [9, 10]


@pytest.mark.parametrize("log", [copied_chain, own_rows_chain])
def test_lists_of_runs_give_each_run_from_its_root(api, backend, project, log):
    log(backend, project)
    runs = api.runs(project)
    rows = runs.scan(["loss", "by"], columns=["name"], lineage=True).collect()
    chosen = rows.filter(pl.col("run_id") == "leaf")
    assert chosen["_step"].to_list() == [*range(11)]
    assert chosen["by"].to_list() == [row["by"] for row in CURVE]
    assert set(chosen["name"]) == {"run-leaf"}
    fork = rows.filter(pl.col("run_id") == "fork")
    assert fork["by"].to_list() == ["root"] * 6 + ["fork"] * 6
    assert rows["run_id"].unique(maintain_order=True).to_list() == ["root", "fork", "leaf"]
    tails = runs.scan(["loss"], lineage=True, tail=3).collect()
    assert tails.group_by("run_id").len()["len"].to_list() == [3, 3, 3]
    assert runs.scan(like="by", lineage=True).collect().height == rows.height
    aligned = runs.align(["loss"], lineage=True)
    assert aligned["n"].to_list() == [3] * 9 + [2, 2, 1]


def test_a_fork_has_its_parents_rows_config_and_summary_as_of_the_step(api, backend, project):
    rows = [{"_step": at, "loss": at, "val": {"acc": at / 2}} for at in (0, 10, 20, 30)]
    rows[1]["val"] = {"acc": 5.0, "f1": 0.5}
    root = LoggedRun(backend, "root", project).configure(lr=0.1, net={"depth": 2})
    root.log(*rows).finish()
    fork = LoggedRun(backend, "fork", project, fork_from=("root", 25.5), lr=0.5)
    run = api.run(f"{project}/fork")
    assert run.config == {"lr": 0.5, "net": {"depth": 2}}
    assert run.summary["loss"] == 20
    assert run.summary["val"] == {"acc": 10.0, "f1": 0.5}
    assert run.lastHistoryStep == 20
    assert run.forked_from.step == 25
    fork.log({"_step": 26, "loss": 1}).finish()
    assert [row["_step"] for row in rows_of(run)] == [0, 10, 20, 26]
    assert run.keys().filter(pl.col("key") == "val.acc")["count"].item() == 3
    api.run(f"{project}/root").delete()
    assert [row["_step"] for row in rows_of(run, lineage=True)] == [0, 10, 20, 26]


def test_a_running_run_can_be_forked(api, backend, project):
    root = LoggedRun(backend, "root", project).log(*steps(0, 5))
    LoggedRun(backend, "fork", project, fork_from=("root", 3)).log(*steps(4, 6)).finish()
    root.log(*steps(5, 8)).finish()
    assert len(rows_of(api.run(f"{project}/fork"))) == 6
    assert len(rows_of(api.run(f"{project}/root"))) == 8


def test_a_run_that_is_forked_again_has_the_rows_of_the_last_fork(api, backend, project):
    LoggedRun(backend, "root", project).log(*steps(0, 9)).finish()
    LoggedRun(backend, "fork", project, fork_from=("root", 5)).log(*steps(6, 9)).finish()
    assert len(rows_of(api.run(f"{project}/fork"))) == 9
    LoggedRun(backend, "fork", project, fork_from=("root", 2)).finish()
    assert len(rows_of(api.run(f"{project}/fork"))) == 3
    LoggedRun(backend, "fork", project, lr=1).log(*steps(0, 1)).finish()
    assert len(rows_of(api.run(f"{project}/fork"))) == 1
    api.flush()
    assert api.run(f"{project}/fork").forked_from is None


@pytest.mark.parametrize(
    ("fork_from", "reason"),
    [
        (("lost", 1), "run 'lost' cannot be forked: .* has no such run"),
        (("root", 9), "run 'root' has no step 9 yet: its last step is 8"),
        (("root", -7), "after step -7: the first step is 0"),
        (("root", "x"), "after step 'x'"),
    ],
    ids=str,
)
def test_a_fork_that_cannot_be_made_is_refused_and_leaves_no_run(
    api, backend, project, fork_from, reason
):
    LoggedRun(backend, "root", project).log(*steps(0, 9)).finish()
    with pytest.raises(AssertionError, match=reason):
        LoggedRun(backend, "fork", project, fork_from=fork_from)
    with pytest.raises(RunNotFoundError):
        api.run(f"{project}/fork")


def test_a_rewound_run_has_the_rows_up_to_the_step_then_its_new_ones(api, backend, project):
    logged = LoggedRun(backend, "r", project).log(*marked(0, 2500, "old"))
    logged.stream({"complete": True, "exitcode": 0})
    run = api.run(f"{project}/r")
    assert run.pull().n_exports == 3
    assert run.frame(["by"]).height == 2500
    logged.rewind(1500)
    assert run.frame(["by"])["_step"].to_list() == [*range(1501)]
    run.load(force=True)
    assert run.summary_metrics["by"] == "old"
    assert run.summary_metrics["_step"] == 1500
    assert run.config == {}
    assert run.rawconfig["_wandb"] == branch_point("r", 1500)
    assert run.forked_from is None
    logged.log(*marked(1501, 1600, "new")).finish()
    curve = [*marked(0, 1501, "old"), *marked(1501, 1600, "new")]
    for found in outputs(run, lineage=True):
        assert found == curve
    assert api.runs(project).scan(["by"]).collect()["by"].to_list() == [r["by"] for r in curve]


def test_a_fork_that_is_rewound_stays_a_fork(api, backend, project):
    LoggedRun(backend, "root", project).log(*marked(0, 9, "root")).finish()
    fork = LoggedRun(backend, "fork", project, fork_from=("root", 5))
    fork.log(*marked(6, 12, "old")).rewind(7).log(*marked(8, 10, "new"))
    run = api.run(f"{project}/fork")
    assert (run.forked_from.run_id, run.forked_from.step) == ("root", 5)
    assert [row["by"] for row in rows_of(run)] == ["root"] * 6 + ["old"] * 2 + ["new"] * 2
    fork.rewind(3).log(*marked(4, 5, "new")).finish()
    run.load(force=True)
    assert (run.forked_from.run_id, run.forked_from.step) == ("root", 3)
    assert [row["by"] for row in rows_of(run)] == ["root"] * 4 + ["new"]


@pytest.mark.parametrize(("step", "reason"), [(9, "no step 9 yet"), (-2, "the first step is 0")])
def test_a_run_cannot_be_rewound_to_a_step_that_it_does_not_have(backend, project, step, reason):
    run = LoggedRun(backend, "r", project).log(*steps(0, 9))
    with pytest.raises(AssertionError, match=reason):
        run.rewind(step)


def test_a_run_can_be_rewound_to_its_start(api, backend, project):
    LoggedRun(backend, "r", project).log(*steps(0, 9)).rewind(-1).log(*marked(0, 3, "new")).finish()
    assert rows_of(api.run(f"{project}/r")) == marked(0, 3, "new")


def test_a_lineage_is_read_from_the_cache_or_the_missing_parent_is_named(api, backend, project):
    own_rows_chain(backend, project)
    leaf = api.run(f"{project}/leaf")
    leaf.frame(["by"], lineage=True)
    with cache_only(backend) as cached:
        run = cached.run(f"{backend.entity}/{project}/leaf")
        assert found_in(run.frame(["by"], lineage=True))[0] == {"_step": 0, "by": "root"}


def test_a_parent_that_was_not_pulled_is_named(api, backend, project):
    own_rows_chain(backend, project)
    api.run(f"{project}/leaf").pull()
    with cache_only(backend) as cached:
        run = cached.run(f"{backend.entity}/{project}/leaf")
        assert run.forked_from.run_id == "fork"
        with pytest.raises(NotCached, match=f"{project}/fork"):
            run.frame(["by"], lineage=True)


@contextlib.contextmanager
def cache_only(backend):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", runlake.errors.StaleWarning)
        yield runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key, offline=True)


def test_a_deleted_parent_and_a_circle_are_errors(api, backend, project):
    LoggedRun(backend, "root", project).log(*steps(0, 9)).finish()
    fork = LoggedRun(backend, "fork", project).configure(_wandb=branch_point("root", 5))
    fork.log(*steps(6, 12)).finish()
    api.run(f"{project}/root").delete()
    run = api.run(f"{project}/fork")
    with pytest.raises(RunNotFoundError, match=f"{project}/fork' was forked from '.*/root'"):
        run.frame(lineage=True)
    assert run.frame(lineage=True, min_step=6).height == 6
    root = LoggedRun(backend, "root", project).configure(_wandb=branch_point("fork", 8))
    root.log(*steps(9, 12)).finish()
    api.flush()
    with pytest.raises(ProtocolError, match=r"lineage of '.*/root' has no root"):
        api.run(f"{project}/root").frame(lineage=True)


def test_two_forks_of_one_step_share_the_exports_of_their_parent(api, backend, project):
    LoggedRun(backend, "root", project).log(*steps(0, 9)).finish()
    for name in ("a", "b"):
        fork = LoggedRun(backend, name, project).configure(_wandb=branch_point("root", 8))
        fork.log(*steps(9, 12)).finish()
    frame = api.runs(project).scan(["loss"], lineage=True).collect()
    counts = frame.group_by("run_id", maintain_order=True).len()
    assert counts.rows() == [("root", 9), ("a", 12), ("b", 12)]
    with pytest.raises(InvalidArgument, match="lineage must be True or False"):
        api.runs(project).scan(["loss"], lineage="yes")


def test_stitched_runs_are_one_history_in_which_later_runs_win(api, backend, project):
    LoggedRun(backend, "a", project).log(*marked(0, 9, "a", old=1)).finish()
    LoggedRun(backend, "b", project).log(*marked(6, 8, "b")).finish()
    LoggedRun(backend, "c", f"{project}-2").log(*marked(10, 12, "c")).close()
    paths = (f"{project}/a", f"{project}/b", f"{project}-2/c")
    runs = [api.run(f"{backend.entity}/{path}") for path in paths]
    stitched = runlake.stitch(runs)
    curve = [
        *marked(0, 6, "a", old=1),
        *marked(6, 8, "b"),
        *marked(8, 9, "a", old=1),
        *marked(10, 12, "c"),
    ]
    for found in outputs(stitched):
        assert found == curve
    # The row of the later run wins, also if it lacks the key.
    assert [row["_step"] for row in rows_of(stitched, ["old"])] == [*range(6), 8]
    assert stitched.frame(["old"])["_step"].to_list() == [*range(6), 8]
    assert stitched.frame(["by"], tail=3)["by"].to_list() == ["a", "c", "c"]
    assert stitched.frame(["by"], min_step=7, max_step=11)["_step"].to_list() == [7, 8, 10]
    assert runlake.stitch(runs[:1]).frame().equals(runs[0].frame())
    assert runlake.stitch([*runs[:1], *runs[:1]]).frame(["by"]).height == 9
    assert stitched.runs == runs
    assert "StitchedRuns" in repr(stitched)
    for later_last in (runs, runs[::-1]):
        scan = runlake.stitch(later_last).beta_scan_history(min_step=7)
        assert (scan.min_step, scan.max_step) == (7, 11)
        assert runlake.stitch(later_last).beta_scan_history(max_step=9).max_step == 8


@pytest.mark.parametrize("runs", [[], ["a/b/c"], "a/b/c", None, [None]], ids=repr)
def test_only_runs_can_be_stitched(runs):
    with pytest.raises(InvalidArgument, match="runs must"):
        runlake.stitch(runs)


def test_a_lake_reads_a_lineage_from_disk(api, backend, project, tmp_path):
    own_rows_chain(backend, project)
    api.run(f"{project}/leaf").frame(["by"], lineage=True)
    lake = runlake.Lake()
    rows = lake.scan(["by"], lineage=True).collect()
    leaf = rows.filter(pl.col("run_id") == "leaf")
    assert leaf["by"].to_list() == [row["by"] for row in CURVE]
    assert lake.align(["loss"], lineage=True)["n"].to_list() == [3] * 9 + [2, 2, 1]
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path / "other")}
    runlake.Api(settings, api_key=backend.api_key).run(f"{project}/leaf").pull()
    other = runlake.Lake(tmp_path / "other")
    assert other.scan(["by"]).collect().height == 2
    with pytest.raises(NotCached, match=f"leaf' was forked from '.*{project}/fork'"):
        other.scan(["by"], lineage=True)
