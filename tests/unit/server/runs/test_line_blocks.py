import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.server.runs.line_blocks import (
    DamagedBlock,
    Line,
    checksum,
    pack,
    positions_of,
    steps_of,
    store_block,
    unpack,
)
from runlake.server.store.database import MIGRATIONS

STEPS = st.one_of(st.none(), st.integers(0, 2**63 - 2))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def stored(packed):
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    database.executescript(next(text for text in MIGRATIONS if "line_blocks (" in text))
    store_block(database, 1, 0, 9, packed)
    return database.execute("SELECT * FROM line_blocks").fetchone()


@given(st.dictionaries(st.integers(0, 2**31), st.tuples(STEPS, TEXTS), min_size=1, max_size=8))
def test_lines_are_the_same_after_a_block_was_unpacked(given_lines):
    lines = [Line(step, at, text) for at, (step, text) in sorted(given_lines.items())]
    block = stored(pack(lines))
    assert unpack(block) == lines
    assert positions_of(block) == [line.position for line in lines]
    steps = [line.step for line in lines if line.step is not None]
    assert list(steps_of(block)) == steps
    assert (block["min_step"], block["max_step"]) == (
        min(steps, default=None),
        max(steps, default=None),
    )
    assert block["n_chars"] == sum(len(line.text) for line in lines)
    wanted = {step for step in steps if step % 2}
    assert unpack(block, wanted.__contains__) == [line for line in lines if line.step in wanted]
    assert checksum(block["shape"], block["content"]) == block["crc32c"]


def changed(block, **values) -> Any:
    return {**dict(block), **values}


def test_a_damaged_block_is_said_to_be_damaged():
    block = stored(pack([Line(at, at, "text") for at in range(100)]))
    with pytest.raises(DamagedBlock, match="run 1 from position 0"):
        unpack(changed(block, content=b"no zstd"))
    with pytest.raises(DamagedBlock):
        positions_of(changed(block, shape=b""))
    # Texts of other letters with the same lengths.
    other = stored(pack([Line(at, at, "TEXT") for at in range(100)]))
    with pytest.raises(DamagedBlock):
        unpack(changed(block, content=other["content"]))
    with pytest.raises(DamagedBlock):
        steps_of(changed(block, content=other["content"]))
    with pytest.raises(DamagedBlock):
        unpack(changed(block, n_bytes=block["n_bytes"] + 1))
