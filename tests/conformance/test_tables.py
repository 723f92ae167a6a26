"""Tables that the real SDK logged are frames with the rows that the SDK itself reads."""

import json
import math
from datetime import UTC, datetime

import httpx
import polars as pl
import pytest
from tests.server_process import run_script

import runlake
from runlake.errors import InvalidArgument

LOG = """
import datetime, numpy, wandb
run = wandb.init(project="tables", id="t")
run.log({"plain": wandb.Table(columns=["i", "f", "s", "b"], data=[[1, 1.5, "x", True],
                                                                  [2, 2, None, False]])})
run.log({"plain": wandb.Table(columns=["i"], data=[[3]])})
run.log({"media": wandb.Table(columns=["html", "n"], data=[[wandb.Html("<b>x</b>"), 1],
                                                           [wandb.Html("<i>y</i>"), 2]])})
run.log({"times": wandb.Table(columns=["t"], data=[
    [datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)], [None]])})
run.log({"mixed": wandb.Table(columns=["m", "l"], data=[[1, [1, 2]], ["one", [3]]],
                              allow_mixed_types=True)})
run.log({"arrays": wandb.Table(columns=["a"], data=[[numpy.array([1.5, 2.5])],
                                                    [numpy.array([3.5, 4.5])]])})
run.log({"floats": wandb.Table(columns=["x"], data=[[float("inf")], [0.5]])})
run.log({"empty": wandb.Table(columns=["e", "f"], data=[])})
run.log({"doubles": wandb.Table(columns=["n", "m"], data=[[1, 2]])})
run.log({"val/slash.dot": wandb.Table(columns=["q"], data=[[1]])})
run.log({"nested": {"table": wandb.Table(columns=["q"], data=[[7]])}})
grown = wandb.Table(columns=["a", "b"], log_mode="INCREMENTAL")
for number in range(12):
    grown.add_data(number, str(number))
    run.log({"grown": grown})
changed = wandb.Table(columns=["a"], log_mode="MUTABLE")
for number in range(2):
    changed.add_data(number)
    run.log({"changed": changed})
wide = wandb.Table(columns=["v"], data=[[numpy.arange(200)], [numpy.arange(200) + 1]])
run.log({"wide": wide})
run.log({"loss": 1.0})
run.finish()
"""
READ = """
import json, wandb
api = wandb.Api()
found = {}
for artifact in api.run("tables/t").logged_artifacts():
    for name in artifact.manifest.entries:
        if name.endswith(".table.json") and artifact.type == "run_table":
            table = artifact.get(name.removesuffix(".table.json"))
            found[f"{artifact.name.partition('-t-')[2]}"] = {
                "columns": table.columns, "data": json.loads(json.dumps(table.data, default=str))}
print(json.dumps(found))
"""
SDK_TABLES = ["plain:v1", "plain:v0", "floats:v0", "empty:v0", "changed:v1", "doubles:v0"]


@pytest.fixture(scope="module")
def server(backend, tmp_path_factory):
    run_script(LOG, backend, tmp_path_factory.mktemp("tables"))
    return backend


@pytest.fixture
def run(server):
    return runlake.Api({"base_url": server.base_url}, api_key=server.api_key).run(
        f"{server.entity}/tables/t"
    )


@pytest.fixture(scope="module")
def theirs(server, tmp_path_factory):
    return json.loads(run_script(READ, server, tmp_path_factory.mktemp("read")))


@pytest.mark.parametrize("name", SDK_TABLES)
def test_rows_are_those_that_the_sdk_reads_back(run, theirs, name):
    key, _, version = name.partition(":")
    frame = run.table(key, step=0) if name == "plain:v0" else run.table(key)
    table = theirs[name]
    assert frame.columns == table["columns"]
    assert [list(row) for row in frame.rows()] == table["data"]
    assert version in {"v0", "v1"}


def test_columns_have_the_types_of_their_cells(run):
    assert run.table("plain", step=0).schema == {
        "i": pl.Int64,
        "f": pl.Float64,
        "s": pl.String,
        "b": pl.Boolean,
    }
    assert run.table("floats")["x"].to_list() == [math.inf, 0.5]


def test_a_media_cell_is_a_struct_that_names_its_file(run):
    frame = run.table("media")
    assert frame["n"].to_list() == [1, 2]
    cells = frame["html"].struct
    assert cells.field("_type").to_list() == ["html-file"] * 2
    assert all(path.startswith("media/html/") for path in cells.field("path"))


def test_times_are_times(run):
    frame = run.table("times")
    assert frame.schema == {"t": pl.Datetime("ms", "UTC")}
    assert frame["t"].to_list() == [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None]


def test_a_column_of_several_types_is_json_text_with_a_warning(run):
    with pytest.warns(UserWarning, match="'m'"):
        frame = run.table("mixed")
    assert frame["m"].to_list() == ["1", '"one"']
    assert frame["l"].to_list() == [[1, 2], [3]]


def test_arrays_are_lists_wherever_the_sdk_put_them(run):
    assert run.table("arrays")["a"].to_list() == [[1.5, 2.5], [3.5, 4.5]]
    assert run.table("wide")["v"].to_list() == [list(range(200)), list(range(1, 201))]


def test_an_incremental_table_has_all_rows_up_to_the_step(run):
    assert run.table("grown").rows() == [(number, str(number)) for number in range(12)]
    second = [row["_step"] for row in run.beta_scan_history(["grown"])][1]
    assert run.table("grown", step=second).rows() == [(0, "0"), (1, "1")]


def test_keys_with_slashes_and_dots_and_nested_keys_are_found(run):
    assert run.table("val/slash.dot").rows() == [(1,)]
    assert run.table("nested.table").rows() == [(7,)]


@pytest.mark.parametrize(("key", "step"), [("loss", None), ("nothing", None), ("media", 0)])
def test_a_key_without_a_table_names_the_tables_that_there_are(run, key, step):
    with pytest.raises(InvalidArgument, match=r"plain.*val/slash\.dot"):
        run.table(key, step=step)


def test_a_table_without_its_artifact_comes_from_the_run_s_file(server, run):
    api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
    collection = next(
        artifact.collection for artifact in run.logged_artifacts() if "doubles" in artifact.name
    )
    document = (
        "mutation D($id: ID!) { deleteArtifactSequence(input: {artifactSequenceID: $id}) "
        "{ artifactCollection { name } } }"
    )
    body = {"query": document, "variables": {"id": collection.id}}
    answer = httpx.post(
        f"{server.base_url}/graphql", json=body, auth=("api", server.api_key)
    ).json()
    assert "errors" not in answer
    assert api.run(f"{server.entity}/tables/t").table("doubles").rows() == [(1, 2)]
