import functools
import json
import operator

import pyarrow.parquet as pq
import pytest

from runlake.server.data_directory.leftovers import unnamed_files
from runlake.server.exports.exporter import Exporter, LinesAreGone
from runlake.server.runs.runs import Limits, RunStore
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage


class Exports:
    """Exports runs at once, in this process."""

    def __init__(self, exporter):
        self.exporter = exporter

    def add(self, run_id):
        while self.exporter.export_next(run_id):
            pass

    def wait(self, run_id, is_done, seconds):
        assert seconds > 0
        self.add(run_id)
        assert is_done()


class Backend:
    def __init__(self, folder, rows=10):
        self.database = Database(folder / "runlake.sqlite")
        self.storage = Storage(self.database, folder / "storage", "", 1.0)
        self.exporter = Exporter(self.database, self.storage, rows)
        self.runs = RunStore(self.database, self.storage, Exports(self.exporter), Limits(rows))

    def start_run(self):
        return self.runs.upsert("anna", {"name": "r", "modelName": "p", "host": "h"})[0]

    def log(self, run, first, stop, *, is_complete=False):
        lines = [json.dumps({"_step": step, "x": step / 2}) for step in range(first, stop)]
        files = {"wandb-history.jsonl": {"offset": first, "content": lines}}
        self.runs.stream(run, {"files": files, "complete": is_complete})

    def exported(self, run):
        names = self.runs.export_objects(run["id"])
        found = [self.storage.find(name) for name in names]
        return [pq.read_table(f.file)["_step"].to_pylist() for f in found if f is not None]


@pytest.fixture
def backend(tmp_path):
    return Backend(tmp_path)


def test_a_run_is_exported_in_parts_and_completely_at_its_end(backend):
    run = backend.start_run()
    backend.log(run, 0, 25)
    assert backend.exported(run) == [[*range(10)], [*range(10, 20)]]
    backend.log(run, 25, 27, is_complete=True)
    assert backend.exported(run)[2] == [*range(20, 27)]
    assert backend.runs.get(run["id"])["live_bytes"] == 0
    assert backend.runs.find_due() == []


def test_an_export_can_be_written_again_from_its_lines(backend):
    run = backend.start_run()
    backend.log(run, 0, 25, is_complete=True)
    old = backend.storage.find(backend.runs.export_objects(run["id"])[1])
    old.file.unlink()
    backend.exporter.export_again(run["id"], 10)
    assert backend.exported(run)[1] == [*range(10, 20)]
    assert backend.storage.find(backend.runs.export_objects(run["id"])[1]).md5 == old.md5
    with backend.database.transaction() as connection:
        connection.execute("DELETE FROM lines")
    with pytest.raises(LinesAreGone, match="are not kept"):
        backend.exporter.export_again(run["id"], 20)
    with pytest.raises(LinesAreGone, match="no export that starts at line 5"):
        backend.exporter.export_again(run["id"], 5)


def test_a_run_that_starts_over_is_exported_as_new_objects(backend):
    run = backend.start_run()
    backend.log(run, 0, 10)
    old = backend.runs.export_objects(run["id"])
    backend.start_run()
    assert backend.runs.export_objects(run["id"]) == []
    backend.log(run, 0, 12, is_complete=True)
    assert backend.exported(run) == [[*range(10)], [10, 11]]
    assert not set(old) & set(backend.runs.export_objects(run["id"]))
    assert backend.runs.get(run["id"])["has_old_exports"]


def test_nothing_is_published_if_the_lines_changed_meanwhile(backend, tmp_path, monkeypatch):
    run = backend.start_run()
    convert = backend.exporter._convert

    def convert_slowly(run_id, lines):
        with backend.database.transaction() as connection:
            connection.execute("DELETE FROM lines WHERE position = 3")
        return convert(run_id, lines)

    monkeypatch.setattr(backend.exporter, "_convert", convert_slowly)
    backend.runs._exports = type("None", (), {"add": lambda *_: None})()
    backend.log(run, 0, 10)
    backend.exporter.export_next(run["id"])
    assert backend.runs.export_objects(run["id"]) == []
    assert unnamed_files(tmp_path, backend.database) == []


def test_long_lines_with_lists_are_split_over_several_exports(backend, monkeypatch):
    monkeypatch.setattr("runlake.server.exports.parquet_files.MAX_BYTES_OF_OBJECTS", 150)
    run = backend.start_run()
    backend.log(run, 0, 10, is_complete=True)
    steps = backend.exported(run)
    assert len(steps) > 1
    assert functools.reduce(operator.iadd, steps, []) == [*range(10)]


class Interrupted(Exporter):
    """Lets something happen between the read of lines and the publication of their export."""

    def __init__(self, backend, happens):
        super().__init__(backend.database, backend.storage, None)
        self.left = [happens]

    def _convert(self, *arguments):
        converted = super()._convert(*arguments)
        while self.left:
            self.left.pop()()
        return converted


