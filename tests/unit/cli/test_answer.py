"""Rows are printed while they are read, and cells are written alike in every text format."""

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice, pairwise

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runlake.cli import output
from runlake.cli.answer import Answer, show_answer, write_answer
from runlake.cli.cells import cell_text, json_text
from runlake.errors import RunlakeError
from runlake.history.frames.stream import Stream

N_BATCHES = 50


def counted(rows_per_batch=3000):
    """Return a stream, and a list that counts the batches read from it."""
    read = []

    def batches():
        for number in range(N_BATCHES):
            read.append(number)
            steps = range(number * rows_per_batch, (number + 1) * rows_per_batch)
            yield pa.RecordBatch.from_pydict({"_step": list(steps), "x": [0.5] * len(steps)})

    return Stream(pa.schema([("_step", pa.int64()), ("x", pa.float64())]), batches()), read


@pytest.mark.parametrize("form", ["csv", "json"])
def test_rows_are_written_while_they_are_read(form, monkeypatch):
    stream, read = counted()
    at_write = []

    class Pipe(io.BytesIO):
        def write(self, data):
            at_write.append((len(read), len(data)))
            return super().write(data)

    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(Pipe()))
    write_answer(Answer(stream), form, None)
    assert len(at_write) > N_BATCHES
    assert max(after - before for (before, _), (after, _) in pairwise(at_write)) <= 1
    assert max(size for _, size in at_write) < 200_000


def test_a_table_in_a_pipe_is_written_while_it_is_read(monkeypatch):
    stream, read = counted()
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    rows = Answer(stream).rows()
    output.show_table(["_step", "x"], islice(rows, 10), None)
    assert (len(read), written.getvalue().count("\n")) == (1, 11)


def test_a_limit_reads_no_more_than_it_needs(tmp_path):
    stream, read = counted()
    write_answer(Answer(stream, limit=3001), "parquet", tmp_path / "x.parquet")
    assert (pq.read_metadata(tmp_path / "x.parquet").num_rows, len(read)) == (3001, 2)


def test_columns_of_one_name_are_told_apart(monkeypatch):
    columns = [pa.array([1]), pa.array([2]), pa.array([3])]
    schema = pa.schema([("a", pa.int64()), ("a_1", pa.int64()), ("a", pa.int64())])
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    show_answer(Answer(Stream(schema, iter([pa.RecordBatch.from_arrays(columns, schema=schema)]))))
    assert written.getvalue() == "a\ta_1\ta_2\n1\t2\t3\n"


CELLS = [
    (None, "null", ""),
    ("", '""', '""'),
    (float("nan"), '"NaN"', "NaN"),
    (float("-inf"), '"-Infinity"', "-Infinity"),
    (2**100, str(2**100), str(2**100)),
    (Decimal("12345678901234567890.5"), '"12345678901234567890.5"', "12345678901234567890.5"),
    (Decimal("1.50"), "1.5", "1.5"),
    (True, "true", "true"),
    (b"ab", '"YWI="', "YWI="),
    (date(2020, 1, 2), '"2020-01-02"', "2020-01-02"),
    (
        datetime(2020, 1, 2, 3, tzinfo=UTC),
        '"2020-01-02T03:00:00+00:00"',
        "2020-01-02T03:00:00+00:00",
    ),
    (time(3, 4), '"03:04:00"', "03:04:00"),
    (timedelta(seconds=1.5), "1.5", "1.5"),
    ({"a": [float("inf"), None]}, '{"a": ["Infinity", null]}', '{"a": ["Infinity", null]}'),
    ("a\tb\n\x1b[0m", r'"a\tb\n\u001b[0m"', r"a\tb\n\x1b[0m"),
    ("\u202e\x9b\u65e5", r'"\u202e\u009b\u65e5"', "\\u202e\\x9b\u65e5"),
]


@pytest.mark.parametrize(("cell", "as_json", "as_text"), CELLS, ids=repr)
def test_a_cell_has_one_spelling(cell, as_json, as_text):
    assert json_text(cell) == as_json
    assert cell_text(cell) == as_text


def test_csv_has_the_same_values_as_frames(tmp_path):
    frame = pl.DataFrame(
        {
            "list": [[1.5, float("nan")], None],
            "bytes": [b"ab", None],
            "day": [date(2020, 1, 2), None],
            "float": [float("inf"), None],
            "text": ["", None],
            "mixed": ['{"a": NaN}', '"x"'],
        }
    )
    table = frame.to_arrow()
    answer = Answer(Stream(table.schema, iter(table.to_batches()), frozenset({"mixed"})))
    write_answer(answer, "csv", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines()[2] == ",,,,,x"
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert rows[1] == ['[1.5, "NaN"]', "YWI=", "2020-01-02", "Infinity", "", '{"a": "NaN"}']
    assert json.loads(rows[1][0]) == [1.5, "NaN"]


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    stream, _ = counted()
    with pytest.raises(RunlakeError, match=r"'.*gone/x.csv' cannot be written: No such file"):
        write_answer(Answer(stream), "csv", tmp_path / "gone" / "x.csv")


def test_a_link_is_written_through_and_keeps_the_mode_of_its_file(tmp_path):
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_answer(Answer(counted(1)[0]), "csv", link)
    assert link.is_symlink()
    assert target.read_text().startswith("_step,x\n0,0.5\n")
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.glob(".*.part")) == []
