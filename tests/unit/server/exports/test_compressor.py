"""Exported lines are compressed or dropped: every reader gets the same answers as before."""

import contextlib
import functools
import json
import math
import operator

import pytest
from tests.unit.server.exports.test_exporter import Backend, run_now

from runlake.server.data_directory.lost_lines import LostLines
from runlake.server.exports import compressor as module
from runlake.server.exports.compressor import LineCompressor
from runlake.server.exports.exporter import LinesAreGone
from runlake.server.refused import Refused
from runlake.server.runs.kept_lines import NO_LIMIT
from runlake.server.runs.line_blocks import pack

KINDS = ["rows", "compressed", "dropped"]
ODD_LINES = [
    '{"_step": 0, "a": 1, "val": {"loss": NaN, "x/y": 2.5}}',
    '{"_step": 1, "a": null, "text": "ä \\u00e9 \\" \\\\", "b": true}',
    '{"a": "no step"}',
    '{"_step": 2, "a": 1.5}',
    '{"_step": 2, "b": false, "h": {"_type": "histogram", "values": [1, 2], "bins": [0.5, 1]}}',
    '{"_step": 3, "mixed": "x", "l": [1, [2, 3]], "e": {}}',
    '{"_step": 4, "mixed": 7, "big": 1e999, "huge": 123456789012345678901234567890}',
    '{"_step": 4, "mixed": {"_type": "t", "q": -Infinity}}',
    *(json.dumps({"_step": step, "a": step / 3, "key.dot": step}) for step in range(5, 40)),
]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_CHARS", 200)


def compress(backend, run, *, drops=False):
    compressor = LineCompressor(backend.database, backend.storage, drops=drops)
    assert run["id"] in compressor.find_runs()
    while compressor.compress_next(run["id"]):
        pass
    return compressor


def logged(folder, kind, lines=ODD_LINES, n_live=6):
    """Return a backend with a run; all its lines are exported except for the last ones."""
    backend = Backend(folder / kind, rows=10)
    run = backend.start_run()
    for stop, more in ((len(lines) - n_live, {"complete": True}), (len(lines), {})):
        first = run_now(backend, run)["line_count"]
        files = {"wandb-history.jsonl": {"offset": first, "content": lines[first:stop]}}
        backend.runs.stream(run, {"files": files, **more})
    if kind != "rows":
        compress(backend, run, drops=kind == "dropped")
    return backend, run_now(backend, run)


@pytest.fixture
def backends(tmp_path):
    for kind in KINDS:
        (tmp_path / kind).mkdir()
    return {kind: logged(tmp_path, kind) for kind in KINDS}


def count(backend, table):
    return backend.database.row(f"SELECT count(*) AS n FROM {table}")["n"]


def canonical(rows):
    """Return rows as text in which the order of keys and the kind of numbers do not count."""
    parsed = [json.loads(row) if isinstance(row, str) else row for row in rows]
    return [json.dumps(as_doubles(row), sort_keys=True) for row in parsed]


def as_doubles(value):
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    if type(value) is int:
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def ask(backend, run):
    history = backend.runs.history
    for is_live in (False, True):
        yield history.steps(run, is_live=is_live)
        for start, stop in ((0, NO_LIMIT), (2, 9), (4, 5), (7, 38), (38, 40), (100, 200), (9, 3)):
            yield canonical(history.between(run, start, stop, is_live=is_live))
            for limit in (0, 1, 4, 100):
                yield canonical(history.page(run, start, stop, is_live=is_live, limit=limit))
            for keys in (["a"], ["_step"], ["val.loss", "a"], ["key.dot", "_step"], ["none"]):
                yield canonical(history.with_keys(run, keys, start, stop, is_live=is_live, limit=7))
    for n_rows in (0, 1, 5, 1000):
        yield canonical(history.sample(run, n_rows))
    yield backend.runs.last_history_line(run["id"])