@pytest.mark.parametrize("kind", ["started over", "rewound"])
def test_lines_that_were_replaced_meanwhile_are_not_exported(tmp_path, kind):
    backend = Backend(tmp_path)
    backend.runs._exports = Waiting()
    run = backend.start_run()
    backend.log(run, 0, 4, is_complete=True)

    def replace_lines():
        if kind == "rewound":
            log_new(backend, backend.runs.rewind(run_now(backend, run), 1), 2)
        else:
            log_new(backend, backend.start_run(), 0)

    exporter = Interrupted(backend, replace_lines)
    exporter.export_next(run["id"])
    assert run_now(backend, run)["exported_count"] == 0
    while exporter.export_next(run["id"]):
        pass
    contents = [json.loads(row["content"]) for row in backend.database.rows(LINES)]
    assert [row["x"] for row in contents if row["_step"] > 1] == [-1.0, -1.0]


LINES = "SELECT content FROM lines WHERE stream = 'history' ORDER BY position"


def run_now(backend, run):
    found = backend.runs.get(run["id"])
    assert found is not None
    return found


class Waiting:
    def add(self, run_id):
        """Export nothing yet."""

    def wait(self, run_id, is_done, seconds):
        """Export nothing yet."""


def log_new(backend, run, first):
    lines = [json.dumps({"_step": step, "x": -1.0}) for step in range(first, 4)]
    files = {"wandb-history.jsonl": {"offset": first, "content": lines}}
    backend.runs.stream(run, {"files": files})


def test_a_rewind_replaces_the_exports_that_were_made_since_the_run_was_read(backend):
    run = backend.start_run()
    backend.log(run, 0, 4)
    stale = backend.runs.get(run["id"])
    backend.log(run, 4, 4, is_complete=True)
    old = backend.runs.export_objects(run["id"])
    assert backend.exported(run) == [[0, 1, 2, 3]]
    backend.runs.rewind(stale, 1)
    assert backend.exported(run) == []
    backend.log(run, 2, 3, is_complete=True)
    assert backend.exported(run) == [[0, 1, 2]]
    assert not set(old) & set(backend.runs.export_objects(run["id"]))


def test_a_rewind_keeps_the_exports_before_its_step(backend):
    run = backend.start_run()
    backend.log(run, 0, 25, is_complete=True)
    first, *others = backend.runs.export_objects(run["id"])
    rewound = backend.runs.rewind(run_now(backend, run), 14)
    assert backend.runs.export_objects(run["id"]) == [first]
    assert (rewound["exported_count"], rewound["line_count"], rewound["last_step"]) == (10, 15, 14)
    assert rewound["has_old_exports"]
    backend.log(run, 15, 31, is_complete=True)
    assert backend.exported(run) == [[*range(10)], [*range(10, 20)], [*range(20, 30)], [30]]
    assert not set(others) & set(backend.runs.export_objects(run["id"]))
    whole = backend.runs.rewind(run_now(backend, run), 30)
    assert whole["exported_count"] == 31


def test_rows_after_a_gap_of_a_running_run_are_not_read_again_and_again(backend, monkeypatch):
    run = backend.start_run()
    backend.log(run, 0, 5)
    backend.log(run, 7, 40)
    assert backend.exported(run) == [[*range(5)]]
    read = []
    each = type(backend.exporter._kept).each

    def counted(kept, *bounds):
        for line in each(kept, *bounds):
            read.append(line)
            yield line

    monkeypatch.setattr(type(backend.exporter._kept), "each", counted)
    for _ in range(3):
        assert not backend.exporter.export_next(run["id"])
    assert len(read) == 3
    backend.log(run, 5, 7)
    assert functools.reduce(operator.iadd, backend.exported(run), []) == [*range(35)]


@pytest.mark.parametrize("kind", ["filled a gap", "sent again", "removed"])
def test_nothing_is_published_if_the_lines_change_at_the_last_moment(backend, monkeypatch, kind):
    run = backend.start_run()
    backend.runs._exports = Waiting()
    backend.log(run, 0, 3)
    backend.log(run, 4, 6, is_complete=True)
    is_unchanged = backend.exporter._is_unchanged

    def change(*arguments):
        found = is_unchanged(*arguments)
        if kind == "filled a gap":
            backend.log(run, 3, 4, is_complete=True)
        elif kind == "sent again":
            lines = ['{"_step": 5, "x": -1}']
            files = {"wandb-history.jsonl": {"offset": 5, "content": lines}}
            backend.runs.stream(run, {"files": files, "complete": True})
        else:
            backend.runs.rewind(run_now(backend, run), 1)
        monkeypatch.undo()
        return found

    monkeypatch.setattr(backend.exporter, "_is_unchanged", change)
    backend.exporter.export_next(run["id"])
    assert backend.exported(run) == []
    while backend.exporter.export_next(run["id"]):
        pass
    steps = {"filled a gap": [0, 1, 2, 3, 4, 5], "sent again": [0, 1, 2, 4, 5], "removed": [0, 1]}
    assert backend.exported(run) == [steps[kind]]
