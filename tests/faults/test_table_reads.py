"""A table at a step is one cell of the history, and is read like any other cell."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH

import runlake

N_KEYS, N_ROWS = 100, 6_000
DOCUMENT = json.dumps({"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}).encode()


def export_with_table(step):
    """Return an export of 5 MB of noise with a table at one step."""
    value = {"_type": "table-file", "path": "media/t.table.json"}
    cells = [value if n == step else None for n in range(N_ROWS)]
    noise = np.random.default_rng(2)
    columns = {"_step": np.arange(N_ROWS), "t": pa.array(cells)}
    columns |= {f"key{n}": noise.random(N_ROWS) for n in range(N_KEYS)}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=2_000, use_dictionary=False)
    return sink.getvalue()


@pytest.fixture(scope="module")
def content():
    return export_with_table(2_500)


@pytest.fixture
def run(faulty, content):
    faulty.offer(a=content)
    faulty.store("t.table.json", DOCUMENT)
    node = {
        "name": "media/t.table.json",
        "url": faulty.url("t.table.json"),
        "md5": None,
        "sizeBytes": len(DOCUMENT),
    }
    faulty.run["files"] = {"edges": [{"node": node}], "pageInfo": {"hasNextPage": False}}
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def test_a_table_at_a_step_moves_the_chunks_of_its_key_only(faulty, run, content):
    assert run.table("t", step=2_500).rows() == [(1, "x"), (2, "y")]
    assert faulty.n_bytes("a") < len(content) // 10


def test_a_table_at_a_step_is_read_from_a_cached_export_that_rotted(run):
    run.pull()
    (file,) = run._client.settings.cache_dir.rglob("*.parquet")
    chunk = pq.read_metadata(file).row_group(1).column(1)
    with file.open("r+b") as damaged:
        damaged.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
        damaged.write(b"\xff" * chunk.total_compressed_size)
    assert run.table("t", step=2_500).rows() == [(1, "x"), (2, "y")]


def test_a_table_heals_while_it_is_read(run):
    from dataclasses import replace

    from runlake.cache import store
    from runlake.cache.disk.file_state import FileState
    from runlake.cache.layout import RunDirectory

    run.pull()
    (file,) = run._client.settings.cache_dir.rglob("*.parquet")
    chunk = pq.read_metadata(file).row_group(1).column(1)
    with file.open("r+b") as damaged:
        damaged.seek(chunk.dictionary_page_offset or chunk.data_page_offset)
        damaged.write(b"\xff" * chunk.total_compressed_size)
    # Rot that leaves no trace: the file is noted as it is.
    settings = run._client.settings
    directory = RunDirectory(settings.cache_dir, settings.base_url, run._path)
    stored = store.read_manifest(directory)
    noted = {n: replace(e, state=FileState.of(e.path)) for n, e in stored.exports.items()}
    store.write_manifest(directory, replace(stored, exports=noted))
    assert run.table("t", step=2_500).rows() == [(1, "x"), (2, "y")]
