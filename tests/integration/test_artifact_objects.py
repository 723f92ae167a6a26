"""Objects in artifacts: tables are read, also in parts and by reference; others are errors."""

import json
from base64 import b64decode
from itertools import count

import pytest
from tests.http_artifacts import log_artifact, md5_base64
from tests.http_logging import LoggedRun, steps

import runlake
from runlake.errors import InvalidArgument, ProtocolError

NUMBERS = count()
TABLE = {"columns": ["x", "word"], "data": [[1, "a"], [2, None]]}


@pytest.fixture(scope="module")
def run(backend):
    logged = LoggedRun(backend, "objects", "objects").log(*steps(0, 1))
    yield logged
    logged.close()


@pytest.fixture(scope="module")
def api(backend, tmp_path_factory):
    overrides = {"base_url": backend.base_url, "cache_dir": tmp_path_factory.mktemp("cache")}
    return runlake.Api(overrides, api_key=backend.api_key)


@pytest.fixture
def logged(api, run):
    def log(files, **options):
        name = f"set{next(NUMBERS)}"
        texts = {f: json.dumps(d) if not isinstance(d, str) else d for f, d in files.items()}
        log_artifact(run, name, {f: text.encode() for f, text in texts.items()}, **options)
        return api.artifact(f"objects/{name}:v0")

    return log


def test_a_table_has_its_columns_rows_and_frames(logged):
    table = logged({"tbl.table.json": TABLE})["tbl"]
    assert (table.columns, table.data) == (TABLE["columns"], TABLE["data"])
    assert table.get_column("word") == ["a", None]
    assert list(table.iterrows()) == [(0, [1, "a"]), (1, [2, None])]
    assert table.frame().to_dict(as_series=False) == {"x": [1, 2], "word": ["a", None]}
    assert table.get_column("x", convert_to="numpy").sum() == 3
    with pytest.raises(InvalidArgument, match="no column 'y'"):
        table.get_column("y")


def test_a_table_of_parts_is_one_table(logged):
    parts = {
        "all.partitioned-table.json": {"_type": "partitioned-table", "parts_path": "parts"},
        "parts/1.table.json": TABLE,
        "parts/2.table.json": {"columns": ["x", "word"], "data": [[3, "c"]]},
    }
    assert logged(parts).get("all").get_column("x") == [1, 2, 3]


def test_a_table_of_another_artifact_is_read_there(logged):
    origin = logged({"tbl.table.json": TABLE})
    ref = f"wandb-artifact://{b64decode(origin.id).hex()}/tbl.table.json"
    refs = {"own.table.json": {"digest": md5_base64(json.dumps(TABLE).encode()), "ref": ref}}
    assert logged({"a.txt": "a"}, refs=refs).get("own").data == TABLE["data"]


def test_a_medium_is_not_built_but_its_file_is_named(logged):
    artifact = logged({"pic.image-file.json": {"path": "media/pic.png"}})
    with pytest.raises(
        InvalidArgument, match=r"'image-file'.*get_entry\('pic\.image-file\.json'\)"
    ):
        artifact.get("pic")
    assert artifact.get_entry("pic").path == "pic.image-file.json"


def test_a_member_of_a_draft_says_what_makes_new_versions(logged):
    artifact = logged({"a.txt": "a"})
    with pytest.raises(AttributeError, match=r"with wandb: wandb\.Artifact"):
        artifact.add_file("a.txt")
    assert not hasattr(artifact, "nothing")


TIMES = {"params": {"type_map": {"x": {"wb_type": "timestamp"}}}}
ARRAY = {"wb_type": "ndarray", "params": {"serialization_path": {"path": "a.npz", "key": "k"}}}
BAD = {
    "no JSON": "{",
    "nested too deep": "[" * 100_000,
    "a list": "[]",
    "no rows": {"columns": ["x"]},
    "columns of text": {"columns": "x", "data": []},
    "rows of numbers": {"columns": ["x"], "data": [1]},
    "short rows": {"columns": ["x", "y"], "data": [[1]]},
    "types of text": {"columns": ["x"], "data": [[1]], "column_types": "x"},
    "types of lists": {"columns": ["x"], "data": [[1]], "column_types": {"params": [1]}},
    "a time of text": {"columns": ["x"], "data": [["noon"]], "column_types": TIMES},
    "a time of ages": {"columns": ["x"], "data": [[1e300]], "column_types": TIMES},
    "an array that is none": {
        "columns": ["x"],
        "data": [[1]],
        "column_types": {"params": {"type_map": {"x": ARRAY}}},
    },
}


@pytest.mark.parametrize("kind", BAD)
def test_an_invalid_table_is_one_error(logged, kind):
    artifact = logged({"tbl.table.json": BAD[kind], "a.npz": f"no zip {kind}"})
    with pytest.raises(ProtocolError):
        artifact.get("tbl")