def test_every_reader_gets_the_same_rows(backends):
    expected = list(ask(*backends["rows"]))
    for kind in KINDS[1:]:
        backend, run = backends[kind]
        assert list(ask(backend, run)) == expected, kind
        assert count(backend, "lines") == 6
        blocks = backend.database.rows("SELECT position, content FROM line_blocks")
        n_exports = len(backend.runs.export_objects(run["id"]))
        if kind == "dropped":
            assert [block["content"] for block in blocks] == [None] * n_exports
        else:
            assert len(blocks) > n_exports


def test_an_export_is_written_again_from_compressed_lines_but_not_from_dropped_ones(backends):
    backend, run = backends["compressed"]
    old = backend.storage.find(backend.runs.export_objects(run["id"])[1])
    old.file.unlink()
    backend.exporter.export_again(run["id"], 10)
    assert backend.storage.find(backend.runs.export_objects(run["id"])[1]).md5 == old.md5
    backend, run = backends["dropped"]
    with pytest.raises(LinesAreGone, match="were dropped"):
        backend.exporter.export_again(run["id"], 10)


def test_an_export_of_an_older_version_is_written_again_however_long_its_lines_are(
    tmp_path, monkeypatch
):
    (tmp_path / "rows").mkdir()
    backend, run = logged(tmp_path, "rows")
    steps = backend.exported(run)
    monkeypatch.setattr("runlake.server.exports.parquet_files.MAX_BYTES_OF_OBJECTS", 50)
    backend.exporter.export_again(run["id"], 0)
    assert backend.exported(run) == steps


def test_the_lines_of_a_damaged_export_stay(tmp_path):
    (tmp_path / "rows").mkdir()
    backend, run = logged(tmp_path, "rows")
    for name in backend.runs.export_objects(run["id"]):
        file = backend.storage.find(name).file
        file.write_bytes(b"x" + file.read_bytes()[1:])
    n_lines = count(backend, "lines")
    for drops in (False, True):
        compress(backend, run, drops=drops)
        assert (count(backend, "lines"), count(backend, "line_blocks")) == (n_lines, 0)


@pytest.mark.parametrize("drops", [False, True])
def test_a_crash_between_two_blocks_loses_nothing(tmp_path, monkeypatch, drops):
    (tmp_path / "rows").mkdir()
    backend, run = logged(tmp_path, "rows")
    expected = list(ask(backend, run))
    left = [0]

    def pack_some(lines):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return pack(lines)

    monkeypatch.setattr(module, "pack", pack_some)
    for n_blocks in (1, 2, 1, 3, 1000):
        left[0] = n_blocks
        with contextlib.suppress(KeyboardInterrupt):
            compress(backend, run, drops=drops)
        assert list(ask(backend, run)) == expected
    assert count(backend, "lines") == 6


@pytest.mark.parametrize("drops", [False, True])
def test_lines_that_arrive_late_for_a_gap_are_exported_with_those_around_it(tmp_path, drops):
    backend = Backend(tmp_path, rows=10)
    run = backend.start_run()
    backend.log(run, 0, 15)
    backend.log(run, 18, 40, is_complete=True)
    compressor = compress(backend, run, drops=drops)
    dropped = backend.database.rows("SELECT position FROM line_blocks WHERE content IS NULL")
    assert [row["position"] for row in dropped] == ([0] if drops else [])
    backend.log(run, 16, 20, is_complete=True)
    assert functools.reduce(operator.iadd, backend.exported(run), []) == [
        *range(15),
        *range(16, 40),
    ]
    assert count(backend, "lines") > 0
    rows = backend.runs.history.between(run, 0, NO_LIMIT, is_live=False)
    assert [row["x"] for row in rows] == [step / 2 for step in [*range(15), *range(16, 40)]]
    backend.log(run, 15, 40, is_complete=True)
    while compressor.compress_next(run["id"]):
        pass
    assert functools.reduce(operator.iadd, backend.exported(run), []) == [*range(40)]
    assert backend.runs.history.steps(run_now(backend, run), is_live=False) == [*range(40)]
    assert run_now(backend, run)["live_bytes"] == 0
    for export in backend.runs.export_objects(run["id"])[1:]:
        position = int(export.split("/")[2].split("-")[0])
        backend.exporter.export_again(run["id"], position)
    assert functools.reduce(operator.iadd, backend.exported(run), []) == [*range(40)]


