"""A frame of the types that an export has is the scan of the file, or one selection of it."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.property import sources

from runlake.values import Projection, StepRange

STEPS = pa.array([0, 1, 2])
VALUES = pa.array([1.0, None, 3.0])
TABLES = {
    "as stored": {"_step": STEPS, "a": VALUES, "b": STEPS},
    "step not first": {"a": VALUES, "_step": STEPS, "b": STEPS},
    "steps of 32 bits": {"_step": STEPS.cast(pa.int32()), "a": VALUES, "b": STEPS},
    "steps as floats": {"_step": STEPS.cast(pa.float64()), "a": VALUES, "b": STEPS},
    "texts": {"_step": STEPS, "a": VALUES, "b": pa.array(["x", None, "z"])},
    "small integers": {"_step": STEPS, "a": VALUES, "b": STEPS.cast(pa.int8())},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_frame_has_the_same_columns_at_every_read(name, tmp_path: Path):
    table = pa.table(TABLES[name])
    file = sources.Export(table, 2, table.to_pylist())
    run = sources.write_sources(tmp_path, [file], {})
    whole = run.read(Projection(), StepRange())
    frame = whole.frame()
    assert frame.columns == ["_step", "a", "b"]
    assert frame["_step"].to_list() == [0, 1, 2]
    assert frame["_step"].dtype.is_integer()
    assert frame.equals(whole.frame())
    part = run.read(Projection(), StepRange(1, None)).frame()
    assert part.schema == frame.schema
    assert part.equals(frame[1:])
