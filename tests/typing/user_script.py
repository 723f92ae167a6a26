"""A user's script, which type checkers read and nothing runs: see `make lint`.

Each `assert_type` is what an editor shows a user. The types of pandas and pyarrow are left out:
these packages have no complete annotations of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import duckdb
import polars as pl

import runlake
from runlake import (
    Api,
    Artifact,
    Best,
    File,
    Files,
    HistoryScan,
    Lake,
    Media,
    MediaList,
    Plan,
    PullResult,
    Run,
    Runs,
)
from runlake.errors import AccessDenied, ExportError, MissingExtra, RunNotFoundError


def open_runs() -> None:
    api = Api({"base_url": "http://127.0.0.1:8080"}, timeout=10, api_key="key", offline=False)
    assert_type(api.api_key, str | None)
    assert_type(api.settings.base_url, str)
    assert_type(api.settings.cache_dir, Path)
    assert_type(api.settings.entity, str | None)
    assert_type(api.settings.cache_max_bytes, int | None)
    assert_type(api.default_entity, str | None)
    assert_type(api.viewer, runlake.User)
    assert_type(api.project("spirals", entity="team"), runlake.Project)
    assert_type([each.name for each in api.projects("team")], list[str])
    assert_type(api.sweep("team/spirals/abc").best_run(), Run | None)
    assert_type(api.run("team/spirals/1a2b3c4d"), Run)


def list_runs(api: Api) -> None:
    runs = api.runs("team/spirals", {"state": "finished"}, order="-created_at")
    assert_type(runs, Runs)
    assert_type(len(runs), int)
    assert_type(runs[0], Run)
    assert_type(runs[:10], list[Run])
    assert_type(runs.frame(), pl.DataFrame)
    assert_type(runs.plot("loss", by="config.lr", band="std"), runlake.Chart)
    assert_type(runs.scan(["loss"], min_step=10), pl.LazyFrame)
    assert_type(runs.histories(100, keys=["loss"]), list[dict[str, Any]])
    assert_type(runs.histories(format="polars"), pl.DataFrame)
    for run in runs:
        assert_type(run, Run)


def ask_a_lake(lake: Lake) -> None:
    assert_type(lake.runs({"state": "finished"}, "-created_at", ["name"]), pl.DataFrame)
    some = lake.where({"config.lr": {"$gt": 0.1}})
    assert_type(some, runlake.LakeRuns)
    assert_type(some.scan(["loss"], incomplete="skip"), pl.LazyFrame)
    assert_type(some.best("loss"), pl.DataFrame)
    assert_type(some.sql("SELECT 1"), duckdb.DuckDBPyRelation)
    assert_type(some.histories(format="polars"), pl.DataFrame)
    assert_type(some[0], Run)
    assert_type(some[:3], list[Run])
    assert_type(lake.run("team/spirals/1a2b3c4d"), Run)
    assert_type(lake.explain(["loss"]), runlake.LakePlan)
    assert_type(lake.diff("a", "b").curves, pl.DataFrame)
    assert_type(lake.export("copy", "csv"), runlake.ExportReport)
    assert_type(some.publish("s3://bucket/copy", secrets="redact"), runlake.PublishReport)
    assert_type(lake.snapshot("paper"), runlake.Citation)
    assert_type(Lake(at="paper").cite().digest, str)
    assert_type(lake.snapshots(), pl.DataFrame)
    for run in lake:
        assert_type(run, Run)


def read_fields(run: Run) -> None:
    assert_type(run.name, str | None)
    assert_type(run.id, str)
    assert_type(run.state, str)
    assert_type(run.url, str)
    assert_type(run.tags, list[str])
    assert_type(run.lastHistoryStep, int)
    assert_type(run.config, dict[str, Any])
    assert_type(run.summary, runlake.Summary)
    assert_type(run.summary_metrics, dict[str, Any])
    assert_type(run.metadata, dict[str, Any] | None)
    assert_type(run.sweep, runlake.Sweep | None)
    assert_type(run.metrics(), list[runlake.Metric])
    assert_type(run.forked_from, runlake.BranchPoint | None)


def read_history(run: Run) -> None:
    scan = run.scan_history(keys=["loss", "acc"], page_size=500, min_step=0, max_step=100)
    assert_type(scan, HistoryScan)
    assert_type(scan.to_polars(), pl.DataFrame)
    for row in scan:
        assert_type(row, dict[str, Any])
    assert_type(run.beta_scan_history(how="any"), HistoryScan)
    assert_type(run.follow(["loss"], poll=1.0), Iterator[dict[str, Any]])
    assert_type(run.frame(["loss"], tail=100, lineage=True), pl.DataFrame)
    assert_type(runlake.stitch([run, run]).frame(["loss"]), pl.DataFrame)
    assert_type(run.scan(["loss"]).select(pl.col("loss").mean()).collect(), pl.DataFrame)
    assert_type(run.sql("SELECT max(loss) FROM history"), duckdb.DuckDBPyRelation)
    assert_type(run.explain(["loss"]), Plan)
    assert_type(run.keys("val/*"), pl.DataFrame)
    assert_type(run.best("loss", "min"), Best)
    assert_type(run.best("loss").value, float)
    assert_type(run.best("loss").step, int)
    assert_type(run.image("photo", step=3), Media | MediaList)
    assert_type(run.media("photo"), Media | MediaList | pl.DataFrame)
    assert_type(MediaList()[0].path, Path)


def read_samples(run: Run) -> None:
    assert_type(run.history(samples=200, pandas=False), list[dict[str, Any]])
    assert_type(run.history(10, ["loss"], "_step", False, sample="server"), list[dict[str, Any]])


def read_files(run: Run) -> None:
    assert_type(run.files(pattern="%.csv"), Files)
    for each in run.files():
        assert_type(each, File)
        assert_type(each.size, int)
    assert_type(run.file("points.csv").name, str)
    assert_type(run.upload_file("points.csv"), File)
    assert_type([line.content for line in run.console_logs(last=10)], list[str])
    pulled = run.pull()
    assert_type(pulled, PullResult)
    assert_type(pulled.n_rows, int)
    assert_type(run.download_history_exports(".").paths, list[Path])


def read_people_and_places(run: Run) -> None:
    assert_type(run.user, runlake.User)
    assert_type([run.user.username, run.user.email], list[str | None])
    sweep = run.sweep
    if sweep is not None:
        assert_type(sweep.state, str)
        assert_type(sweep.runs, Runs)


def read_artifacts(api: Api, run: Run) -> None:
    artifact = api.artifact("team/spirals/points:latest", type="dataset")
    assert_type(artifact, Artifact)
    assert_type(artifact.download(), str)
    assert_type(artifact.aliases, list[str])
    assert_type(artifact.metadata, dict[str, Any])
    assert_type(artifact.logged_by(), Run | None)
    assert_type(run.table("guesses"), pl.DataFrame)
    for each in run.logged_artifacts():
        assert_type(each, Artifact)


def handle_errors(api: Api) -> str:
    try:
        run = api.run("team/spirals/1a2b3c4d")
        run.frame()
    except RunNotFoundError as error:
        return error.message
    except AccessDenied as error:
        assert_type(error.facts, dict[str, Any])
        return str(error)
    except (ExportError, MissingExtra, runlake.CommError) as error:
        return error.message
    except runlake.RunlakeError:
        raise
    return run.id


def move_a_script() -> None:
    import runlake as wandb

    def name_of(run: wandb.apis.public.Run) -> str:
        return run.id

    assert_type(wandb.Api().run("team/spirals/1a2b3c4d"), Run)
    assert_type(wandb.login(key="key"), bool)
    assert_type(name_of(wandb.Api().run("1a2b3c4d")), str)
    with_undo = runlake.accelerate(quiet=True)
    with_undo.undo()
    # A name that runlake lacks is an error in the editor, as it is at run time.
    wandb.init()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