def test_lines_that_are_sent_twice_are_kept_once(backends):
    for backend, run in backends.values():
        expected = list(ask(backend, run))
        files = {"wandb-history.jsonl": {"offset": 3, "content": ODD_LINES[3:12]}}
        backend.runs.stream(run, {"files": files})
        assert list(ask(backend, run_now(backend, run))) == expected


@pytest.mark.parametrize("step", [1, 4, 15, 35])
def test_runs_are_rewound_and_forked_whatever_became_of_their_lines(backends, step):
    expected: list[list[str]] = []
    for backend, run in backends.values():
        point = {"branch_point": {"run_id": "r", "step": step}}
        config = json.dumps({"_wandb": {"value": point}})
        given = {"name": "f", "modelName": "p", "host": "h", "config": config}
        fork, _ = backend.runs.upsert("anna", given)
        rewound = backend.runs.rewind(run, step)
        backend.exporter.export_next(run["id"])
        for changed in (fork, rewound):
            now = run_now(backend, changed)
            rows = backend.runs.history.between(now, 0, NO_LIMIT, is_live=False)
            expected = expected or [canonical(rows)]
            assert canonical(rows) == expected[0]
            assert now["last_step"] == step
            late = json.dumps({"_step": step + 1, "late": 1})
            files = {"wandb-history.jsonl": {"offset": now["line_count"], "content": [late]}}
            backend.runs.stream(now, {"files": files, "complete": True})
            steps = [*range(step + 2)]
            assert backend.runs.history.steps(run_now(backend, changed), is_live=False) == steps
            assert functools.reduce(operator.iadd, backend.exported(changed), []) == steps
            assert run_now(backend, changed)["live_bytes"] == 0


def test_the_lines_of_a_run_are_deleted_with_it(backends):
    for backend, run in backends.values():
        backend.start_run()
        assert count(backend, "line_blocks") == 0
        assert backend.runs.history.steps(run_now(backend, run), is_live=False) == []
        backend.runs.delete(run["id"])


def test_a_lost_export_of_dropped_lines_is_named(backends):
    backend, run = backends["dropped"]
    backend.storage.find(backend.runs.export_objects(run["id"])[0]).file.unlink()
    with pytest.raises(Refused, match="runlake server check"):
        backend.runs.history.between(run, 0, 5, is_live=False)


def test_the_space_of_compressed_lines_is_returned_to_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("runlake.server.store.database.FREE_PAGES", 10)
    backend = Backend(tmp_path, rows=5_000)
    run = backend.start_run()
    backend.log(run, 0, 10_000, is_complete=True)
    backend.database.checkpoint(is_last=True)
    file = tmp_path / "runlake.sqlite"
    before = file.stat().st_size
    monkeypatch.setattr(module, "BLOCK_CHARS", 1 << 18)
    compress(backend, run)
    assert backend.database.return_space()
    backend.database.checkpoint(is_last=True)
    assert file.stat().st_size < before / 2
    assert not backend.database.return_space()


def test_a_repair_keeps_live_lines_in_blocks_that_reach_into_an_export(tmp_path):
    backend = Backend(tmp_path, rows=10)
    run = backend.start_run()
    lines = [json.dumps({"_step": step}) for step in range(30)]

    def send(start, stop, **more):
        files = {"wandb-history.jsonl": {"offset": start, "content": lines[start:stop]}}
        backend.runs.stream(run_now(backend, run), {"files": files, **more})

    for start, stop in ((0, 3), (5, 20)):
        send(start, stop)
    send(21, 30, complete=True)
    compress(backend, run)
    # The run goes on: its lines are exported again up to the next gap, and the others are live.
    send(3, 5)
    assert run_now(backend, run)["exported_count"] == 20
    with backend.database.transaction() as connection:
        connection.execute("DELETE FROM lines WHERE position = 3")
    for damage in LostLines(backend.database, backend.storage).find():
        damage.repair()
    kept = [line.position for line in backend.runs._kept.each(run["id"], 0)]
    assert kept == [at for at in range(30) if at != 20]
