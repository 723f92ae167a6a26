"""One packed lake, read by many engines: equal sums, equal rows."""

import json
import math
import subprocess
import venv
from pathlib import Path

import duckdb
import polars as pl
import pytest
from tests.bucket_server import BUCKET, running_storage
from tests.engines.queries import QUERIES, TABLES, differences
from tests.http_logging import LoggedRun
from tests.server_process import bare_environment

import runlake

pytestmark = pytest.mark.thorough
pytest.importorskip("pyiceberg")

ENVIRONMENTS = Path(__file__).parents[2] / ".venvs"
HERE = Path(__file__).parent
ENGINES = {
    "duckdb": ("duckdb==1.5.5", "duckdb-extension-avro==1.5.5", "duckdb-extension-iceberg==1.5.5"),
    "daft": ("daft==0.7.26", "pyiceberg[pyarrow]==0.12.0"),
    "sail": ("pysail==0.7.2", "pyspark-client==4.1.1", "pandas<3", "pyarrow"),
}
N_RUNS = 200
N_STEPS = 40


@pytest.fixture(scope="module")
def lake(backend, tmp_path_factory):
    for seed in range(N_RUNS):
        run = LoggedRun(backend, f"seed{seed:03d}", "engines").configure(lr=seed / 100)
        run.log(
            *(
                {
                    "_step": step,
                    "loss": math.exp(-step / (seed + 1)),
                    "count": step * seed,
                    "phase": "warm" if step < 5 else "train",
                    **({"val/acc": step / N_STEPS + seed} if step % 4 == 0 else {}),
                }
                for step in range(N_STEPS)
            )
        )
        run.finish()
    found = runlake.Lake(tmp_path_factory.mktemp("lake"))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    found.pull(api.runs(f"{backend.entity}/engines"))
    return found


@pytest.fixture(scope="module")
def exported(lake):
    """The answers from the exports, before anything is packed."""
    assert not (lake.path / "lake/v1/catalog.db").exists()
    return through_runlake(lake)


@pytest.fixture(scope="module")
def published(lake, exported, tmp_path_factory):
    del exported  # from the exports, so before the runs are packed
    place = tmp_path_factory.mktemp("published") / "lake"
    return place, lake.publish(place)


def through_runlake(lake):
    """Ask the questions of the rows that runlake returns."""
    kinds = {"metrics_f": ["loss", "val/acc"], "metrics_i": ["count"], "metrics_s": ["phase"]}
    fields = lake.runs(columns=["id", "state"]).rename({"id": "run_id"})
    runs = fields.with_row_index("run").cast({"run": pl.Int32})
    with duckdb.connect() as connection:
        stats = []
        for table, keys in kinds.items():
            long = pl.concat(
                lake.scan([key])
                .collect()
                .rename({"_step": "step", key: "value"})
                .with_columns(pl.lit(key).alias("key"))
                .select("key", "run_id", "step", "value")
                for key in keys
            ).join(runs.select("run_id", "run"), on="run_id")
            connection.register(table, long.to_arrow())
            grouped = long.group_by("key", "run").agg(
                pl.len().alias("n"),
                pl.col("value").cast(pl.Float64, strict=False).min().alias("min"),
            )
            stats.append(grouped)
        connection.register("runs", runs.to_arrow())
        connection.register("stats", pl.concat(stats).to_arrow())
        return {name: connection.sql(query).fetchall() for name, query in QUERIES.items()}


def environment(engine):
    """Return the Python of an engine's environment, which is made once and kept."""
    directory = ENVIRONMENTS / f"{engine}-{ENGINES[engine][0].partition('==')[2]}"
    python = directory / "bin" / "python"
    if not (directory / ".ready").exists():
        venv.create(directory, with_pip=True, clear=True)
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, *ENGINES[engine]], check=True)
        (directory / ".ready").touch()
    return python


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_has_the_answers_of_the_exports(engine, exported, published):
    place, report = published
    tables = {name: report.tables[name] for name in TABLES}
    places = {name: str(place / name) for name in TABLES}
    asked = subprocess.run(
        [environment(engine), HERE / f"ask_{engine}.py"],
        input=json.dumps({"tables": tables, "places": places, "queries": QUERIES}),
        capture_output=True,
        text=True,
        check=False,
        env=bare_environment() | {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1"},
        cwd=place,
    )
    assert asked.returncode == 0, asked.stderr[-3000:]
    answers = json.loads(asked.stdout.splitlines()[-1])
    assert differences(exported, answers) == []


def test_polars_has_the_answers_of_the_exports(exported, published, monkeypatch):
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    _, report = published
    frames = {name: pl.scan_iceberg(report.tables[name]) for name in TABLES}
    with pl.SQLContext(frames, eager=True) as context:
        answers = {name: context.execute(query).rows() for name, query in QUERIES.items()}
    assert differences(exported, answers) == []


def test_duckdb_of_this_environment_has_them_from_the_files(exported, published):
    place, _ = published
    lake = runlake.Lake(place)
    keys = {"metrics_f": "loss", "metrics_i": "count", "metrics_s": "phase"}
    with duckdb.connect() as connection:
        for table, key in keys.items():
            connection.read_parquet(lake.files(key)).create_view(table)
        index = json.loads((place / "lake.json").read_text())["tables"]
        for table in ("runs", "stats"):
            files = [str(place / one["name"]) for one in index[table]["files"]]
            connection.read_parquet(files).create_view(table)
        answers = {name: connection.sql(query).fetchall() for name, query in QUERIES.items()}
    assert differences(exported, answers) == []


def test_packed_published_and_remote_lakes_have_the_answers_of_the_exports(
    lake, exported, published, monkeypatch
):
    place, _ = published
    assert differences(exported, through_runlake(lake)) == []
    assert differences(exported, through_runlake(runlake.Lake(place))) == []
    lake.snapshot("engines")
    assert differences(exported, through_runlake(runlake.Lake(lake.path, at="engines"))) == []
    with running_storage() as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/engines"
        lake.publish(url)
        assert differences(exported, through_runlake(runlake.Lake(url))) == []
