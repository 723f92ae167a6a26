"""Batches: columns of frames as arrays, with bounded texts, and cut without a copy."""

import polars as pl
import pyarrow as pa
import pytest

from runlake.history.decode.batches import Batch, arrays_of, cut_by_texts
from runlake.history.plan import sizes
from runlake.history.plan.key_columns import Column


def test_a_batch_is_cut_by_rows():
    column = Column.of("a", ("a",), pa.int64())
    batch = Batch(pa.array(range(10)), (column,), (pa.array(range(100, 110)),))
    part = batch.cut(3, 4)
    assert (len(part), part.steps.to_pylist()) == (4, [3, 4, 5, 6])
    assert part.arrays[0].to_pylist() == [103, 104, 105, 106]
    assert part.columns is batch.columns


FRAME = pl.DataFrame(
    {
        "_step": range(6),
        "x": [0.5, None, 1.5, None, None, 2.5],
        "t": ["aa", None, "b", "cccc", "", "d"],
        "l": [["x"], None, [], ["y", "z"], [None], ["w"]],
    }
)


def joined(parts):
    found: dict[str, list[object]] = {}
    for part in parts:
        assert len({len(array) for array in part.values()}) == 1
        for name, array in part.items():
            found.setdefault(name, []).extend(array.to_pylist())
    return found


@pytest.mark.parametrize("n_bytes", [1, 5, 1 << 20])
@pytest.mark.parametrize("n_chunks", [1, 2])
def test_frames_become_arrays_whatever_their_chunks_and_texts(monkeypatch, n_bytes, n_chunks):
    monkeypatch.setattr(sizes, "TEXT_BYTES_PER_BATCH", n_bytes)
    frame = FRAME if n_chunks == 1 else pl.concat([FRAME[:4], FRAME[4:]], rechunk=False)
    parts = list(arrays_of(frame, is_numeric=False))
    assert joined(parts) == FRAME.to_dict(as_series=False)
    assert [type(part["t"]) for part in parts] == [pa.LargeStringArray] * len(parts)
    # A part has one row, or texts of at most so many bytes.
    limits = [len(part["t"]) == 1 or part_bytes(part) <= n_bytes for part in parts]
    assert all(limits)


def part_bytes(part):
    texts = [cell or "" for cell in part["t"].to_pylist()]
    texts += [item or "" for cell in part["l"].to_pylist() for item in cell or ()]
    return sum(map(len, texts))


def test_frames_of_numbers_become_arrays_chunk_by_chunk():
    numbers = FRAME.select("_step", "x")
    chunked = pl.concat([numbers[:4], numbers[4:]], rechunk=False)
    parts = list(arrays_of(chunked, is_numeric=True))
    assert joined(parts) == numbers.to_dict(as_series=False)
    assert len(parts) == 2


@pytest.mark.parametrize(
    "cells",
    [
        ["x" * 100] * 4,
        [b"x" * 100] * 4,
        [{"a": "x" * 50, "b": {"c": "y" * 50}}] * 4,
        [["x" * 100]] * 4,
        [[["x" * 50], ["y" * 50]]] * 4,
    ],
    ids=["text", "bytes", "struct", "list", "nested list"],
)
def test_frames_are_cut_by_the_length_of_texts_at_any_depth(monkeypatch, cells):
    monkeypatch.setattr(sizes, "TEXT_BYTES_PER_BATCH", 200)
    # A name that polars would take as a pattern.
    frame = pl.DataFrame({"^n$": range(4), "*": cells})
    parts = list(cut_by_texts(frame))
    assert [len(part) for part in parts] == [2, 2]
    assert pl.concat(parts).equals(frame)
